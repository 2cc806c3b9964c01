// `npm test`: every test file, or those below the paths that are named: `npm test -- test/vault`.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemplate } from '../test/database-template.ts';
import { startEmbeddedPostgres } from '../test/embedded-postgres.ts';
import { buildTestPrograms } from './build/test-programs.ts';

const root = join(import.meta.dirname, '..');
const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = (named.length > 0 ? named : ['test']).flatMap((place) =>
  place.endsWith('.ts') ? [place] : globSync(`${place}/**/*.test.ts`, { cwd: root }).sort(),
);
if (files.length === 0) {
  console.error(`no test file below ${named.join(', ')}`);
  process.exit(2);
}

// One PostgreSQL for all test files, each test having a database of its own. Where none can start, the tests that want
// one say so and are skipped.
const given = process.env['PANDA_TEST_DATABASE_URL'];
const [postgres, programs] = await Promise.all([
  given ? undefined : startEmbeddedPostgres().catch(() => undefined),
  buildTestPrograms(root),
]);
const server = given ?? postgres?.url;
const template = server ? await makeTemplate(server) : undefined;

const child = spawn(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--import=./test/open-handles.ts',
    '--test',
    '--test-timeout=240000',
    '--test-concurrency=3',
    ...options,
    ...files,
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PANDA_TEST_DATABASE_URL: server,
      PANDA_TEST_DATABASE_TEMPLATE: template?.name,
      PANDA_TEST_PROGRAMS: programs.folder,
    },
  },
);
child.on('exit', async (status) => {
  await template?.drop();
  await postgres?.stop();
  programs.remove();
  process.exitCode = status ?? 1;
});
