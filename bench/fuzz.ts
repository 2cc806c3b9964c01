/**
 * Sends a server of its own whatever its schemas allow, and what they do not, and the readers of hostile bytes whatever their formats do.
 *
 *     npm run fuzz [-- --minutes N] [--requests N] [--seed S] [--connections C]
 *
 * It ends with status 1 at a fault: an answer of 5xx or "internal error", one that takes longer than five seconds, none at all where
 * HTTP asks for one, a reader that throws what is no error of its own, a secret that passes the masker. The seed repeats a run's requests.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describedCalls, requestsFor } from './fuzz/requests.ts';
import { Connection, type Fault, SLOW_MILLISECONDS, type WireRequest } from './fuzz/send.ts';
import { Watch } from './fuzz/watch.ts';
import { makeSite, type Site, startServer } from './server/site.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    connections: { type: 'string', default: '200' },
    requests: { type: 'string', default: 'Infinity' },
  },
});
const end = Date.now() + Number(options.minutes) * 60_000;
const mostRequests = Number(options.requests);
const begun = Date.now();
const SHOWN_FAULTS = 20;
const BATCH = 500;

const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
// The limit would answer most of the run.
process.env['PANDA_SECRETS_FAILED_REQUESTS'] = '999999999';
process.env['PANDA_SECRETS_LOG_LEVEL'] = 'error';
try {
  process.exitCode = await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<number> {
  const site = await makeSite(folder, 3, ['a secret value']);
  administer(site, 'user', 'role', 'user2', 'operator');
  administer(site, 'user', 'add', 'spare');
  administer(site, 'queue', 'add', 'default');
  administer(site, 'queue', 'add', 'spare');
  const pilotToken = administer(site, 'pilot-token', '--bearer', '--queue', 'default');
  const server = await startServer(site);
  const origin = `http://127.0.0.1:${server.port}`;
  const tokens = [...site.users.map(({ token }) => token), pilotToken];
  const calls = await describedCalls(origin);
  const faults: Fault[] = [];
  const note = (fault: Fault) => {
    faults.push(fault);
    if (faults.length <= SHOWN_FAULTS) console.log(JSON.stringify(fault));
  };
  const statuses = new Map<number, number>();
  const memory: number[] = [residentMegabytes(server.pid)];
  let requests = 0;
  let slowest = 0;
  let starved = 0;
  const watch = new Watch(server.pid);
  let batch = 0;

  let waiting: WireRequest[] = [];
  const next = (): WireRequest | undefined => {
    if (Date.now() >= end || requests >= mostRequests) return undefined;
    if (waiting.length === 0)
      waiting = requestsFor(calls, tokens, { seed: Number(options.seed) + batch++, count: BATCH });
    return waiting.pop();
  };

  async function worker(): Promise<void> {
    const connection = new Connection(server.port);
    for (let request = next(); request; request = next()) {
      const { status, milliseconds, input, fault } = await connection.send(request);
      requests += 1;
      watch.countAnswer();
      if (request.whole) slowest = Math.max(slowest, milliseconds);
      if (request.whole && milliseconds > SLOW_MILLISECONDS) {
        const what = watch.reasonFor(milliseconds);
        if (what) note({ what, input });
        else starved += 1;
      }
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (fault) note(fault);
      if (requests % 20_000 === 0) {
        memory.push(residentMegabytes(server.pid));
        const perSecond = (requests / (Date.now() - begun)) * 1000;
        console.log(
          `${requests} requests, ${perSecond.toFixed(0)} a second; ${memory.at(-1)} MB; slowest answer ${slowest.toFixed(0)} ms`,
        );
      }
    }
    connection.close();
  }
  const readers = new Worker(new URL('./fuzz/readers-thread.ts', import.meta.url), {
    workerData: { end, seed: Number(options.seed) },
  });
  readers.on('message', ({ fault, told }: { fault?: Fault; told?: string }) => {
    if (fault) note(fault);
    if (told) console.log(told);
  });
  const read = new Promise((resolve) => readers.once('exit', resolve));
  await Promise.all([...Array.from({ length: Number(options.connections) }, worker)]);
  if (Date.now() < end) await readers.terminate();
  await read;
  memory.push(residentMegabytes(server.pid));
  await server.stop();
  const log = readFileSync(join(folder, 'server.log'), 'utf8').trim();
  console.log(
    `seed ${options.seed}: ${requests} requests to ${calls.length} calls; slowest answer ${slowest.toFixed(0)} ms; ` +
      `${starved} answers were slow while the machine gave the server no processor`,
  );
  console.log(
    `answers: ${[...statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status || 'closed'} ${count}`)
      .join(', ')}`,
  );
  console.log(`memory of the server in MB: ${memory.join(' ')}`);
  if (faults.length > 0) console.log(`${faults.length} faults`);
  if (log !== '') console.log(`the server logged:\n${log.slice(0, 4000)}`);
  return faults.length > 0 || log !== '' ? 1 : 0;
}

function administer({ data }: Site, ...command: string[]): string {
  const program = join(import.meta.dirname, '../src/cli/panda-secrets/main.ts');
  return execFileSync(process.execPath, [...process.execArgv, program, ...command, '--data', data])
    .toString()
    .trim();
}

function residentMegabytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}
