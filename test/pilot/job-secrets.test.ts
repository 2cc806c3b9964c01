import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDelivery, placeSecrets } from '../../src/pilot/job-secrets.ts';
import { DecryptionFailed } from '../../src/protocol/errors.ts';
import { temporaryFolder } from './folders.ts';

const deliver = (secrets: object) => parseDelivery(Buffer.from(JSON.stringify(secrets)));
const base64 = (text: string) => Buffer.from(text).toString('base64');

test('every name and value of a delivery arrives as it was', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (secrets) => {
      const { secrets: parsed } = deliver(secrets);
      assert.deepEqual(
        new Map(parsed.map(({ name, value }) => [String(name), value.reveal()])),
        new Map(Object.entries(JSON.parse(JSON.stringify(secrets)))),
      );
    }),
  );
});

test('a secret named like a part of every object is one like any other', () => {
  const { secrets } = parseDelivery(Buffer.from('{"__proto__": "a", "constructor": "b"}'));
  assert.deepEqual(
    secrets.map(({ name, value }) => [name, value.reveal()]),
    [
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ],
  );
});

test('what is not an object of strings is refused, and the error does not quote it', () => {
  for (const json of ['', '[]', 'null', '{"A": 1}', '{"A": {"b": "c"}}', '{"A": "hidden-value', '\xff']) {
    assert.throws(
      () => parseDelivery(Buffer.from(json, 'latin1')),
      (error: Error) => error instanceof DecryptionFailed && !/hidden-value/.test(error.message),
    );
  }
});

for (const kept of [false, true]) {
  test(`secrets ${kept ? 'kept elsewhere' : 'in the working directory'} are readable there and go without a trace`, async (t) => {
    const folder = await temporaryFolder(t);
    const [directory, keep] = [join(folder, 'work'), kept ? join(folder, 'keep') : undefined];
    mkdirSync(directory);
    const placed = await placeSecrets(deliver({ A: 'x', '___file___:key': base64('y\n') }), directory, keep);
    assert.equal(
      readFileSync(join(directory, 'panda_secrets.json'), 'utf8'),
      JSON.stringify({ A: 'x', '___file___:key': base64('y\n') }),
    );
    assert.equal(readFileSync(join(directory, 'key'), 'utf8'), 'y\n');
    assert.equal(statSync(join(directory, 'key')).mode & 0o777, 0o600);
    assert.equal(placed.leftOut, 0);
    await placed.remove();
    assert.deepEqual([readdirSync(folder), readdirSync(directory)], [['work'], []]);
    await placed.remove();
  });

  test(`secrets ${kept ? 'kept elsewhere' : 'in the working directory'} replace nothing, and what they did not replace stays`, async (t) => {
    const folder = await temporaryFolder(t);
    const [directory, keep] = [join(folder, 'work'), kept ? join(folder, 'keep') : undefined];
    mkdirSync(directory);
    writeFileSync(join(directory, 'taken'), 'the sandbox');
    symlinkSync(join(folder, 'elsewhere'), join(directory, 'link'));
    const delivered = deliver({
      '___file___:taken': base64('x'),
      '___file___:link': base64('x'),
      '___file___:../up': base64('x'),
    });
    const placed = await placeSecrets(delivered, directory, keep);
    assert.equal(placed.leftOut, 3);
    await placed.remove();
    assert.equal(readFileSync(join(directory, 'taken'), 'utf8'), 'the sandbox');
    assert.deepEqual([readdirSync(folder), readdirSync(directory).sort()], [['work'], ['link', 'taken']]);
  });
}

test('nothing is removed through a link that took the place of the working directory', async (t) => {
  const folder = await temporaryFolder(t);
  const [directory, other] = [join(folder, 'work'), join(folder, 'other')];
  mkdirSync(directory);
  mkdirSync(other);
  writeFileSync(join(other, 'authorized_keys'), 'precious');
  const placed = await placeSecrets(deliver({ '___file___:authorized_keys': base64('x') }), directory);
  rmSync(directory, { recursive: true });
  symlinkSync(other, directory);
  await placed.remove();
  assert.equal(readFileSync(join(other, 'authorized_keys'), 'utf8'), 'precious');
});

test('a folder for secrets that is there already is not taken for its own, and stays', async (t) => {
  const folder = await temporaryFolder(t);
  const [directory, keep] = [join(folder, 'work'), join(folder, 'keep')];
  for (const each of [directory, keep]) mkdirSync(each);
  writeFileSync(join(keep, 'panda_secrets.json'), "another's");
  await assert.rejects(placeSecrets(deliver({ A: 'x' }), directory, keep), { code: 'EEXIST' });
  assert.equal(readFileSync(join(keep, 'panda_secrets.json'), 'utf8'), "another's");
});
