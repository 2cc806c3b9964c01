/**
 * Measures a launcher: a look at its queue and at its batch system, with many jobs that wait and many pilots, beside one with none.
 *
 *     npm run bench:launcher [-- --rounds N] [--jobs N] [--pilots N]
 *
 * The server runs as a process of its own (from source), the launchers in this one, and the batch system is a table. Rounds take turns. What is printed
 * is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../src/client/client.ts';
import { buildTaskParameters } from '../src/client/task-parameters.ts';
import { addLauncher } from '../src/identity/launchers.ts';
import { addQueue } from '../src/jobs/queues.ts';
import { DEFAULT_VO } from '../src/protocol/limits.ts';
import { openInstallation } from '../src/site/installation.ts';
import { stubBatch, stubLauncher } from '../test/pilot/launcher/stubs.ts';
import { cpuSeconds } from './server/process-usage.ts';
import { makeSite, type Site, startServer } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    jobs: { type: 'string', default: '10000' },
    pilots: { type: 'string', default: '500' },
  },
});
const [rounds, manyJobs, manyPilots] = [options.rounds, options.jobs, options.pilots].map(Number) as [
  number,
  number,
  number,
];
/** Looks of one launcher in a turn: the server's time is known to a hundredth of a second. */
const LOOKS = 40;
const CASES = [
  { queue: 'NONE', jobs: 1, pilots: 1 },
  { queue: 'JOBS', jobs: manyJobs, pilots: 1 },
  { queue: 'PILOTS', jobs: 1, pilots: manyPilots },
  { queue: 'BOTH', jobs: manyJobs, pilots: manyPilots },
];

const folder = mkdtempSync(join(tmpdir(), 'bench-launcher-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const site = await makeSite(folder, 1, []);
  const tokens = await addLaunchers(site);
  const server = await startServer(site);
  const connect = (token: string): Client =>
    createClient({ url: `http://127.0.0.1:${server.port}`, token: async () => token, vo: DEFAULT_VO });
  const user = connect(site.users[0]?.token ?? '');
  const measured = [];
  for (const [index, { queue, jobs, pilots }] of CASES.entries()) {
    await submit(user, queue, jobs);
    const batch = stubBatch();
    const client = connect(tokens[index] ?? '');
    const made = stubLauncher(batch, client.launching, { maxPilots: pilots + 1, maxQueued: 1 }, { queue });
    for (let id = 1; id <= pilots; id++) batch.jobs.set(`x${id}`, { state: 'running' });
    const started = await costOf(server.pid, () => made.rounds(1));
    measured.push({ queue, jobs, pilots, client, batch, made, started, looks: [] as Cost[] });
  }
  for (let round = -2; round < rounds; round++) {
    for (const { batch, made, looks } of measured) {
      batch.calls.length = 0;
      const cost = await costOf(server.pid, () => made.rounds(LOOKS));
      if (round >= 0)
        looks.push({
          launcher: cost.launcher / LOOKS,
          server: cost.server / LOOKS,
          commands: batch.calls.length / LOOKS,
        });
    }
  }
  const [none] = measured;
  console.log(`${machineOf(tmpdir())} ${rounds} rounds of ${LOOKS} looks.\n`);
  console.log(
    '| jobs that wait | pilots | launcher, CPU ms | ÷ none | server, CPU ms | ÷ none | commands of the batch system |',
  );
  console.log('|--:|--:|--:|--:|--:|--:|--:|');
  for (const { jobs, pilots, looks } of measured) {
    const cells = (['launcher', 'server'] as const).flatMap((where) => [
      median(looks.map((cost) => cost[where])).toFixed(2),
      median(looks.map((cost, at) => cost[where] / (none?.looks[at]?.[where] ?? 1))).toFixed(2),
    ]);
    console.log(
      `| ${jobs} | ${pilots} | ${cells.join(' | ')} | ${median(looks.map(({ commands = 0 }) => commands))} |`,
    );
  }
  const each = measured
    .filter(({ pilots }) => pilots > 1)
    .map(({ started, pilots }) => ({ launcher: started.launcher / pilots, server: started.server / pilots }));
  console.log(
    `\nA token made and handed over: launcher ${median(each.map(({ launcher }) => launcher)).toFixed(2)} ms of CPU, server ${median(each.map(({ server }) => server)).toFixed(2)} ms.`,
  );
  for (const { client } of measured) client.close();
  user.close();
  await server.stop();
}

/** Milliseconds of CPU. */
interface Cost {
  launcher: number;
  server: number;
  commands?: number;
}

async function costOf(serverPid: number, work: () => Promise<unknown>): Promise<Cost> {
  const [own, others] = [process.cpuUsage(), cpuSeconds(serverPid)];
  await work();
  const { user, system } = process.cpuUsage(own);
  return { launcher: (user + system) / 1000, server: (cpuSeconds(serverPid) - others) * 1000 };
}

/** A queue and a launcher's token for each case. */
async function addLaunchers({ data }: Site): Promise<string[]> {
  const clock = Date.now;
  const { store, issuer, close } = await openInstallation({ data }, { create: false, clock });
  const tokens: string[] = [];
  for (const { queue } of CASES) {
    await addQueue(store, clock, queue);
    const launcher = await addLauncher(store, clock, { name: queue, queues: [queue], endsAt: clock() + 3_600_000 });
    tokens.push(await issuer.mintLauncherToken(launcher, { ttlSeconds: 3600, vo: DEFAULT_VO }));
  }
  await close();
  return tokens;
}

async function submit(user: Client, site: string, jobs: number): Promise<void> {
  const sandbox = await user.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(randomUUID()));
  const task = {
    exec: 'true',
    outDataset: `user.x.${site}`,
    outputs: [],
    jobs,
    useSecrets: false,
    commandLine: 'prun',
    site,
  };
  await user.submitTask(buildTaskParameters(task, DEFAULT_VO, sandbox));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
