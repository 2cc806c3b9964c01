import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeTree } from '../../src/payload/remove-tree.ts';
import { temporaryFolder } from '../pilot/folders.ts';

test('a tree goes whole that is deeper than a path may be long, and closed', async (t) => {
  const folder = await temporaryFolder(t);
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  const deepen = 'for n in $(seq 40); do mkdir $1 && cd -P $1 || exit; done; echo hidden > file; chmod 500 .';
  assert.equal(spawnSync('sh', ['-c', deepen, 'sh', 'd'.repeat(200)], { cwd: tree }).status, 0);
  await removeTree(tree);
  assert.equal(existsSync(tree), false);
});

test('a link in a tree is not followed, and nothing there is fine', async (t) => {
  const folder = await temporaryFolder(t);
  const [tree, other] = [join(folder, 'tree'), join(folder, 'other')];
  for (const each of [tree, other]) mkdirSync(each);
  writeFileSync(join(other, 'precious'), 'x');
  symlinkSync(other, join(tree, 'link'));
  await removeTree(tree);
  await removeTree(tree);
  assert.equal(readFileSync(join(other, 'precious'), 'utf8'), 'x');
});
