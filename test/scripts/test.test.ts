import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const SCRIPT = join(import.meta.dirname, '../../scripts/test.ts');

test('a run of tests names the path that has none, and is no success', () => {
  for (const paths of [['test/nowhere'], ['test/scripts/gone.test.ts'], ['test/files', 'test/nowhere']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...paths], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [2, ''], paths.join());
    assert.equal(stderr, `there is no test file ${paths.at(-1)}, nor one below it\n`);
  }
});
