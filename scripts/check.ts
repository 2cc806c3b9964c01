// `npm run check`: formatter, linter, types, layering, unused code and dependencies, known advisories on what is shipped, all
// at once; `--fix` formats.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './build/bundles.ts';
import { shippedPackages } from './build/shipped-packages.ts';
import { advisoriesFor } from './check/advisories.ts';

const root = join(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');

const PRODUCTION = ['--production', '--treat-tag-hints-as-errors', '--include', 'files,exports,types'];

const tools: [name: string, tool: string, ...args: string[]][] = [
  ['formatter and linter', 'biome', 'check', '--error-on-warnings', ...(fix ? ['--write'] : [])],
  ['types', 'tsc', '-p', '.', '--incremental', '--tsBuildInfoFile', 'node_modules/.cache/check.tsbuildinfo'],
  ['layering', 'depcruise', 'src', '--config', '.dependency-cruiser.mjs'],
  ['unused code and dependencies', 'knip', '--no-progress', '--no-tag-hints'],
  // Here tests do not count as users. An export that waits for its caller has the tag @awaitsCaller, and loses it then.
  ['code that only tests use', 'knip', '--no-progress', ...PRODUCTION],
];

const passed = await Promise.all([
  ...tools.map(async ([name, tool, ...args]) => {
    const { status, output } = await run(join(root, 'node_modules', '.bin', tool), args);
    return report(name, status === 0, output);
  }),
  checkAdvisories(),
]);
process.exitCode = passed.every(Boolean) ? 0 : 1;

/** A registry that does not answer stops nobody: it says nothing about the code. */
async function checkAdvisories(): Promise<boolean> {
  const name = 'known advisories on what is shipped';
  const advisories = await advisoriesFor(shippedPackages(await bundle(root), root), root);
  if (advisories.answered) return report(name, advisories.lines.length === 0, advisories.lines.join('\n'));
  console.log(`??   ${name}: not checked, no registry answered (${advisories.reason})`);
  return true;
}

function report(name: string, ok: boolean, output: string): boolean {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) console.log(output);
  return ok;
}

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
