import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecryptionFailed } from '../../src/protocol/errors.ts';
import { wireName } from '../../src/protocol/names.ts';
import { type DataKey, dataKeyContext, hashName, importDataKey, newDataKey } from '../../src/sealing/data-key.ts';
import { openText, sealText } from '../../src/sealing/remembered-text.ts';

const name = wireName('MY_SECRET');
const place = { revision: 1, use: 'shown' };

test('two new data keys differ and have 256 bits', () => {
  const [one, other] = [newDataKey(), newDataKey()];
  assert.equal(one.length, 32);
  assert.notDeepEqual(one, other);
});

test('the keys in use are derived, each for itself, and are not the data key', () => {
  const bytes = newDataKey();
  const key = importDataKey({ id: 'k', ownerId: 'o', bytes });
  const used = [key.valueKey.export(), key.nameKey.export(), Buffer.from(bytes)].map((each) => each.toString('hex'));
  assert.equal(new Set(used).size, 3);
});

test('two copies of a data key have nothing in common for what is remembered', () => {
  const bytes = newDataKey();
  const [one, other] = [0, 1].map(() => importDataKey({ id: 'k', ownerId: 'o', bytes })) as [DataKey, DataKey];
  const sealed = sealText(one, place, Buffer.from('text'));
  assert.equal(openText(one, place, sealed)?.toString(), 'text');
  assert.equal(openText(other, place, sealed), undefined);
  assert.equal(openText(one, { ...place, revision: 2 }, sealed), undefined);
  assert.equal(openText(one, { ...place, use: 'another' }, sealed), undefined);
});

test('a data key still works after its bytes were wiped', () => {
  const bytes = newDataKey();
  const key = importDataKey({ id: 'k', ownerId: 'o', bytes: Uint8Array.from(bytes) });
  const before = hashName(key, name);
  const wiped = importDataKey({ id: 'k', ownerId: 'o', bytes });
  bytes.fill(0);
  assert.deepEqual(hashName(wiped, name), before);
});

test('what is not 32 bytes is not taken for a data key', () => {
  for (const length of [0, 16, 31, 33]) {
    assert.throws(() => importDataKey({ id: 'k', ownerId: 'o', bytes: new Uint8Array(length) }), DecryptionFailed);
  }
});

test('the hash of a name differs from owner to owner and between a string and a file', () => {
  const one = importDataKey({ id: 'k', ownerId: 'o', bytes: newDataKey() });
  const other = importDataKey({ id: 'k', ownerId: 'o', bytes: newDataKey() });
  assert.deepEqual(hashName(one, name), hashName(one, name));
  assert.notDeepEqual(hashName(one, name), hashName(other, name));
  assert.notDeepEqual(hashName(one, name), hashName(one, wireName('MY_SECRET', 'file')));
});

test('no two pairs of owner and key id share a context', () => {
  const pair = fc.tuple(fc.string(), fc.string());
  fc.assert(
    fc.property(pair, pair, ([ownerId, id], [otherOwner, otherId]) => {
      fc.pre(ownerId !== otherOwner || id !== otherId);
      assert.notDeepEqual(dataKeyContext({ ownerId, id }), dataKeyContext({ ownerId: otherOwner, id: otherId }));
    }),
  );
  assert.notDeepEqual(dataKeyContext({ ownerId: 'ab', id: 'c' }), dataKeyContext({ ownerId: 'a', id: 'bc' }));
});
