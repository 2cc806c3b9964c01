import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

test('an installed program says which Node it needs where the machine has an older one', () => {
  const { status, stderr } = start("Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } })");
  assert.deepEqual([status, stderr], [1, 'PROGRAM: this is Node 20.20.2; Node 24 or newer is needed\n']);
});

test('an installed program starts on a Node that takes no options for a compile cache', () => {
  const module = "process.getBuiltinModule('module')";
  const refusing = `${module}.enableCompileCache = () => { throw new TypeError('cacheDir should be a string') }`;
  assert.deepEqual(start(refusing), { status: 0, stdout: 'it runs', stderr: '' });
});

/** Starts a program on a Node on which `before` was run. */
function start(before: string): { status: number | null; stdout: string; stderr: string } {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'starter-'));
  const path = (name: string) => join(folder.path, name);
  mkdirSync(path('lib'));
  writeFileSync(path('package.json'), '{"type": "module"}');
  writeFileSync(path('lib/PROGRAM.js'), "process.stdout.write('it runs');");
  copyFileSync(join(import.meta.dirname, '../../scripts/starter.js'), path('program.js'));
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(before)}`, path('program.js')];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}
