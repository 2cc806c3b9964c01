/**
 * Measures if requests take the same time as a site grows: gets and sets with more owners and more secrets of each, acquisitions with more
 * waiting jobs of more owners. Each size is a server of its own, driven by `wrk`; they take turns.
 *
 *     npm run build && npm run bench:growth [-- --owners 10,1000] [--secrets 1,10,100] [--jobs 100x1,100000x1000]
 *         [--rounds N] [--seconds S] [--connections C] [--source]
 *
 * `--jobs` names jobs and owners, `100000x1000`; more than `MAX_JOBS_PER_TASK` for each owner are several tasks. The servers run from dist/, or from
 * source with `--source`. What is printed is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { driven, wrkVersion } from './server/driver.ts';
import { fillQueue } from './server/fill-queue.ts';
import { makeLoads } from './server/requests.ts';
import { type Contestant, type Result, ratio, takeTurns } from './server/rounds.ts';
import { BUNDLE, makeSite, type RunningServer, startServer, valuesOf } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    owners: { type: 'string', default: '10,1000' },
    secrets: { type: 'string', default: '1,10,100' },
    jobs: { type: 'string', default: '100x1,100x100,100000x1,100000x10000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '8' },
    source: { type: 'boolean', default: false },
  },
});
const turns = { rounds: Number(options.rounds), seconds: Number(options.seconds) };
const connections = Number(options.connections);
const VALUE_BYTES = 1024;

const folder = mkdtempSync(join(tmpdir(), 'bench-growth-'));
const servers: RunningServer[] = [];
try {
  console.log(
    `${machineOf(folder)}. ${turns.rounds} rounds of ${turns.seconds} s, ${connections} connections, wrk ${wrkVersion()}.\n`,
  );
  await growOwners();
  await growJobs();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Gets and sets: the first row has the fewest of both, and the others are beside it. */
async function growOwners(): Promise<void> {
  const sizes = numbers(options.owners).flatMap((owners) =>
    numbers(options.secrets).map((secrets) => ({ owners, secrets })),
  );
  const kinds = { get: [] as Contestant[], set: [] as Contestant[] };
  for (const { owners, secrets } of sizes) {
    const values = valuesOf(secrets, VALUE_BYTES);
    const server = await serverOf(owners, values);
    for (const kind of ['get', 'set'] as const) {
      kinds[kind].push(driven(`${owners} | ${secrets}`, server, server.loads[kind], connections));
    }
  }
  for (const [kind, contestants] of Object.entries(kinds)) {
    print(`${kind}, values of ${VALUE_BYTES} bytes`, 'owners | secrets of each', await takeTurns(contestants, turns));
  }
  await stopAll();
}

async function growJobs(): Promise<void> {
  const contestants: Contestant[] = [];
  for (const size of options.jobs.split(',').filter(Boolean)) {
    const [jobs = 0, owners = 1] = size.split('x').map(Number);
    const server = await serverOf(1, valuesOf(1, VALUE_BYTES), (data) => fillQueue(data, { jobs, owners }));
    // An acquired job does not wait any more: a submission comes with each acquisition.
    contestants.push(driven(`${jobs} | ${owners}`, server, server.loads.job, connections));
  }
  print('submit and acquire of a job', 'waiting jobs | of owners', await takeTurns(contestants, turns));
  await stopAll();
}

async function serverOf(owners: number, values: readonly string[], prepare?: (data: string) => Promise<void>) {
  const own = mkdtempSync(join(folder, 'site-'));
  const site = await makeSite(own, owners, values);
  await prepare?.(site.data);
  const server = await startServer(site, { program: options.source ? undefined : BUNDLE });
  servers.push(server);
  return { ...server, loads: await makeLoads(`http://127.0.0.1:${server.port}`, site, values) };
}

async function stopAll(): Promise<void> {
  for (const server of servers.splice(0)) await server.stop();
}

function print(title: string, columns: string, results: readonly Result[]): void {
  const [first] = results;
  if (!first) return;
  console.log(`### ${title}\n`);
  console.log(`| ${columns} | p50 ms | p99 ms | ÷ first | CPU µs each | ÷ first |\n|--:|--:|--:|--:|--:|--:|--:|`);
  for (const result of results) {
    const beside = (field: 'p99' | 'cpuMicros') => ratio(result, first, field).toFixed(2);
    const { p50, p99, cpuMicros, contestant } = result;
    const cells = [
      contestant.name,
      p50.toFixed(2),
      p99.toFixed(2),
      beside('p99'),
      cpuMicros.toFixed(0),
      beside('cpuMicros'),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  console.log('');
}

function numbers(text: string): number[] {
  return text.split(',').filter(Boolean).map(Number);
}
