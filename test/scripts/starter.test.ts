import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('an installed program says which Node it needs where the machine has an older one', () => {
  const older = "Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } })";
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${older}`, join(import.meta.dirname, '../../scripts/starter.js')],
    { encoding: 'utf8' },
  );
  assert.deepEqual([status, stderr], [1, 'PROGRAM: this is Node 20.20.2; Node 24 or newer is needed\n']);
});
