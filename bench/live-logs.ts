/**
 * Measures the server while the logs of many running jobs grow, each followed by somebody.
 *
 *     npm run build && npm run bench:live-logs [-- --jobs N] [--seconds S] [--source]
 *
 * A pilot session appends a line of 200 bytes to each job's log every `LIVE_LOG_SECONDS`, as `panda-pilot` does, and a user follows each job, a task of its own, as
 * `pbook show_log --follow` does, with the same code. All of them begin at different moments. What is printed is Markdown for docs/performance.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Client, createClient } from '../src/client/client.ts';
import { followLogs } from '../src/client/follow-logs.ts';
import { prepareJoin } from '../src/client/pilot-session.ts';
import { buildTaskParameters } from '../src/client/task-parameters.ts';
import { DEFAULT_VO, LIVE_LOG_SECONDS, MAX_JOBS_PER_ACQUIRE } from '../src/protocol/limits.ts';
import { cpuSeconds } from './server/process-usage.ts';
import { BUNDLE, makeSite, QUEUE, startServer } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
    source: { type: 'boolean', default: false },
  },
});
const jobCount = Number(options.jobs);
const seconds = Number(options.seconds);
const USERS = 32;
const LINE = Buffer.from(`${'x'.repeat(199)}\n`);
/** Everybody has begun by then. */
const BEGIN_SECONDS = 2 * LIVE_LOG_SECONDS;

const folder = mkdtempSync(join(tmpdir(), 'bench-live-logs-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0); // Followers would wait for the ends of their jobs.

async function run(): Promise<void> {
  const site = await makeSite(folder, USERS, []);
  const server = await startServer(site, { program: options.source ? undefined : BUNDLE });
  const connection = { url: `http://127.0.0.1:${server.port}`, vo: DEFAULT_VO };
  const users = site.users.map(({ token }) => createClient({ ...connection, token: async () => token }));
  const tasks: { user: Client; taskId: number }[] = [];
  for (let n = 0; n < jobCount; n++) {
    const user = users[n % USERS] as Client;
    tasks.push({ user, taskId: (await user.submitTask(submission(n))).taskId });
  }
  const sessionOf = await prepareJoin(connection, { token: site.joinToken, queue: QUEUE, node: 'node1.example.org' });
  const pilot = createClient({ ...connection, signer: await sessionOf() });
  const jobs: number[] = [];
  while (jobs.length < jobCount) {
    const given = await pilot.acquireJobs({ site_name: QUEUE, node: 'node1', n_jobs: MAX_JOBS_PER_ACQUIRE });
    if (given.length === 0) throw new Error(`only ${jobs.length} jobs were given`);
    jobs.push(...given.map(({ PandaID }) => PandaID));
  }

  const counts = { sent: 0, read: 0 };
  let isOver = false;
  const failed = (error: unknown) => {
    // Without a server nobody is answered.
    if (isOver) return;
    console.error(error);
    process.exit(1);
  };
  for (const jobId of jobs) void write(pilot, jobId, counts).catch(failed);
  for (const task of tasks) void follow(task, counts).catch(failed);
  await delay(BEGIN_SECONDS * 1000);
  const before = { cpu: cpuSeconds(server.pid), at: performance.now(), ...counts };
  await delay(seconds * 1000);
  const cpu = cpuSeconds(server.pid) - before.cpu;
  const took = (performance.now() - before.at) / 1000;
  const [sent, read] = [counts.sent - before.sent, counts.read - before.read].map(
    (bytes) => bytes / LINE.length / took,
  );
  console.log(`${machineOf(folder)}. ${jobCount} jobs, ${took.toFixed(0)} s.\n`);
  console.log('| lines appended a second | lines read a second | of one core |\n|--:|--:|--:|');
  console.log(`| ${sent?.toFixed(0)} | ${read?.toFixed(0)} | ${((cpu / took) * 100).toFixed(0)} % |`);
  isOver = true;
  await server.stop();
}

async function write(pilot: Client, jobId: number, counts: { sent: number }): Promise<void> {
  await delay(Math.random() * LIVE_LOG_SECONDS * 1000);
  for (let offset = 0; ; ) {
    const since = performance.now();
    const { size } = await pilot.appendJobLog({ job_id: jobId, attempt_nr: 1, offset }, LINE);
    counts.sent += size - offset;
    offset = size;
    await delay(Math.max(0, LIVE_LOG_SECONDS * 1000 - (performance.now() - since)));
  }
}

async function follow({ user, taskId }: { user: Client; taskId: number }, counts: { read: number }): Promise<void> {
  await delay(Math.random() * LIVE_LOG_SECONDS * 1000);
  for await (const { bytes } of followLogs(user, taskId)) counts.read += bytes.length;
}

function submission(n: number): object {
  return buildTaskParameters(
    {
      exec: 'true',
      outDataset: `user.bench.${n}`,
      outputs: [],
      jobs: 1,
      useSecrets: false,
      commandLine: 'prun --exec true --noBuild',
    },
    DEFAULT_VO,
    { origin: 'http://127.0.0.1:25080', fileName: 'jobO.00000000-0000-4000-8000-000000000000.tar.gz' },
  );
}
