import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { git, refuseChangedTree, sourceOf } from '../../scripts/release/source.ts';

test('a release is made of a commit, and a tree with other files is refused', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'panda-source-'));
  git(folder.path, 'init', '--quiet');
  writeFileSync(join(folder.path, 'file'), 'one');
  git(folder.path, 'add', '.');
  const author = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
  git(folder.path, ...author, 'commit', '--quiet', '--message', 'm', '--date', '2026-01-02T03:04:05Z');
  refuseChangedTree(folder.path);
  const { commit, epoch } = sourceOf(folder.path);
  assert.match(commit, /^[0-9a-f]{40}$/);
  assert.ok(Math.abs(epoch - Date.now() / 1000) < 3600);
  writeFileSync(join(folder.path, 'new'), 'two');
  assert.throws(() => refuseChangedTree(folder.path), /not as in it:\n\?\? new/);
});
