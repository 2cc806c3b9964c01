import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chosenFiles } from '../../scripts/test/chosen-files.ts';

const root = join(import.meta.dirname, '../..');
const RUN_FILES = join(root, 'scripts/test/run-files.ts');
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
  for (const command of ['npm test -- --again', 'npm run test:site -- --again'])
    assert.ok(commands.includes(command), command);
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

test('with "--again" a file whose test failed is run once more, and fails when it fails again', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'run-files-'));
  const fileOf = (name: string, body: string) => {
    const path = join(folder.path, name);
    writeFileSync(path, body);
    return path;
  };
  const good = fileOf('good.test.mjs', "import { test } from 'node:test'; test('good', () => {});");
  const once = fileOf(
    'once.test.mjs',
    `import { existsSync, writeFileSync } from 'node:fs'; import { test } from 'node:test';
     test('once', () => {
       if (existsSync(import.meta.filename + '.tried')) return;
       writeFileSync(import.meta.filename + '.tried', '');
       throw new Error('the first time');
     });`,
  );
  const bad = fileOf('bad.test.mjs', "import { test } from 'node:test'; test('bad', () => { throw new Error(); });");
  const ended = fileOf('ended.test.mjs', 'process.exit(1);');
  const ran = (files: readonly string[], again: boolean) => {
    const script = fileOf(
      'script.mjs',
      `import { runFiles } from ${JSON.stringify(RUN_FILES)};
       const options = { files: ${JSON.stringify(files)}, cwd: ${JSON.stringify(folder.path)} };
       console.log('passed:', await runFiles(options, { again: ${again} }));`,
    );
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8', env });
    const [, listed = ''] = /run once more, alone, as a test failed:\n([\s\S]*?)\n\n/.exec(stdout) ?? [];
    const isTold = stdout.includes('which is to be mended');
    return {
      passed: /^passed: (\w+)$/m.exec(stdout)?.[1],
      again: listed.split('\n').map((line) => line.trim()),
      isTold,
    };
  };
  assert.deepEqual(ran([good, once], true), { passed: 'true', again: ['once.test.mjs'], isTold: true });
  assert.deepEqual(ran([good], true), { passed: 'true', again: [''], isTold: false });
  assert.deepEqual(ran([good, bad], true), { passed: 'false', again: ['bad.test.mjs'], isTold: false });
  assert.deepEqual(ran([good, ended], true), { passed: 'false', again: ['ended.test.mjs'], isTold: false });
  assert.deepEqual(ran([good, bad], false), { passed: 'false', again: [''], isTold: false });
});
