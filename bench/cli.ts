/**
 * Measures how long `pbook list_secrets` takes as a whole process, from the bundle against a local server, beside bare `node -e 0`.
 *
 *     npm run bench:cli [-- --runs N] [--cpu-prof DIR]
 *
 * The two take turns, so that what else the machine does falls on both. What is printed is Markdown for
 * docs/performance.md. Nothing here passes or fails.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { timed } from './cli/timed.ts';
import { makeSite, secretName, startServer } from './server/site.ts';
import { machineOf } from './server/table.ts';

/** Pairs that are run first and not counted: they fill the compile cache and the system's page cache. */
const WARM_UP = 3;
/** The most that `pbook list_secrets` may take, in times of bare Node. */
const GOAL = 2.5;
const SECRETS = 5;
const DIST = join(import.meta.dirname, '../dist');

const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '20' }, 'cpu-prof': { type: 'string' } },
});
const runs = Number(options.runs);

const folder = mkdtempSync(join(tmpdir(), 'bench-cli-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const site = await makeSite(
    folder,
    1,
    Array.from({ length: SECRETS }, (_, n) => `value_${n}`),
  );
  const server = await startServer(site, { program: join(DIST, 'panda-secrets.js') });
  const environment = {
    PATH: process.env['PATH'],
    HOME: folder,
    PANDA_URL_SSL: `http://127.0.0.1:${server.port}`,
    PANDA_AUTH_ID_TOKEN: site.users[0]?.token,
  };
  const pbook = join(DIST, 'pbook.js');
  const profile = options['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`] : [];
  const contestants: Record<string, { args: string[]; milliseconds: number[] }> = {
    'bare `node -e 0`': { args: ['-e', '0'], milliseconds: [] },
    '`pbook --version`': { args: [pbook, '--version'], milliseconds: [] },
    '`pbook list_secrets`': { args: [...profile, pbook, 'list_secrets'], milliseconds: [] },
  };
  for (let round = -WARM_UP; round < runs; round++) {
    for (const { args, milliseconds } of Object.values(contestants)) {
      const { status, stdout, milliseconds: took } = await timed(process.execPath, args, environment);
      assert.equal(status, 0, args.join(' '));
      if (args.at(-1) === 'list_secrets') assert.match(stdout, new RegExp(`${secretName(1)} +: value_1\n`));
      if (round >= 0) milliseconds.push(took);
    }
  }
  await server.stop();
  const medians = Object.entries(contestants).map(([name, { milliseconds }]) => ({ name, ...spread(milliseconds) }));
  const bare = medians[0]?.median ?? Number.NaN;
  console.log(`${machineOf(folder)}. Median of ${runs} runs each, in turns; the goal is ${GOAL} times bare Node.\n`);
  console.log('| process | median | fastest | slowest | times bare Node |');
  console.log('|---|--:|--:|--:|--:|');
  for (const { name, median, fastest, slowest } of medians) {
    const cells = [median, fastest, slowest].map((milliseconds) => `${milliseconds.toFixed(0)} ms`);
    console.log(`| ${name} | ${cells.join(' | ')} | ${(median / bare).toFixed(2)} |`);
  }
}

function spread(values: readonly number[]): { median: number; fastest: number; slowest: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const middle = sorted.length / 2;
  const median = Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle));
  return { median, fastest: at(0), slowest: at(sorted.length - 1) };
}
