/**
 * Measures how long `pbook list_secrets` takes as a whole process, from the bundle against a local server, beside bare `node -e 0`; then `pbook show`
 * and `pbook list_secrets` of a user with 10,000 tasks and 1,000 secrets beside those of one with ten of each.
 *
 *     npm run build && npm run bench:cli [-- --runs N] [--cpu-prof DIR]
 *
 * All take turns, so that what else the machine does falls on each. What is printed is Markdown for
 * docs/performance.md. Nothing here passes or fails.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { timed } from './cli/timed.ts';
import { fillTasks } from './server/fill-queue.ts';
import { childrenCpuSeconds, cpuSeconds } from './server/process-usage.ts';
import { BUNDLE, makeSite, secretName, startServer, valuesOf } from './server/site.ts';
import { machineOf } from './server/table.ts';

/** Rounds that are run first and not counted: they fill the compile cache and the system's page cache. */
const WARM_UP = 3;
/** The most that `pbook list_secrets` may take, in times of bare Node. */
const GOAL = 2.5;
/** The most that a command of a user with much may take, in times of one with little. */
const GROWTH_GOAL = 2;
const LITTLE = { tasks: 10, secrets: 10 };
const MUCH = { tasks: 10_000, secrets: 1_000 };
const SECRETS = 5;
const VALUE_BYTES = 1024;
const PBOOK = join(import.meta.dirname, '../dist/pbook.js');

const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '20' }, 'cpu-prof': { type: 'string' } },
});
const runs = Number(options.runs);
const profile = options['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`] : [];

/** A command, and the server whose CPU time counts with it. */
interface Contestant {
  name: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  serverPid?: number;
  /** Its output must match. */
  shows?: RegExp;
}

/** Milliseconds: by the clock of each run, and of CPU on the average, the server's included. */
interface Measured {
  name: string;
  milliseconds: number[];
  cpu: number;
}

const folder = mkdtempSync(join(tmpdir(), 'bench-cli-'));
try {
  console.log(`${machineOf(folder)}. Medians of ${runs} runs each, in turns.\n`);
  await besideBareNode();
  await besideLittle();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function besideBareNode(): Promise<void> {
  const values = Array.from({ length: SECRETS }, (_, n) => `value_${n}`);
  const { env, server } = await serverWith(values);
  const measured = await takeTurns([
    { name: 'bare `node -e 0`', args: ['-e', '0'] },
    { name: '`pbook --version`', args: [PBOOK, '--version'], env },
    {
      name: '`pbook list_secrets`',
      args: [...profile, PBOOK, 'list_secrets'],
      env,
      shows: new RegExp(`${secretName(1)} +: value_1\n`),
    },
  ]);
  await server.stop();
  const spreads = measured.map(({ name, milliseconds }) => ({ name, ...spread(milliseconds) }));
  const bare = spreads[0]?.median ?? Number.NaN;
  console.log(`The goal is ${GOAL} times bare Node.\n`);
  console.log('| process | median | fastest | slowest | times bare Node |');
  console.log('|---|--:|--:|--:|--:|');
  for (const { name, median, fastest, slowest } of spreads) {
    const cells = [median, fastest, slowest].map((milliseconds) => `${milliseconds.toFixed(0)} ms`);
    console.log(`| ${name} | ${cells.join(' | ')} | ${(median / bare).toFixed(2)} |`);
  }
}

/** Both commands with little and with much, and a bare program that prints what the latter print. */
async function besideLittle(): Promise<void> {
  const sites: Awaited<ReturnType<typeof serverWith>>[] = [];
  for (const { tasks, secrets } of [LITTLE, MUCH]) {
    sites.push(await serverWith(valuesOf(secrets, VALUE_BYTES), tasks));
  }
  console.log(
    `\nWith ${MUCH.tasks} tasks and ${MUCH.secrets} secrets the goal is under ${GROWTH_GOAL} times ten of each.\n`,
  );
  console.log('| command | of | lines | median | fastest | ÷ ten | CPU ms, with the server | ÷ ten |');
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|');
  for (const [command, kind] of [
    ['show', 'tasks'],
    ['list_secrets', 'secrets'],
  ] as const) {
    const contestants: Contestant[] = [LITTLE, MUCH].map((size, n) => {
      const { env, server } = sites[n] as (typeof sites)[0];
      return {
        name: `\`pbook ${command}\` | ${size[kind]}`,
        args: [...profile, PBOOK, command],
        env,
        serverPid: server.pid,
      };
    });
    const texts = await Promise.all(
      contestants.map(async ({ args, env = {} }) => (await timed(process.execPath, args, env)).stdout),
    );
    const printed = join(folder, `${command}.txt`);
    writeFileSync(printed, texts.at(-1) ?? '');
    const bare = `process.stdout.write(require('fs').readFileSync(${JSON.stringify(printed)}))`;
    const measured = await takeTurns([
      ...contestants,
      { name: 'bare Node that prints the same | ', args: ['-e', bare] },
    ]);
    const lines = [...texts, texts.at(-1)].map((text = '') => text.split('\n').length - 1);
    const [first] = measured.map(({ milliseconds, cpu }) => ({ ...spread(milliseconds), cpu }));
    for (const [n, { name, milliseconds, cpu }] of measured.entries()) {
      const { median, fastest } = spread(milliseconds);
      const times = [median, fastest].map((one) => `${one.toFixed(0)} ms`).join(' | ');
      const ratios = [median / (first?.median ?? 0), cpu / (first?.cpu ?? 0)].map((one) => one.toFixed(2));
      console.log(`| ${name} | ${lines[n]} | ${times} | ${ratios[0]} | ${cpu.toFixed(0)} | ${ratios[1]} |`);
    }
  }
  for (const { server } of sites) await server.stop();
}

/** A server with one user who keeps these values, and that many tasks; `env`: of that user's commands. */
async function serverWith(values: readonly string[], tasks = 0) {
  const own = mkdtempSync(join(folder, 'site-'));
  const site = await makeSite(own, 1, values);
  const [user] = site.users;
  assert.ok(user);
  if (tasks > 0) await fillTasks(site.data, user.owner, tasks);
  const server = await startServer(site, { program: BUNDLE });
  const env = {
    PATH: process.env['PATH'],
    HOME: own,
    PANDA_URL_SSL: `http://127.0.0.1:${server.port}`,
    PANDA_AUTH_ID_TOKEN: user.token,
  };
  return { env, server };
}

async function takeTurns(contestants: readonly Contestant[]): Promise<Measured[]> {
  const taken = contestants.map(({ name }) => ({ name, milliseconds: [] as number[], cpu: 0 }));
  for (let round = -WARM_UP; round < runs; round++) {
    for (const [n, { args, env = {}, serverPid, shows }] of contestants.entries()) {
      const cpu = () => childrenCpuSeconds() + (serverPid === undefined ? 0 : cpuSeconds(serverPid));
      const before = cpu();
      const { status, stdout, stderr, milliseconds } = await timed(process.execPath, args, env);
      assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
      if (shows) assert.match(stdout, shows);
      const own = taken[n];
      if (round < 0 || !own) continue;
      own.milliseconds.push(milliseconds);
      own.cpu += ((cpu() - before) * 1000) / runs;
    }
  }
  return taken;
}

function spread(values: readonly number[]): { median: number; fastest: number; slowest: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (place: number) => sorted[place] ?? Number.NaN;
  const middle = sorted.length / 2;
  const median = Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle));
  return { median, fastest: at(0), slowest: at(sorted.length - 1) };
}
