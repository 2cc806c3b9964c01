import assert from 'node:assert/strict';
import { mkdtempDisposableSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../../src/files/make-folder.ts';

test('a folder is made with those that it is in, and one that is there is left as it is', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'make-folder-'));
  const path = join(folder.path, 'a/b/c');
  await makeFolder(path, 0o700);
  for (const made of ['a', 'a/b', 'a/b/c']) assert.equal(statSync(join(folder.path, made)).mode & 0o777, 0o700);
  await makeFolder(path, 0o755);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('many that make the same folder at once all find it', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'make-folder-'));
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(join(folder.path, 'a/b/c/d'))));
});

test('a link to a folder is one, and anything else with the name is an error', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'make-folder-'));
  symlinkSync(folder.path, join(folder.path, 'link'));
  await makeFolder(join(folder.path, 'link'));
  writeFileSync(join(folder.path, 'file'), '');
  await assert.rejects(makeFolder(join(folder.path, 'file')), { code: 'EEXIST' });
  await assert.rejects(makeFolder(join(folder.path, 'file/below')), { code: 'ENOTDIR' });
  symlinkSync(join(folder.path, 'nowhere'), join(folder.path, 'dangling'));
  await assert.rejects(makeFolder(join(folder.path, 'dangling/below')));
});

const skip = process.platform === 'linux' ? false : 'there is no /proc here';
test('a folder in which nothing can be made is an error, and not tried for ever', { skip }, async () => {
  await assert.rejects(makeFolder('/proc/nothing'), { code: 'ENOENT' });
  await assert.rejects(makeFolder('/proc/nothing/below'), { code: 'ENOENT' });
});
