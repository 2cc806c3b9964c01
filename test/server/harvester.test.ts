import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { type Client, createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { setQueue } from '../../src/jobs/queues.ts';
import type { Call } from '../../src/protocol/calls/call.ts';
import * as calls from '../../src/protocol/calls/harvester.ts';
import { createJoinToken, listBatchJobs } from '../../src/protocol/calls/launcher.ts';
import * as statistics from '../../src/protocol/calls/statistics.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { MAX_HARVESTERS, WORKER_STATISTICS_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { startServer } from './start.ts';

const harvester_id = 'harvester_slurm';
const ZERO = { assigned: 0, activated: 0, running: 0 };

/** A server with a Harvester of the queues `A` and `B`, and another launcher's queue `C`. */
async function setUp(t: TestContext, database: TestDatabase) {
  const settings = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings });
  const [harvester, other] = [await server.launcherToken(['A', 'B']), await server.launcherToken(['A', 'C'])];
  const token = await server.userToken('alice');
  const alice = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => alice.close());
  const ask = async (call: object, args: Record<string, unknown> = {}, by = harvester) => {
    const { success, message, data } = await server.ask(by, call as Call, args);
    return { success, message, data: data as Record<string, unknown> };
  };
  const report = (panda_queue: string, counts: unknown, more = {}) =>
    ask(calls.reportWorkerStatistics, { harvester_id, panda_queue, statistics: JSON.stringify(counts), ...more });
  const joinAt = async (queue: string, batch_id: string, by = harvester) => {
    const { data } = await server.ask(by, createJoinToken as Call, { queue, batch_id });
    const joining = { token: parseJoinToken((data as { token: string }).token), queue, node: 'node1' };
    const session = await (await prepareJoin({ url: server.url, vo: 'panda:pilot' }, joining))();
    const pilot = createClient({ url: server.url, vo: 'panda:pilot', signer: session });
    t.after(() => pilot.close());
    return pilot;
  };
  return { server, harvester, other, alice, ask, report, joinAt };
}

async function submit(user: Client, site: string | undefined, jobs: number, more: object = {}): Promise<number> {
  const sandbox = await user.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(`no tar, ${randomUUID()}`));
  const outDataset = `user.x.${randomUUID().slice(0, 8)}`;
  const task = { exec: 'true', outDataset, outputs: [], jobs, useSecrets: false, commandLine: 'prun' };
  const parameters = buildTaskParameters({ ...task, ...(site && { site }) }, 'panda', sandbox);
  return (await user.submitTask({ ...parameters, ...more })).taskId;
}

eachStore('Harvester learns how much waits and runs in its queues, and nothing of others', async (t, database) => {
  const { server, alice, ask } = await setUp(t, database);
  assert.deepEqual((await ask(statistics.activeJobStatsBySite)).data, { A: ZERO, B: ZERO });
  assert.deepEqual((await ask(statistics.activeJobDetailedStatsBySite)).data, {
    A: { SCORE: { user: ZERO } },
    B: { SCORE: { user: ZERO } },
  });

  await submit(alice, 'A', 3);
  await submit(alice, 'A', 2, { coreCount: 8, prodSourceLabel: 'managed' });
  await submit(alice, 'C', 50);
  const ended = await submit(alice, 'A', 4);
  await alice.killTask(ended);
  const { pilot } = await server.joinedPilot('A');
  const [first, second] = await pilot.acquireJobs({ site_name: 'A', n_jobs: 2 });
  assert.ok(first && second);
  await pilot.updateJob({ job_id: first.PandaID, attempt_nr: 1, job_status: 'running' });
  assert.deepEqual((await ask(statistics.activeJobStatsBySite)).data, {
    A: { assigned: 0, activated: 3, running: 1, sent: 1 },
    B: ZERO,
  });
  assert.deepEqual((await ask(statistics.activeJobDetailedStatsBySite)).data, {
    A: {
      SCORE: { user: { assigned: 0, activated: 1, running: 1, sent: 1 } },
      MCORE: { managed: { assigned: 0, activated: 2, running: 0 } },
    },
    B: { SCORE: { user: ZERO } },
  });

  await submit(alice, undefined, 5);
  const activated = async () =>
    Object.entries((await ask(statistics.activeJobStatsBySite)).data).map(([queue, counts]) => [
      queue,
      (counts as { activated: number }).activated,
    ]);
  assert.deepEqual(await activated(), [
    ['A', 8],
    ['B', 5],
  ]);
  await setQueue(server.installation.store, Date.now, 'A', { state: 'paused' });
  assert.deepEqual((await activated())[0], ['A', 0], 'a paused queue gives out nothing');
});

eachStore(
  'no label of a task and no name of a Harvester is more than a name in the statistics',
  async (t, database) => {
    const { alice, ask, report } = await setUp(t, database);
    const names = ['__proto__', 'constructor', 'toString'];
    for (const prodSourceLabel of names) await submit(alice, 'A', 1, { prodSourceLabel });
    const { data } = await ask(statistics.activeJobDetailedStatsBySite);
    const { A } = data as Record<string, { SCORE: object }>;
    assert.deepEqual(Object.keys(A?.SCORE ?? {}).sort(), [...names].sort());
    for (const name of names) {
      await report('A', JSON.parse(`{"${name}": {"${name}": {"${name}": 1}}}`), { harvester_id: name });
    }
    const told = (await ask(calls.getWorkerStatistics)).data['A'] as object;
    assert.deepEqual(Object.keys(told).sort(), [...names].sort());
    assert.equal(Object.keys(Object.prototype).length + Object.keys({}).length, 0);
    assert.equal(({} as Record<string, unknown>)['activated'], undefined);
  },
);

eachStore(
  'Harvesters learn of the workers of each other in their queues alone, for four hours',
  async (t, database) => {
    const { server, ask, report, other } = await setUp(t, database);
    const counts = (running: number) => ({ managed: { SCORE: { running }, Undefined: { running: 7 } } });
    await report('A', counts(1));
    await report('A', counts(2));
    await report('B', counts(3));
    const theirs = { harvester_id: 'other', statistics: JSON.stringify(counts(4)) };
    for (const panda_queue of ['A', 'C']) await ask(calls.reportWorkerStatistics, { ...theirs, panda_queue }, other);
    const told = (running: number) => ({ managed: { SCORE: { running } } });
    assert.deepEqual((await ask(calls.getWorkerStatistics)).data, {
      A: { harvester_slurm: told(2), other: told(4) },
      B: { harvester_slurm: told(3) },
    });
    assert.deepEqual((await ask(calls.getWorkerStatistics, {}, other)).data, {
      A: { harvester_slurm: told(2), other: told(4) },
      C: { other: told(4) },
    });
    const { message, data } = await report('C', counts(1));
    assert.deepEqual([data, /not for a queue "C"/.test(message)], [null, true]);
    const { store } = server.installation;
    const past = WORKER_STATISTICS_SECONDS * 1000;
    await store.write((tx) => sql`update worker_statistics set reported_at = reported_at - ${past}`.execute(tx));
    assert.deepEqual((await ask(calls.getWorkerStatistics)).data, {});
  },
);

eachStore('the statistics that a Harvester sends are counts of workers, and not many', async (t, database) => {
  const { server, ask, report } = await setUp(t, database);
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`s${n}`, 1]));
  for (const wrong of [[], 1, null, { a: 1 }, { a: { b: 1 } }, { a: { b: { c: -1 } } }, { a: { b: { c: 0.5 } } }]) {
    assert.match((await report('A', wrong)).message, /'statistics' must be JSON/);
  }
  for (const wrong of [{ a: { b: { c: { d: 1 } } } }, { a: { b: { 'a name\n': 1 } } }, { a: { b: many } }]) {
    assert.match((await report('A', wrong)).message, /'statistics' must be JSON/);
  }
  const broken = { harvester_id, panda_queue: 'A', statistics: '{' };
  assert.match((await ask(calls.reportWorkerStatistics, broken)).message, /'statistics' must be JSON/);

  for (let n = 0; n < MAX_HARVESTERS; n++) await report('A', {}, { harvester_id: `h${n}` });
  assert.match((await report('A', {}, { harvester_id: 'h-1' })).message, /at most 20 Harvesters/);
  assert.equal((await report('A', {}, { harvester_id: 'h0' })).success, true, 'known ones go on');
  const { rows } = await sql`select * from worker_statistics`.execute(server.installation.store.db);
  assert.equal(rows.length, MAX_HARVESTERS);
});

eachStore(
  "the end of a worker that Harvester tells of ends the job that ran there, and nobody else's",
  async (t, database) => {
    const { alice, ask, joinAt, other } = await setUp(t, database);
    await submit(alice, 'A', 4, { maxAttempt: 1 });
    const pilots = [await joinAt('A', '11'), await joinAt('A', '12'), await joinAt('A', '11', other)];
    const jobs: number[] = [];
    for (const pilot of pilots) jobs.push((await pilot.acquireJobs({ site_name: 'A' }))[0]?.PandaID ?? 0);
    const worker = {
      workerID: 1,
      computingSite: 'A',
      batchID: '11',
      status: 'running',
      diagMessage: '11   pilot \n TIMEOUT ',
    };
    const update = (...workers: object[]) => ask(calls.updateWorkers, { harvester_id, workers });
    const states = async () => (await alice.getJobDescription(jobs)).map((job) => job?.jobStatus);

    assert.deepEqual((await update(worker, { ...worker, batchID: 12, status: 'submitted' })).data, [true, true]);
    const strange = [{}, { status: 'failed' }, { ...worker, status: 'failed', batchID: null }];
    const foreign = { ...worker, status: 'failed', computingSite: 'C' };
    assert.deepEqual(
      (await update(...strange, foreign, { ...worker, status: 'failed', batchID: '99' })).data.length,
      5,
    );
    assert.deepEqual(await states(), ['sent', 'sent', 'sent']);

    await update(
      { ...worker, status: 'finished' },
      { ...worker, batchID: 12, status: 'cancelled', diagMessage: undefined },
    );
    assert.deepEqual(await states(), ['failed', 'failed', 'sent']);
    const [first, second] = await alice.getJobDescription(jobs);
    assert.equal(
      first?.pilotErrorDiag,
      "its pilot's batch job 11 ended: Harvester calls it finished: 11 pilot TIMEOUT",
    );
    assert.equal(second?.pilotErrorDiag, "its pilot's batch job 12 ended: Harvester calls it cancelled");
  },
);

eachStore("the end of a Harvester's worker is taken also when its pilot has left before", async (t, database) => {
  const { server, harvester, alice, ask, joinAt } = await setUp(t, database);
  const task = await submit(alice, 'A', 1);
  const pilot = await joinAt('A', '21');
  await pilot.acquireJobs({ site_name: 'A', n_jobs: 1 });
  await pilot.leave();
  const open = async () => (await server.ask(harvester, listBatchJobs as Call, { queue: 'A' })).data;
  assert.deepEqual(await open(), [{ batch_id: '21', joined: true }]);
  await ask(calls.updateWorkers, {
    harvester_id,
    workers: [{ workerID: 1, computingSite: 'A', batchID: '21', status: 'finished' }],
  });
  assert.deepEqual(await open(), []);
  const [job] = await alice.getJobDescription(await alice.getJobIds(task));
  assert.equal(job?.pilotErrorDiag, "its pilot's batch job 21 ended: Harvester calls it finished");
});
