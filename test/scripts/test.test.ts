import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chosenFiles } from '../../scripts/test/chosen-files.ts';

const root = join(import.meta.dirname, '../..');
const SCRIPT = join(root, 'scripts/test.ts');

test('a run of tests names the path that has none, and is no success', () => {
  for (const paths of [['test/nowhere'], ['test/scripts/gone.test.ts'], ['test/files', 'test/nowhere']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...paths], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [2, ''], paths.join());
    assert.equal(stderr, `there is no test file ${paths.at(-1)}, nor one below it\n`);
  }
});

test('every test file is run by "npm test" or by "npm run test:site", and continuous integration runs both', () => {
  const both = [...chosenFiles(root), ...chosenFiles(root, { site: true })].sort();
  assert.deepEqual(both, globSync('test/**/*.test.ts', { cwd: root }).sort());
  assert.deepEqual(chosenFiles(root, { named: ['test'] }), both);
  assert.ok(chosenFiles(root, { site: true }).length > 0);
  const commands = readFileSync(join(root, '.ci/run'), 'utf8').split('\n');
  for (const command of ['npm test', 'npm run test:site']) assert.ok(commands.includes(command), command);
});

test('a test file that starts a whole site, machines, a batch system or a browser says so in its name', () => {
  const systems =
    /\{[^}]*\bstartSite\b[^}]*\} from '[^']*(end-to-end|\.)\/site\.ts'|\b(startMachines|startCluster)\b|playwright-core/;
  const self = 'test/scripts/test.test.ts';
  const starting = chosenFiles(root).filter(
    (file) => file !== self && systems.test(readFileSync(join(root, file), 'utf8')),
  );
  assert.deepEqual(starting, [], 'NAME.site.test.ts is run by "npm run test:site"');
  const named = (folder: string) => chosenFiles(root, { named: [folder] }).filter((file) => !file.includes('.site.'));
  for (const folder of ['test/end-to-end', 'test/operator', 'test/slurm']) assert.deepEqual(named(folder), [], folder);
});
