import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Conflict, DecryptionFailed, Misconfigured, MissingRootKey, UnknownFormat } from '../../src/protocol/errors.ts';
import { dataKeyContext, newDataKey } from '../../src/sealing/data-key.ts';
import { addRootKey, openKeyFile } from '../../src/sealing/key-file.ts';
import { flipped, fromHex, readVectors } from './vectors.ts';

interface WrappedVector {
  keyFile: object;
  rootKeyId: string;
  id: string;
  ownerId: string;
  dataKey: string;
  wrapped: string;
}

const context = dataKeyContext({ id: 'key-1', ownerId: 'alice' });

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'key-file-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function newKeyFile(t: TestContext): Promise<string> {
  const path = join(await emptyFolder(t), 'root.key');
  await openKeyFile(path, { create: true });
  return path;
}

async function keyFileHolding(t: TestContext, text: string): Promise<string> {
  const path = join(await emptyFolder(t), 'root.key');
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

test('the vector of a wrapped data key unwraps', async (t) => {
  const vector = readVectors<WrappedVector>('wrapped-data-key');
  const path = await keyFileHolding(t, JSON.stringify(vector.keyFile));
  const rootKey = (await openKeyFile(path, { create: false })).get(vector.rootKeyId);
  assert.deepEqual(await rootKey.unwrap(fromHex(vector.wrapped), dataKeyContext(vector)), fromHex(vector.dataKey));
});

test('a new key file can be read by its owner alone and is the only thing left in its folder', async (t) => {
  const path = await newKeyFile(t);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['root.key']);
});

test('a data key wrapped before a restart unwraps after it', async (t) => {
  const path = await newKeyFile(t);
  const dataKey = newDataKey();
  const { active } = await openKeyFile(path, { create: true });
  const wrapped = await active.wrap(dataKey, context);
  const again = (await openKeyFile(path, { create: true })).get(active.id);
  assert.deepEqual(Uint8Array.from(await again.unwrap(wrapped, context)), Uint8Array.from(dataKey));
});

test('servers that start at once on a fresh folder share one root key', async (t) => {
  const folder = await emptyFolder(t);
  const path = join(folder, 'root.key');
  const opened = await Promise.all(Array.from({ length: 8 }, () => openKeyFile(path, { create: true })));
  assert.equal(new Set(opened.map(({ active }) => active.id)).size, 1);
  assert.deepEqual(await readdir(folder), ['root.key']);
});

test('a key file that cannot be made is an error that says where', async (t) => {
  const path = join(await emptyFolder(t), 'no-such-folder', 'root.key');
  await assert.rejects(openKeyFile(path, { create: true }), {
    code: 'ERR_MISCONFIGURED',
    message: /no-such-folder.*ENOENT/,
  });
});

test('a missing key file is not made unless asked for', async (t) => {
  const folder = await emptyFolder(t);
  await assert.rejects(openKeyFile(join(folder, 'root.key'), { create: false }), Misconfigured);
  assert.deepEqual(await readdir(folder), []);
});

test('a key file that others can read or write is refused with what to do', async (t) => {
  const path = await newKeyFile(t);
  for (const mode of [0o640, 0o604, 0o620, 0o644]) {
    await chmod(path, mode);
    await assert.rejects(openKeyFile(path, { create: true }), { code: 'ERR_MISCONFIGURED', message: /chmod 600/ });
  }
  const link = `${path}.link`;
  await symlink(path, link);
  await assert.rejects(openKeyFile(link, { create: false }), Misconfigured);
});

test('an unknown root key is named', async (t) => {
  const keys = await openKeyFile(await newKeyFile(t), { create: false });
  assert.throws(() => keys.get('file-gone'), MissingRootKey);
});

test('a wrapped data key that was changed or cut does not unwrap', async (t) => {
  const { active } = await openKeyFile(await newKeyFile(t), { create: false });
  const wrapped = await active.wrap(newDataKey(), context);
  for (let index = 1; index < wrapped.length; index++) {
    await assert.rejects(active.unwrap(flipped(wrapped, index), context), DecryptionFailed);
    await assert.rejects(active.unwrap(wrapped.subarray(0, index), context), DecryptionFailed);
  }
  await assert.rejects(active.unwrap(Buffer.concat([Buffer.of(2), wrapped.subarray(1)]), context), UnknownFormat);
});

test('a wrapped data key does not unwrap as another owner or key, or under another root key', async (t) => {
  const path = await newKeyFile(t);
  const { active } = await openKeyFile(path, { create: false });
  const wrapped = await active.wrap(newDataKey(), context);
  for (const other of [
    { id: 'key-1', ownerId: 'bob' },
    { id: 'key-2', ownerId: 'alice' },
  ]) {
    await assert.rejects(active.unwrap(wrapped, dataKeyContext(other)), DecryptionFailed);
  }
  await addRootKey(path);
  await assert.rejects((await openKeyFile(path, { create: false })).active.unwrap(wrapped, context), DecryptionFailed);
});

test('a root key under another id does not unwrap what it wrapped', async (t) => {
  const path = await newKeyFile(t);
  const { active } = await openKeyFile(path, { create: false });
  const wrapped = await active.wrap(newDataKey(), context);
  const renamed = await keyFileHolding(t, (await readFile(path, 'utf8')).replaceAll(active.id, 'file-renamed'));
  await assert.rejects(
    (await openKeyFile(renamed, { create: false })).active.unwrap(wrapped, context),
    DecryptionFailed,
  );
});

test('an added root key is the active one, and the others still unwrap', async (t) => {
  const path = await newKeyFile(t);
  const before = await openKeyFile(path, { create: false });
  const wrapped = await before.active.wrap(newDataKey(), context);
  const added = await addRootKey(path);
  const after = await openKeyFile(path, { create: false });
  assert.equal(after.active.id, added);
  assert.equal((await after.get(before.active.id).unwrap(wrapped, context)).length, 32);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['root.key']);
});

test('a root key is added to the file that a link points to', async (t) => {
  const path = await newKeyFile(t);
  const link = join(await emptyFolder(t), 'linked.key');
  await symlink(path, link);
  const added = await addRootKey(link);
  assert.equal((await openKeyFile(path, { create: false })).active.id, added);
});

test('an interrupted change of the key file is reported, not overwritten', async (t) => {
  const path = await newKeyFile(t);
  await writeFile(`${path}.new`, 'half');
  await assert.rejects(addRootKey(path), Conflict);
  assert.equal(await readFile(`${path}.new`, 'utf8'), 'half');
});

test('of root keys added at once none is lost', async (t) => {
  const path = await newKeyFile(t);
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => addRootKey(path)));
  const keys = await openKeyFile(path, { create: false });
  for (const result of results) {
    if (result.status === 'fulfilled') assert.equal(keys.get(result.value).id, result.value);
    else assert.ok(result.reason instanceof Conflict);
  }
  assert.ok(results.some(({ status }) => status === 'fulfilled'));
});

test('a root key cannot be added to a file that is not there', async (t) => {
  const folder = await emptyFolder(t);
  await assert.rejects(addRootKey(join(folder, 'root.key')), Misconfigured);
  assert.deepEqual(await readdir(folder), []);
});

test('a damaged key file is refused and none of it is quoted', async (t) => {
  const whole = await readFile(await newKeyFile(t), 'utf8');
  const [entry] = JSON.parse(whole).keys;
  const damaged = [
    '',
    'null',
    '[]',
    '{}',
    entry.key,
    whole.slice(0, -20),
    whole.replace(entry.key, entry.key.slice(2)),
    whole.replace(entry.key, `${entry.key}AAAA`),
    JSON.stringify({ format: 1, active: 'other', keys: [entry] }),
    JSON.stringify({ format: 1, active: entry.id, keys: [entry, entry] }),
    JSON.stringify({ format: 1, active: entry.id, keys: [null] }),
  ];
  for (const text of damaged) {
    const path = await keyFileHolding(t, text);
    await assert.rejects(openKeyFile(path, { create: true }), (error: Error) => {
      assert.ok(error instanceof Misconfigured);
      assert.equal(error.cause, undefined);
      assert.ok(!error.message.includes(entry.key.slice(0, 8)));
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), text, 'it is not overwritten');
  }
});

test('a key file of a later release is named as such', async (t) => {
  const path = await keyFileHolding(t, JSON.stringify({ format: 2, keys: {} }));
  await assert.rejects(openKeyFile(path, { create: true }), UnknownFormat);
});
