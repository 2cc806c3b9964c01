// `npm test`: the test files that need no whole systems; `npm run test:site`: the others (`--site`). With paths, every file below
// them: `npm test -- test/vault`. With `--again` a file with a test that failed is run once more, alone.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeTemplate } from '../test/database-template.ts';
import { startEmbeddedPostgres } from '../test/embedded-postgres.ts';
import { buildTestPrograms } from './build/test-programs.ts';
import { chosenFiles } from './test/chosen-files.ts';
import { collectProcessorTimes } from './test/processor-times.ts';
import { runFiles } from './test/run-files.ts';

/** Files that take longest: they begin first, so that none of them runs alone at the end. */
const LONGEST = [
  'operator/path.site',
  'slurm/launcher.site',
  'end-to-end/rolling-upgrade.site',
  'end-to-end/crashes.site',
  'site/backup.site',
  'end-to-end/choosing-secrets.site',
  'cli/shell-notebook.site',
  'sealed/results-acts.site',
  'pilot/attacks.site',
  'pilot/isolation',
  'cli/pbook-secrets',
  'pilot/main',
  'cli/panda-secrets-manager',
  'server/hostile-database',
];

const root = join(import.meta.dirname, '..');
const { values: options, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    site: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    'test-name-pattern': { type: 'string', multiple: true },
    'test-skip-pattern': { type: 'string', multiple: true },
    // Files wait for disks and for time limits too.
    'test-concurrency': { type: 'string', default: String(Math.min(2 * availableParallelism(), 8)) },
  },
});
const files = (() => {
  try {
    return chosenFiles(root, { named, site: options.site });
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(2);
  }
})();

// One PostgreSQL for all test files, each test having a database of its own. Where none can start, the tests that want
// one say so and are skipped.
const given = process.env['PANDA_TEST_DATABASE_URL'];
const [postgres, programs] = await Promise.all([
  given ? undefined : startEmbeddedPostgres().catch(() => undefined),
  buildTestPrograms(root),
]);
const server = given ?? postgres?.url;
const template = server ? await makeTemplate(server) : undefined;

const times = collectProcessorTimes();

Object.assign(process.env, {
  ...(server && { PANDA_TEST_DATABASE_URL: server }),
  ...(template && { PANDA_TEST_DATABASE_TEMPLATE: template.name }),
  PANDA_TEST_PROGRAMS: programs.folder,
  PANDA_TEST_TIMES: times.folder,
});
// A run that ends without its summary has not passed.
process.exitCode = 1;
const passed = await runFiles(
  {
    files: longestFirst(files),
    cwd: root,
    concurrency: Number(options['test-concurrency']),
    timeout: 480_000,
    execArgv: [
      '--disable-warning=ExperimentalWarning',
      '--import=./test/open-handles.ts',
      '--import=./test/processor-time.ts',
    ],
    testNamePatterns: options['test-name-pattern'] ?? [],
    testSkipPatterns: options['test-skip-pattern'] ?? [],
  },
  { again: options.again },
);
if (passed) process.exitCode = 0;
console.log(times.report());
times.remove();
await template?.drop();
await postgres?.stop();
programs.remove();

function longestFirst(all: readonly string[]): string[] {
  const first = LONGEST.map((name) => join(root, 'test', `${name}.test.ts`));
  const gone = first.filter((file) => !existsSync(file));
  if (gone.length > 0) throw new Error(`LONGEST names ${gone.map((file) => relative(root, file)).join(', ')}`);
  const wanted = new Set(all.map((file) => resolve(root, file)));
  return [...first.filter((file) => wanted.has(file)), ...[...wanted].filter((file) => !first.includes(file))];
}
