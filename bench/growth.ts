/**
 * Measures if requests take the same time as a site grows: gets and sets with more owners and more secrets of each, acquisitions with more
 * waiting jobs of more owners. Each size is a server of its own, driven by `wrk`; they take turns.
 *
 *     npm run build && npm run bench:growth [-- --owners 10x10,100000x1] [--jobs 100x1,100000x1000]
 *         [--rounds N] [--seconds S] [--connections C] [--folder DIR] [--postgres] [--source]
 *
 * `--owners` names owners and the secrets of each, `100000x10`: requests are spread over 20,000 of them at most, as the server remembers fewer.
 * `--jobs` names jobs and owners, `100000x1000`; more than `MAX_JOBS_PER_TASK` for each owner are several tasks. The servers run from dist/, or from
 * source with `--source`, on SQLite in DIR, the system's temporary folder unless given. Where PANDA_SECRETS_DATABASE names a PostgreSQL whose user may create
 * databases they use that; `--postgres` starts one. What is printed is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MAX_REMEMBERED_DATA_KEYS } from '../src/protocol/limits.ts';
import { type BareProcess, startBare } from './server/bare-process.ts';
import { driven, type Load, wrkVersion } from './server/driver.ts';
import { fillQueue } from './server/fill-queue.ts';
import { type BenchPostgres, openBenchPostgres } from './server/postgres.ts';
import { answersTo, makeLoads } from './server/requests.ts';
import { type Contestant, type Result, ratio, takeTurns } from './server/rounds.ts';
import { BUNDLE, makeSite, type RunningServer, type Site, startServer, valuesOf } from './server/site.ts';
import { machineOf } from './server/table.ts';

const { values: options } = parseArgs({
  options: {
    owners: { type: 'string', default: '10x10,10x1,10x100,10x1000,1000x10,1000x100' },
    jobs: { type: 'string', default: '100x1,100x100,100000x1,100000x10000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '8' },
    folder: { type: 'string', default: tmpdir() },
    postgres: { type: 'boolean', default: false },
    source: { type: 'boolean', default: false },
  },
});
const turns = { rounds: Number(options.rounds), seconds: Number(options.seconds) };
const connections = Number(options.connections);
const VALUE_BYTES = 1024;

const folder = mkdtempSync(join(options.folder, 'bench-growth-'));
const servers: RunningServer[] = [];
const postgresUrl = options.postgres ? undefined : process.env['PANDA_SECRETS_DATABASE'];
let postgres: BenchPostgres | undefined;
try {
  if (options.postgres || postgresUrl) postgres = await openBenchPostgres(postgresUrl, options.folder);
  console.log(
    `${machineOf(folder)}. ${turns.rounds} rounds of ${turns.seconds} s, ${connections} connections, wrk ${wrkVersion()}${postgres ? `, PostgreSQL ${postgres.version}` : ''}.\n`,
  );
  await growOwners();
  await growJobs();
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Gets and sets, the others beside the first size; and a bare server that answers a get with the same bytes. Where a server cannot remember all
 * owners also the bare loop, which reads and opens their rows with all data keys in its memory.
 */
async function growOwners(): Promise<void> {
  const kinds = { get: [] as Contestant[], getTen: [] as Contestant[], set: [] as Contestant[] };
  const bare = new Map<number, BareProcess>();
  const loops: BareProcess[] = [];
  for (const [owners, secrets] of sizesOf(options.owners)) {
    const values = valuesOf(secrets, VALUE_BYTES);
    const { loads, site, ...server } = await serverOf(owners, values);
    const name = `${owners} | ${secrets}`;
    kinds.get.push(drivenOn(name, server, loads.get));
    if (owners > MAX_REMEMBERED_DATA_KEYS) {
      const loop = await startBare<number>(import.meta.resolve('./server/bare-loop.ts'), site);
      loops.push(loop);
      kinds.get.push(driven(`bare loop, ${name}`, { pid: loop.pid, port: loop.answer }, loads.bareGet, connections));
    }
    if (secrets >= 10) kinds.getTen.push(drivenOn(name, server, loads.getTen));
    kinds.set.push(drivenOn(name, server, loads.set));
    if (bare.has(secrets)) continue;
    const answers = await answersTo(`http://127.0.0.1:${server.port}`, loads.samples.slice(0, 1));
    const http = await startBare<number>(import.meta.resolve('./server/bare-http.ts'), answers);
    bare.set(secrets, http);
    const place = { pid: http.pid, port: http.answer };
    kinds.get.push(driven(`bare node:http, the same bytes | ${secrets}`, place, loads.get, connections));
  }
  const titles = { get: 'get of all', getTen: 'get of ten by name', set: 'set' };
  for (const kind of ['get', 'getTen', 'set'] as const) {
    const results = await takeTurns(kinds[kind], turns);
    print(`${titles[kind]}, values of ${VALUE_BYTES} bytes`, 'owners | secrets of each', results);
  }
  for (const one of [...bare.values(), ...loops]) one.stop();
  await stopAll();
}

async function growJobs(): Promise<void> {
  const contestants: Contestant[] = [];
  for (const [jobs, owners] of sizesOf(options.jobs)) {
    const server = await serverOf(1, valuesOf(1, VALUE_BYTES), (site) => fillQueue(site, { jobs, owners }));
    // An acquired job does not wait any more: a submission comes with each acquisition.
    contestants.push(drivenOn(`${jobs} | ${owners}`, server, server.loads.job));
  }
  print('submit and acquire of a job', 'waiting jobs | of owners', await takeTurns(contestants, turns));
  await stopAll();
}

function drivenOn(name: string, server: RunningServer, load: Load): Contestant {
  return { ...driven(name, server, load, connections), databasePid: postgres?.pid };
}

async function serverOf(owners: number, values: readonly string[], prepare?: (site: Site) => Promise<void>) {
  const own = mkdtempSync(join(folder, 'site-'));
  const site = await makeSite(own, owners, values, postgres);
  await prepare?.(site);
  await postgres?.settle(site.database);
  const server = await startServer(site, { program: options.source ? undefined : BUNDLE });
  servers.push(server);
  return { ...server, site, loads: await makeLoads(`http://127.0.0.1:${server.port}`, site, values) };
}

async function stopAll(): Promise<void> {
  for (const server of servers.splice(0)) await server.stop();
}

function print(title: string, columns: string, results: readonly Result[]): void {
  const [first] = results;
  if (!first) return;
  console.log(`### ${title}\n`);
  const ofDatabase = postgres?.pid ? [' of PostgreSQL | ÷ first |', '--:|--:|'] : ['', ''];
  console.log(`| ${columns} | p50 ms | p99 ms | ÷ first | CPU µs each | ÷ first |${ofDatabase[0]}`);
  console.log(`|--:|--:|--:|--:|--:|--:|--:|${ofDatabase[1]}`);
  for (const result of results) {
    const beside = (field: 'p99' | 'cpuMicros' | 'databaseMicros') => ratio(result, first, field).toFixed(2);
    const { p50, p99, cpuMicros, databaseMicros, contestant } = result;
    const cells = [
      contestant.name,
      p50.toFixed(2),
      p99.toFixed(2),
      beside('p99'),
      cpuMicros.toFixed(0),
      beside('cpuMicros'),
      ...(postgres?.pid
        ? Number.isNaN(databaseMicros)
          ? ['', '']
          : [databaseMicros.toFixed(0), beside('databaseMicros')]
        : []),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  console.log('');
}

/** @param text such as `10x1,100000x10` */
function sizesOf(text: string): [number, number][] {
  return text
    .split(',')
    .filter(Boolean)
    .map((size) => {
      const [count = 1, each = 1] = size.split('x').map(Number);
      return [count, each];
    });
}
