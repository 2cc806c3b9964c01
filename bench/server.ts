/**
 * Measures the server beside bare programs that do the least that the same work takes, in the same run.
 *
 *     npm run build && npm run bench:server [-- --rounds N] [--seconds S] [--connections C] [--only get,set,job] [--source] [--cpu-prof DIR]
 *
 * The server runs as a process of its own (from dist/; `--source` takes the source), and `wrk` drives it.
 * Rounds take turns. What is printed is Markdown for docs/performance.md. Nothing here passes or fails.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startBare } from './server/bare-process.ts';
import { type Driven, driven, type Load, wrkVersion } from './server/driver.ts';
import { answersTo, makeLoads } from './server/requests.ts';
import { takeTurns } from './server/rounds.ts';
import { BUNDLE, makeSite, startServer, valuesOf } from './server/site.ts';
import { machineOf, markdownOf } from './server/table.ts';

const SECRETS = 10;
const VALUE_BYTES = 1024;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    only: { type: 'string', default: 'get,set,job' },
    source: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' },
  },
});
const connections = Number(options.connections);
const wrk = wrkVersion();
const turns = { rounds: Number(options.rounds), seconds: Number(options.seconds) };

const folder = mkdtempSync(join(tmpdir(), 'bench-server-'));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  const values = valuesOf(SECRETS, VALUE_BYTES);
  const site = await makeSite(folder, connections, values);
  const server = await startServer(site, {
    program: options.source ? undefined : BUNDLE,
    nodeOptions: options['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${options['cpu-prof']}`] : [],
  });
  const loads = await makeLoads(originOf(server.port), site, values);
  const answers = await answersTo(originOf(server.port), loads.samples);
  const http = await startBare<number>(import.meta.resolve('./server/bare-http.ts'), answers);
  const { database, copy, rootKeyFile } = site;
  const loop = await startBare<number>(import.meta.resolve('./server/bare-loop.ts'), { database, rootKeyFile });
  const store = await startBare(import.meta.resolve('./server/bare-store.ts'), {
    database: copy,
    rootKeyFile,
    valueBytes: VALUE_BYTES,
  });
  const [bareGet] = Object.values(await answersTo(originOf(loop.answer), [loads.bareSample]));
  assert.equal(bareGet, Object.values(answers)[0], 'the bare loop answers something else than the server');

  const own = (load: Load) => driven('panda-secrets', server, load, connections);
  const bareHttp = (load: Load) =>
    driven('bare node:http, the same bytes', { pid: http.pid, port: http.answer }, load, connections);
  const bareLoop = driven('bare loop', { pid: loop.pid, port: loop.answer }, loads.bareGet, connections);
  const bareStore = { name: 'bare store', pid: store.pid, run: (seconds: number) => store.ask<Driven>({ seconds }) };
  const subjects = {
    get: {
      title: 'Get of ten secrets of 1 kB',
      contestants: [own(loads.get), bareLoop, bareHttp(loads.get)],
      goal: { against: bareLoop.name, percent: 100 },
    },
    set: {
      title: 'Set of a secret of 1 kB',
      contestants: [own(loads.set), bareStore, bareHttp(loads.set)],
      goal: { against: bareStore.name, percent: 150 },
    },
    job: {
      title: 'Submit and acquire of a job with ten secrets of 1 kB: two requests',
      contestants: [own(loads.job), bareHttp(loads.bareJob)],
    },
  };

  console.log(
    `${machineOf(folder)}. ${turns.rounds} rounds of ${turns.seconds} s, ${connections} connections, wrk ${wrk}.\n`,
  );
  for (const [name, { contestants, ...subject }] of Object.entries(subjects)) {
    if (!options.only.split(',').includes(name)) continue;
    console.log(markdownOf({ ...subject, results: await takeTurns(contestants, turns) }));
  }
  for (const bare of [http, loop, store]) bare.stop();
  await server.stop();
}

function originOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}
