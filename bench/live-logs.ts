/**
 * Measures the server while the logs of many running jobs grow, and are followed.
 *
 *     npm run build && npm run bench:live-logs [-- --jobs N] [--seconds S] [--workers N] [--postgres] [--source] [--cpu-prof DIR]
 *
 * Each job has a pilot with a session and a connection of its own, which appends a line of 200 bytes every `LIVE_LOG_SECONDS`, as `panda-pilot` does. First each job is a task
 * that somebody follows, as `pbook logs --follow` does, with the same code on a connection of their own; then all are the jobs of one task, which one user follows. All begin at
 * different moments. PostgreSQL is the one that PANDA_SECRETS_DATABASE names, whose user may create databases, or one that `--postgres` starts. Markdown for docs/performance.md
 * is printed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Client, createClient } from '../src/client/client.ts';
import { followLogs } from '../src/client/follow-logs.ts';
import { prepareJoin } from '../src/client/pilot-session.ts';
import { buildTaskParameters } from '../src/client/task-parameters.ts';
import { DEFAULT_VO, LIVE_LOG_SECONDS } from '../src/protocol/limits.ts';
import { openBenchPostgres } from './server/postgres.ts';
import { cpuSeconds, peakMemoryBytes } from './server/process-usage.ts';
import { BUNDLE, makeJoinTokens, makeSite, QUEUE, type RunningServer, type Site, startServer } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
    workers: { type: 'string' },
    postgres: { type: 'boolean', default: false },
    source: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' },
  },
});
const jobCount = Number(options.jobs);
const seconds = Number(options.seconds);
const USERS = 32;
const LINE = Buffer.from(`${'x'.repeat(199)}\n`);
/** Everybody has begun by then, and one who follows all jobs has asked for each. */
const BEGIN_SECONDS = 8 * LIVE_LOG_SECONDS;
/** Tasks are submitted, and pilots join, by so many at a time. */
const AT_ONCE = 20;

const folder = mkdtempSync(join(tmpdir(), 'bench-live-logs-'));
const postgresUrl = options.postgres ? undefined : process.env['PANDA_SECRETS_DATABASE'];
const postgres = options.postgres || postgresUrl ? await openBenchPostgres(postgresUrl, tmpdir()) : undefined;
try {
  const rows: string[] = [];
  for (const ofTask of [1, jobCount]) rows.push(await measure(ofTask));
  const workers = options.workers ? `, ${options.workers} workers` : '';
  const database = postgres ? `, PostgreSQL ${postgres.version}` : '';
  console.log(`${machineOf(folder)}. ${jobCount} jobs, ${seconds} s${workers}${database}.\n`);
  console.log('| followed | lines appended a second | read a second | of one core | CPU µs a line | peak MB |');
  console.log('|---|--:|--:|--:|--:|--:|');
  console.log(rows.join('\n'));
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

/** @param ofTask jobs of each task, which somebody follows */
async function measure(ofTask: number): Promise<string> {
  const own = join(folder, `of-${ofTask}`);
  mkdirSync(own);
  const site = await makeSite(own, USERS, [], postgres);
  const tokens = await makeJoinTokens(site, jobCount);
  const server = await startServer(site, {
    program: options.source ? undefined : BUNDLE,
    nodeOptions: options['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`] : [],
    serveOptions: options.workers ? ['--workers', options.workers] : [],
  });
  const connection = { url: `http://127.0.0.1:${server.port}`, vo: DEFAULT_VO };
  const clientOf = (n: number) => {
    const { token } = site.users[n % USERS] as Site['users'][number];
    return createClient({ ...connection, token: async () => token });
  };
  const numbers = Array.from({ length: jobCount / ofTask }, (_, n) => n);
  const tasks = await inParts(numbers, async (n) => {
    const user = clientOf(n);
    return { user, taskId: (await user.submitTask(submission(n, ofTask))).taskId };
  });
  const pilots = await inParts(tokens, async (token) => {
    const join = await prepareJoin(connection, { token, queue: QUEUE, node: 'node1.example.org' });
    const pilot = createClient({ ...connection, signer: await join() });
    const [job] = await pilot.acquireJobs({ site_name: QUEUE, node: 'node1' });
    if (!job) throw new Error('no job was given');
    return { pilot, jobId: job.PandaID };
  });
  return await whileFollowed(server, { pilots, tasks, ofTask });
}

async function whileFollowed(
  server: RunningServer,
  {
    pilots,
    tasks,
    ofTask,
  }: { pilots: { pilot: Client; jobId: number }[]; tasks: { user: Client; taskId: number }[]; ofTask: number },
): Promise<string> {
  const counts = { sent: 0, read: 0 };
  const over = new AbortController();
  const failed = (error: unknown) => {
    if (over.signal.aborted) return;
    console.error(error);
    process.exit(1);
  };
  for (const one of pilots) void write(one, counts, over.signal).catch(failed);
  for (const task of tasks) void follow(task, counts, over.signal).catch(failed);
  await delay(BEGIN_SECONDS * 1000);
  const before = { cpu: cpuSeconds(server.pid), at: performance.now(), ...counts };
  await delay(seconds * 1000);
  const cpu = cpuSeconds(server.pid) - before.cpu;
  const took = (performance.now() - before.at) / 1000;
  const [sent = 0, read = 0] = [counts.sent - before.sent, counts.read - before.read].map(
    (bytes) => bytes / LINE.length,
  );
  const peak = peakMemoryBytes(server.pid) / 2 ** 20;
  over.abort();
  for (const { pilot } of pilots) pilot.close();
  for (const { user } of tasks) user.close();
  await server.stop();
  const cells = [
    ofTask === 1 ? 'each by somebody' : 'all by one user',
    (sent / took).toFixed(0),
    (read / took).toFixed(0),
    `${((cpu / took) * 100).toFixed(0)} %`,
    ((cpu / sent) * 1e6).toFixed(0),
    peak.toFixed(0),
  ];
  return `| ${cells.join(' | ')} |`;
}

async function write(
  { pilot, jobId }: { pilot: Client; jobId: number },
  counts: { sent: number },
  over: AbortSignal,
): Promise<void> {
  await delay(Math.random() * LIVE_LOG_SECONDS * 1000);
  for (let offset = 0; !over.aborted; ) {
    const { size } = await pilot.appendJobLog({ job_id: jobId, attempt_nr: 1, offset }, LINE);
    counts.sent += size - offset;
    offset = size;
    await delay(LIVE_LOG_SECONDS * 1000, undefined, { signal: over });
  }
}

async function follow(
  { user, taskId }: { user: Client; taskId: number },
  counts: { read: number },
  signal: AbortSignal,
): Promise<void> {
  await delay(Math.random() * LIVE_LOG_SECONDS * 1000);
  for await (const { bytes } of followLogs(user, taskId, { signal })) counts.read += bytes.length;
}

async function inParts<T, R>(all: readonly T[], run: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    results.push(...(await Promise.all(all.slice(from, from + AT_ONCE).map(run))));
  }
  return results;
}

function submission(n: number, jobs: number): object {
  return buildTaskParameters(
    {
      exec: 'true',
      outDataset: `user.bench.${n}`,
      outputs: [],
      jobs,
      useSecrets: false,
      commandLine: 'prun --exec true --noBuild',
    },
    DEFAULT_VO,
    { origin: 'http://127.0.0.1:25080', fileName: 'jobO.00000000-0000-4000-8000-000000000000.tar.gz' },
  );
}
