/**
 * Sends a server of its own whatever its schemas allow, and what they do not, and the readers of hostile bytes whatever their formats do.
 *
 *     npm run fuzz [-- --minutes N] [--seed S] [--connections C]
 *
 * It ends with status 1 at a fault: an answer of 5xx or "internal error", one that takes longer than five seconds, none at all where
 * HTTP asks for one, a reader that throws what is no error of its own, a secret that passes the masker. The seed repeats a run's requests.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzzReaders } from './fuzz/readers.ts';
import { describedCalls, requestsFor } from './fuzz/requests.ts';
import { type Fault, send } from './fuzz/send.ts';
import { makeSite, startServer } from './server/site.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    connections: { type: 'string', default: '8' },
  },
});
const end = Date.now() + Number(options.minutes) * 60_000;
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
  const site = await makeSite(folder, 2, ['a secret value']);
  const server = await startServer(site);
  const pilotToken = execFileSync(process.execPath, [
    ...process.execArgv,
    join(import.meta.dirname, '../src/cli/panda-secrets/main.ts'),
    ...['pilot-token', '--bearer', '--queue', 'default', '--data', site.data],
  ])
    .toString()
    .trim();
  const origin = `http://127.0.0.1:${server.port}`;
  const tokens = [...site.users.map(({ token }) => token), pilotToken];
  const calls = await describedCalls(origin);
  const faults: Fault[] = [];
  const statuses = new Map<number, number>();
  const memory: number[] = [residentMegabytes(server.pid)];
  let requests = 0;
  let slowest = 0;
  let batch = 0;

  async function worker(): Promise<void> {
    while (Date.now() < end && faults.length < SHOWN_FAULTS) {
      for (const request of requestsFor(calls, tokens, { seed: Number(options.seed) + batch++, count: BATCH })) {
        const { status, milliseconds, fault } = await send(server.port, request);
        requests += 1;
        slowest = Math.max(slowest, milliseconds);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (fault) faults.push(fault);
        if (requests % 20_000 === 0) {
          memory.push(residentMegabytes(server.pid));
          console.log(`${requests} requests, ${memory.at(-1)} MB, slowest answer ${slowest.toFixed(0)} ms`);
        }
        if (Date.now() >= end) return;
      }
    }
  }
  await Promise.all([
    fuzzReaders(end, Number(options.seed), faults),
    ...Array.from({ length: Number(options.connections) }, worker),
  ]);
  memory.push(residentMegabytes(server.pid));
  await server.stop();
  const log = readFileSync(join(folder, 'server.log'), 'utf8').trim();
  console.log(
    `seed ${options.seed}: ${requests} requests to ${calls.length} calls; slowest answer ${slowest.toFixed(0)} ms`,
  );
  console.log(
    `answers: ${[...statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status || 'closed'} ${count}`)
      .join(', ')}`,
  );
  console.log(`memory of the server in MB: ${memory.join(' ')}`);
  for (const fault of faults) console.log(JSON.stringify(fault));
  if (log !== '') console.log(`the server logged:\n${log.slice(0, 4000)}`);
  return faults.length > 0 || log !== '' ? 1 : 0;
}

function residentMegabytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}
