// `npm run check`: formatter, linter, types, layering, unused code and dependencies, all at once; `--fix` formats.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');

const checks: [name: string, tool: string, ...args: string[]][] = [
  ['formatter and linter', 'biome', 'check', '--error-on-warnings', ...(fix ? ['--write'] : [])],
  ['types', 'tsc', '-p', '.'],
  ['layering', 'depcruise', 'src', '--config', '.dependency-cruiser.mjs'],
  ['unused code and dependencies', 'knip', '--no-progress'],
];

const results = await Promise.all(
  checks.map(async ([name, tool, ...args]) => {
    const { status, output } = await run(join(root, 'node_modules', '.bin', tool), args);
    console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name}`);
    if (status !== 0) console.log(output);
    return status === 0;
  }),
);
process.exitCode = results.every(Boolean) ? 0 : 1;

function run(command: string, args: string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}
