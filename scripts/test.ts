// `npm test`: every test file, or those below the paths that are named: `npm test -- test/vault`.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

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

const child = spawn(
  process.execPath,
  ['--disable-warning=ExperimentalWarning', '--test', '--test-timeout=240000', ...options, ...files],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
child.on('exit', (status) => {
  process.exitCode = status ?? 1;
});
