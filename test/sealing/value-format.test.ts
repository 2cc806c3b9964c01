import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecryptionFailed, UnknownFormat } from '../../src/protocol/errors.ts';
import { MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { type WireName, wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { ATTRIBUTE_NAMES, type AttributeText } from '../../src/protocol/secret-attributes.ts';
import { type DataKey, hashName, importDataKey, newDataKey } from '../../src/sealing/data-key.ts';
import { BOUND_ATTRIBUTES, openName, openValue, sealName, sealValue } from '../../src/sealing/value-format.ts';
import { flipped, fromHex, readVectors } from './vectors.ts';

interface ValueVectors {
  dataKey: { id: string; ownerId: string; bytes: string };
  derived: { valueKey: string; nameKey: string };
  values: { name: WireName; value: string; version: number; nameHash: string; ciphertext: string }[];
  names: { name: WireName; nameHash: string; ciphertext: string }[];
}

/** As {@link ValueVectors}, for secrets that may go to the named queues only. */
interface RestrictedVectors {
  dataKey: ValueVectors['dataKey'];
  values: (ValueVectors['values'][number] & { queues: AttributeText })[];
  names: (ValueVectors['names'][number] & { queues: AttributeText })[];
}

const bytes = newDataKey();
const dataKey = importDataKey({ id: 'key-1', ownerId: 'alice', bytes });
const name = wireName('MY_SECRET');
const place = placeOf(dataKey, name, 1);
const sealed = sealValue(dataKey, place, { name, value: new Plaintext('what a secret') });

/** Any string that a secret may hold: Unicode scalar values, NUL and line ends included. */
const anyValue = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
);
const anyName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .filter((text) => {
    try {
      wireName(text);
      return true;
    } catch {
      return false;
    }
  })
  .map((text) => wireName(text));

function placeOf(key: DataKey, of: WireName, version: number) {
  return { nameHash: hashName(key, of), version };
}

test('the vectors of the value format open', () => {
  const vectors = readVectors<ValueVectors>('value-format');
  const key = importDataKey({ ...vectors.dataKey, bytes: fromHex(vectors.dataKey.bytes) });
  assert.equal(key.valueKey.export().toString('hex'), vectors.derived.valueKey);
  assert.equal(key.nameKey.export().toString('hex'), vectors.derived.nameKey);
  for (const { name, value, version, nameHash, ciphertext } of vectors.values) {
    assert.equal(hashName(key, name).toString('hex'), nameHash);
    const opened = openValue(key, { nameHash: fromHex(nameHash), version }, fromHex(ciphertext));
    assert.deepEqual({ name: opened.name, value: opened.value.reveal() }, { name, value });
  }
  for (const { name, nameHash, ciphertext } of vectors.names) {
    assert.equal(openName(key, { nameHash: fromHex(nameHash) }, fromHex(ciphertext)), name);
  }
});

test('the vectors of restricted values open with the queues that they are bound to, and with no others', () => {
  const vectors = readVectors<RestrictedVectors>('restricted-value');
  const key = importDataKey({ ...vectors.dataKey, bytes: fromHex(vectors.dataKey.bytes) });
  for (const { name, value, version, queues, nameHash, ciphertext } of vectors.values) {
    const at = { nameHash: fromHex(nameHash), version };
    const opened = openValue(key, { ...at, attributes: { queues } }, fromHex(ciphertext));
    assert.deepEqual({ name: opened.name, value: opened.value.reveal() }, { name, value });
    for (const other of [null, '', `${queues},X`, queues.slice(0, -1)] as (AttributeText | null)[]) {
      const changed = { ...at, attributes: { queues: other } };
      assert.throws(() => openValue(key, changed, fromHex(ciphertext)), DecryptionFailed);
    }
  }
  for (const { name, queues, nameHash, ciphertext } of vectors.names) {
    const at = { nameHash: fromHex(nameHash) };
    assert.equal(openName(key, { ...at, attributes: { queues } }, fromHex(ciphertext)), name);
    assert.throws(() => openName(key, at, fromHex(ciphertext)), DecryptionFailed);
  }
});

test('every attribute is bound to the ciphertexts, and one that is not set changes no byte of what is bound', () => {
  assert.deepEqual([...BOUND_ATTRIBUTES].sort(), [...ATTRIBUTE_NAMES].sort());
  const unset = Object.fromEntries(ATTRIBUTE_NAMES.map((attribute) => [attribute, null]));
  assert.equal(openName(dataKey, place, sealName(dataKey, { ...place, attributes: unset }, name)), name);
  for (const attribute of ATTRIBUTE_NAMES) {
    for (const text of ['x', ''] as AttributeText[]) {
      const at = { ...place, attributes: { [attribute]: text } };
      const [value, itsName] = [
        sealValue(dataKey, at, { name, value: new Plaintext('v') }),
        sealName(dataKey, at, name),
      ];
      assert.equal(openValue(dataKey, at, value).value.reveal(), 'v');
      assert.throws(() => openValue(dataKey, place, value), DecryptionFailed, `${attribute} was taken away`);
      assert.throws(() => openName(dataKey, place, itsName), DecryptionFailed, `${attribute} was taken away`);
      assert.throws(() => openValue(dataKey, at, sealed), DecryptionFailed, `${attribute} was put there`);
    }
  }
});

test('every name and value comes back as it was', () => {
  fc.assert(
    fc.property(anyName, anyValue, fc.nat(), (anyOne, text, version) => {
      fc.pre(text.isWellFormed());
      const at = placeOf(dataKey, anyOne, version);
      const opened = openValue(dataKey, at, sealValue(dataKey, at, { name: anyOne, value: new Plaintext(text) }));
      assert.equal(opened.name, anyOne);
      assert.equal(opened.value.reveal(), text);
    }),
  );
});

test('the largest value under the longest name comes back as it was', () => {
  const longest = wireName('é'.repeat(127), 'file');
  const largest = '🔑'.repeat(MAX_VALUE_BYTES / 4);
  const at = placeOf(dataKey, longest, 1);
  const opened = openValue(dataKey, at, sealValue(dataKey, at, { name: longest, value: new Plaintext(largest) }));
  assert.equal(opened.name, longest);
  assert.ok(opened.value.reveal() === largest);
});

test('a ciphertext opens from plain bytes, as a database driver gives them', () => {
  const opened = openValue(dataKey, { ...place, nameHash: Uint8Array.from(place.nameHash) }, Uint8Array.from(sealed));
  assert.equal(opened.value.reveal(), 'what a secret');
});

test('one value sealed twice gives two ciphertexts', () => {
  assert.notDeepEqual(sealValue(dataKey, place, { name, value: new Plaintext('what a secret') }), sealed);
});

test('neither the name nor the value can be read in the ciphertext', () => {
  assert.ok(!sealed.includes('what a secret') && !sealed.includes('MY_SECRET'));
});

test('a change of any byte makes a value unreadable', () => {
  for (let index = 1; index < sealed.length; index++) {
    assert.throws(() => openValue(dataKey, place, flipped(sealed, index)), DecryptionFailed);
  }
});

test('a version byte of a later release is named, not guessed at', () => {
  for (const format of [0, 2, 255]) {
    const later = Buffer.from(sealed);
    later[0] = format;
    assert.throws(() => openValue(dataKey, place, later), UnknownFormat);
    assert.throws(() => openName(dataKey, place, later), UnknownFormat);
  }
});

test('a value cut anywhere, or with something behind it, does not open', () => {
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(() => openValue(dataKey, place, sealed.subarray(0, length)), DecryptionFailed);
  }
  assert.throws(() => openValue(dataKey, place, Buffer.concat([sealed, Buffer.of(0)])), DecryptionFailed);
});

test('a value moved to another owner, data key, name or version does not open', () => {
  const elsewhere: [string, DataKey, { nameHash: Uint8Array; version: number }][] = [
    ['owner', importDataKey({ id: 'key-1', ownerId: 'bob', bytes }), place],
    ['id of the data key', importDataKey({ id: 'key-2', ownerId: 'alice', bytes }), place],
    ['boundary of owner and id', importDataKey({ id: '1', ownerId: 'alicekey-', bytes }), place],
    ['data key', importDataKey({ id: 'key-1', ownerId: 'alice', bytes: newDataKey() }), place],
    ['name', dataKey, placeOf(dataKey, wireName('OTHER'), 1)],
    ['kind', dataKey, placeOf(dataKey, wireName('MY_SECRET', 'file'), 1)],
    ['older version', dataKey, { ...place, version: 0 }],
    ['later version', dataKey, { ...place, version: 2 }],
  ];
  for (const [what, key, at] of elsewhere) {
    assert.throws(() => openValue(key, at, sealed), DecryptionFailed, `another ${what}`);
  }
});

test('a value does not open under a change of any bit of its name hash', () => {
  fc.assert(
    fc.property(fc.nat({ max: 255 }), (index) => {
      const at = { ...place, nameHash: flipped(place.nameHash, index) };
      assert.throws(() => openValue(dataKey, at, sealed), DecryptionFailed);
    }),
  );
});

test('a row with a damaged name hash or version is refused by name', () => {
  for (const damaged of [
    { nameHash: place.nameHash.subarray(1) },
    { nameHash: Buffer.concat([place.nameHash, Buffer.of(0)]) },
    { version: -1 },
    { version: 1.5 },
    { version: Number.NaN },
    { version: 2 ** 32 + 1 },
  ]) {
    assert.throws(() => openValue(dataKey, { ...place, ...damaged }, sealed), DecryptionFailed);
  }
});

test('bytes of any kind are refused, never half opened', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (garbage) => {
      assert.throws(
        () => openValue(dataKey, place, garbage),
        (error) => error instanceof DecryptionFailed || error instanceof UnknownFormat,
      );
    }),
  );
});

test('a name opens by itself, and only in its own row', () => {
  const sealedName = sealName(dataKey, place, name);
  assert.equal(openName(dataKey, place, sealedName), name);
  assert.throws(() => openName(dataKey, placeOf(dataKey, wireName('OTHER'), 1), sealedName), DecryptionFailed);
  assert.throws(
    () => openName(importDataKey({ id: 'key-1', ownerId: 'bob', bytes }), place, sealedName),
    DecryptionFailed,
  );
  for (let index = 1; index < sealedName.length; index++) {
    assert.throws(() => openName(dataKey, place, flipped(sealedName, index)), DecryptionFailed);
  }
});

test('a name and a value cannot stand in for each other', () => {
  assert.throws(() => openName(dataKey, place, sealed), DecryptionFailed);
  assert.throws(() => openValue(dataKey, place, sealName(dataKey, place, name)), DecryptionFailed);
});
