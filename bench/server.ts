/**
 * Measures the server beside bare programs that do the least that the same work takes, in the same run.
 *
 *     npm run build && npm run bench:server [-- --rounds N] [--seconds S] [--connections C] [--only get,set,job,many] [--folder DIR]
 *         [--workers 1,2] [--postgres] [--replicas N] [--share PERCENT] [--source] [--cpu-prof DIR]
 *
 * The server runs as a process of its own (from dist/; `--source` takes the source), and `wrk` drives it. Everything that is written is in DIR, the
 * system's temporary folder unless given. `--workers` starts a server for each of these numbers of workers. With BAO, OpenBao's program, it runs beside
 * them. Where PANDA_SECRETS_DATABASE names a PostgreSQL whose user may create databases, servers and bare programs use it; `--postgres` starts one. There
 * `--replicas 2` has so many servers on one database, each with its part of the users and connections, beside a single one.
 *
 * `--share 40` has the kernel hold each server, or each of its workers, to 40 % of a core: the load and the database have the rest, so that a second
 * worker or replica shows what it gives. Bare programs do not run then.
 *
 * Rounds take turns. What is printed is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startBare } from './server/bare-process.ts';
import { holdToShare } from './server/cpu-share.ts';
import { type Driven, driven, type Load, wrkVersion } from './server/driver.ts';
import { startOpenBao } from './server/openbao.ts';
import { openBenchPostgres } from './server/postgres.ts';
import { childrenOf } from './server/process-usage.ts';
import { replicaSites } from './server/replicas.ts';
import { answersTo, type Loads, makeLoads } from './server/requests.ts';
import { type Contestant, takeTurns } from './server/rounds.ts';
import { BUNDLE, makeSite, type RunningServer, type Site, startServer, valuesOf } from './server/site.ts';
import { type Goal, machineOf, markdownOf } from './server/table.ts';

const SECRETS = 10;
const VALUE_BYTES = 1024;
/** For requests of 50 jobs each: those under way when a round ends are not counted, and cost CPU all the same. */
const FEW_CONNECTIONS = 2;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string', default: 'get,set,job,many' },
    folder: { type: 'string', default: tmpdir() },
    workers: { type: 'string' },
    postgres: { type: 'boolean', default: false },
    replicas: { type: 'string' },
    share: { type: 'string' },
    source: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' },
  },
});
const connections = Number(options.connections);
const turns = { rounds: Number(options.rounds), seconds: Number(options.seconds) };
const wrk = wrkVersion();
const openBaoProgram = process.env['BAO'];

const folder = mkdtempSync(join(options.folder, 'bench-server-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const postgresUrl = options.postgres ? undefined : process.env['PANDA_SECRETS_DATABASE'];
const postgres = options.postgres || postgresUrl ? await openBenchPostgres(postgresUrl, options.folder) : undefined;
const databasePid = postgres?.pid;
await run();

async function run(): Promise<void> {
  const values = valuesOf(SECRETS, VALUE_BYTES);
  const own: Own[] = [];
  for (const workers of options.workers?.split(',') ?? [undefined]) own.push(await startOwn(values, workers));
  const replicas = options.replicas ? await startReplicas(values, Number(options.replicas)) : undefined;
  const [first] = own as [Own];
  const besides = options.share ? undefined : await startBesides(first, values);
  const servers = (kind: 'get' | 'set' | 'job'): Contestant[] => [
    ...own.map((one) => ({ ...driven(one.name, one.server, one.loads[kind], connections), databasePid })),
    // Jobs of all replicas wait in one queue: they would be one server's work or the other's.
    ...(replicas && kind !== 'job' ? [{ ...drivenTogether(replicas, kind), databasePid }] : []),
  ];
  const cores: Goal[] = own.slice(1, 2).map(({ name }) => ({ of: name, against: first.name, percent: 170 }));
  if (replicas) cores.push({ of: replicasName(replicas), against: first.name, percent: 160 });
  const subjects = {
    get: {
      title: 'Get of ten secrets of 1 kB',
      contestants: [...servers('get'), ...(besides?.get ?? [])],
      goals: [{ against: 'bare loop', percent: 200 }, { against: 'OpenBao', percent: 200 }, ...cores],
    },
    set: {
      title: 'Set of a secret of 1 kB',
      contestants: [...servers('set'), ...(besides?.set ?? [])],
      goals: [
        { against: 'bare store', percent: 150 },
        { against: 'OpenBao', percent: 400 },
        ...cores.filter(({ percent }) => percent === 160),
      ],
    },
    job: {
      title: 'Submit and acquire of a job with ten secrets of 1 kB: two requests',
      contestants: [...servers('job'), ...(besides?.job ?? [])],
      goals: cores,
    },
    many: {
      title: `A job with ten secrets of 1 kB acquired, 50 in one request, ${FEW_CONNECTIONS} connections`,
      contestants: [
        driven('panda-secrets, 50 at once', first.server, first.loads.acquireMany, FEW_CONNECTIONS),
        driven('one alone', first.server, first.loads.acquire, FEW_CONNECTIONS),
      ],
      goals: [{ against: 'one alone', percent: 20, cpu: true }],
    },
  };

  console.log(
    `${machineOf(folder)}. ${turns.rounds} rounds of ${turns.seconds} s, ${connections} connections, wrk ${wrk}${postgres ? `, PostgreSQL ${postgres.version}` : ''}${options.share ? `; each server held to ${options.share} % of a core` : ''}.\n`,
  );
  for (const [name, { contestants, ...subject }] of Object.entries(subjects)) {
    if (!options.only.split(',').includes(name)) continue;
    console.log(markdownOf({ ...subject, results: await takeTurns(contestants, turns) }));
  }
  for (const { server } of [...own, ...(replicas ?? [])]) await server.stop();
  await besides?.stop();
  await postgres?.stop();
}

/** Programs beside which a server runs, by the work that they do. */
interface Besides extends Record<'get' | 'set' | 'job', Contestant[]> {
  stop(): Promise<void>;
}

async function startBesides({ server, site, loads }: Own, values: readonly string[]): Promise<Besides> {
  const answers = await answersTo(originOf(server.port), loads.samples);
  const http = await startBare<number>(import.meta.resolve('./server/bare-http.ts'), answers);
  const { database, copy, isFile, rootKeyFile } = site;
  const loop = await startBare<number>(import.meta.resolve('./server/bare-loop.ts'), { database, isFile, rootKeyFile });
  const store = await startBare(import.meta.resolve('./server/bare-store.ts'), {
    database: copy,
    isFile,
    rootKeyFile,
    valueBytes: VALUE_BYTES,
  });
  const [bareGet] = Object.values(await answersTo(originOf(loop.answer), [loads.bareSample]));
  assert.equal(bareGet, Object.values(answers)[0], 'the bare loop answers something else than the server');
  const openBao = openBaoProgram ? await startOpenBao(openBaoProgram, folder, connections, values) : undefined;

  const bareHttp = (load: Load) =>
    driven('bare node:http, the same bytes', { pid: http.pid, port: http.answer }, load, connections);
  const bareLoop = driven('bare loop', { pid: loop.pid, port: loop.answer }, loads.bareGet, connections);
  const bareStore = { name: 'bare store', pid: store.pid, run: (seconds: number) => store.ask<Driven>({ seconds }) };
  const ofOpenBao = (kind: 'get' | 'set') => (openBao ? [driven('OpenBao', openBao, openBao[kind], connections)] : []);
  return {
    get: [{ ...bareLoop, databasePid }, ...ofOpenBao('get'), bareHttp(loads.get)],
    set: [{ ...bareStore, databasePid }, ...ofOpenBao('set'), bareHttp(loads.set)],
    job: [bareHttp(loads.bareJob)],
    async stop() {
      for (const bare of [http, loop, store]) bare.stop();
      await openBao?.stop();
    },
  };
}

/** One of this project's servers, on a site of its own. */
interface Own {
  name: string;
  site: Site;
  server: RunningServer;
  loads: Loads;
}

async function startOwn(values: readonly string[], workers: string | undefined): Promise<Own> {
  const own = join(folder, workers ? `${workers}-workers` : 'own');
  mkdirSync(own);
  const site = await makeSite(own, connections, values, postgres);
  const name = workers ? `panda-secrets --workers ${workers}` : 'panda-secrets';
  return startOn(name, site, values, workers ? ['--workers', workers] : []);
}

/** Servers on one database. */
async function startReplicas(values: readonly string[], count: number): Promise<Own[]> {
  if (!postgres) throw new Error('--replicas is for PostgreSQL: --postgres, or PANDA_SECRETS_DATABASE');
  const own = join(folder, 'replicas');
  mkdirSync(own);
  const sites = await replicaSites(await makeSite(own, connections, values, postgres), own, count);
  const started: Own[] = [];
  for (const site of sites) started.push(await startOn('panda-secrets', site, values));
  return started;
}

async function startOn(name: string, site: Site, values: readonly string[], serveOptions: string[] = []): Promise<Own> {
  const server = await startServer(site, {
    program: options.source ? undefined : BUNDLE,
    nodeOptions: options['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`] : [],
    serveOptions,
  });
  const loads = await makeLoads(originOf(server.port), site, values);
  return { name, site, server: options.share ? held(server, Number(options.share)) : server, loads };
}

/** A server of which each process that answers requests is held to a share of a core. */
function held(server: RunningServer, percent: number): RunningServer {
  const workers = childrenOf(server.pid);
  const ends = (workers.length > 0 ? workers : [server.pid]).map((pid) => holdToShare(pid, percent));
  return {
    ...server,
    async stop() {
      await server.stop();
      for (const end of ends) end();
    },
  };
}

function replicasName(replicas: readonly Own[]): string {
  return `panda-secrets, ${replicas.length} replicas`;
}

/** Each with its part of the connections. */
function drivenTogether(replicas: readonly Own[], kind: 'get' | 'set'): Contestant {
  const each = replicas.map((one) =>
    driven(one.name, one.server, one.loads[kind], Math.ceil(connections / replicas.length)),
  );
  return {
    name: replicasName(replicas),
    pid: each[0]?.pid as number,
    others: each.slice(1).map(({ pid }) => pid),
    async prepare(seconds) {
      for (const one of each) await one.prepare?.(seconds);
    },
    async run(seconds) {
      const reports = await Promise.all(each.map((one) => one.run(seconds)));
      const largest = (field: keyof Driven) => Math.max(...reports.map((report) => report[field]));
      const units = reports.reduce((sum, report) => sum + report.units, 0);
      return { units, seconds: largest('seconds'), p50: largest('p50'), p99: largest('p99') };
    },
  };
}

function originOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}
