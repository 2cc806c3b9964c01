import assert from 'node:assert/strict';
import { chown, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSigningKeys, rotateSigningKey, type SigningKeyFile } from '../../src/identity/signing-key-file.ts';

async function newFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'signing-key.json');
  await openSigningKeys(path, Date.now);
  return path;
}

const keysIn = async (path: string) => (JSON.parse(await readFile(path, 'utf8')) as SigningKeyFile).keys;

test('of several rotations at once none loses the key of another', async (t) => {
  const path = await newFile(t);
  const rotations = await Promise.allSettled([1, 2, 3, 4].map(() => rotateSigningKey(path)));
  const done = rotations.filter(({ status }) => status === 'fulfilled');
  assert.ok(done.length > 0);
  assert.equal((await keysIn(path)).length, 1 + done.length);
  for (const rotation of rotations) {
    if (rotation.status === 'rejected') assert.equal(rotation.reason.code, 'ERR_CONFLICT');
  }
  assert.deepEqual(await readdir(join(path, '..')), ['signing-key.json'], 'nothing is left beside it');
});

test('rotated by root, the file stays readable for the server that it belongs to', async (t) => {
  if (process.geteuid?.() !== 0) return t.skip('needs to be root');
  const path = await newFile(t);
  await chown(path, 12_345, 12_345);
  assert.equal(await rotateSigningKey(path), 2);
  const { uid, gid, mode } = await stat(path);
  assert.deepEqual([uid, gid, mode & 0o777], [12_345, 12_345, 0o600]);
});
