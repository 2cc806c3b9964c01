import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { endPilotSession } from '../../src/identity/pilots.ts';
import { runPilot } from '../../src/pilot/loop.ts';
import { AttemptFailed, Unauthenticated, Unavailable } from '../../src/protocol/errors.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import { archive } from '../pilot/archives.ts';
import { temporaryFolder } from '../pilot/folders.ts';
import { startServer, type TestServer } from './start.ts';

const IN_DEFAULT = { site_name: 'default', node: 'node1' };
/** A minute by `PANDA_TEST_AWAY_SECONDS=60`. */
const AWAY_SECONDS = Number(process.env['PANDA_TEST_AWAY_SECONDS'] ?? 4);

test('a pilot ends when its server proves that it is refused, and at nothing that anybody could say', async (t) => {
  let now = Date.now();
  const server = await startServer(t, { clock: () => now });
  const store = await openSqlite(join(server.folder, 'panda.db'));
  t.after(() => store.close());
  const [{ pilot, session }, other] = [await server.joinedPilot(), await server.joinedPilot()];

  now += 3600_000;
  await assert.rejects(
    pilot.acquireJobs(IN_DEFAULT),
    (error) => error instanceof Unavailable && /changed its clock/.test(error.message),
  );
  assert.deepEqual(await pilot.acquireJobs(IN_DEFAULT), [], 'it has the time of the server now');

  await store.write((tx) => tx.deleteFrom('pilots').where('id', '=', other.session.pilotId).execute());
  await assert.rejects(
    other.pilot.acquireJobs(IN_DEFAULT),
    (error) => error instanceof Unavailable && /"there is no such pilot.*without the proof/.test(error.message),
  );

  await endPilotSession(store, () => now, session.pilotId);
  await assert.rejects(
    pilot.acquireJobs(IN_DEFAULT),
    (error) =>
      error instanceof Unauthenticated && /does not accept this pilot: .*the operator ended it/.test(error.message),
  );
});

test('a server whose database goes in the middle of a request, or that has a fault, ends no pilot', async (t) => {
  const server = await startServer(t);
  const { pilot } = await server.joinedPilot();
  const store = await openSqlite(join(server.folder, 'panda.db'));
  t.after(() => store.close());
  for (const table of ['jobs', 'pilots'] as const) {
    await store.write((tx) => tx.schema.alterTable(table).renameTo('elsewhere').execute());
    await assert.rejects(
      pilot.acquireJobs(IN_DEFAULT),
      (error) => error instanceof Unavailable && /HTTP 500/.test(error.message),
    );
    await store.write((tx) => tx.schema.alterTable('elsewhere').renameTo(table).execute());
  }
  assert.deepEqual(await pilot.acquireJobs(IN_DEFAULT), []);
});

/** Pilots of this process, each with a session and a folder of its own. */
async function startPilots(t: TestContext, server: TestServer, count: number) {
  const stopping = new AbortController();
  const ended: unknown[] = [];
  const said: string[] = [];
  const runs = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const { pilot, session } = await server.joinedPilot();
      const folder = await temporaryFolder(t);
      const node = { name: `node${n}`, queue: 'default', folder, secretsFolder: undefined, isolation: undefined };
      const run = runPilot({
        server: pilot,
        pilotId: session.pilotId,
        node: { ...node, environment: { PATH: process.env['PATH'] } },
        policy: { slots: 1, heartbeatSeconds: 0.5, killPollSeconds: 2, killGraceSeconds: 0.3, limits: {}, passOn: [] },
        stopping: stopping.signal,
        say: (text) => said.push(text),
      });
      run.then(
        () => ended.push(n),
        (error) => ended.push(error),
      );
      return { run };
    }),
  );
  t.after(async () => {
    stopping.abort(new AttemptFailed(1201, 'the test is over'));
    await Promise.allSettled(runs.map(({ run }) => run));
  });
  return { ended, said };
}

test('twenty pilots, half of them with a job, outlive a database that is away, and no job runs twice', async (t) => {
  const database = await startEmbeddedPostgres().catch((error: Error) => {
    t.skip(`PostgreSQL cannot be started here: ${error.message}`);
    return undefined;
  });
  if (!database) return;
  t.after(() => database.stop());
  const server = await startServer(t, { settings: { database: database.url } });
  const aliceToken = await server.userToken('alice');
  const alice = createClient({ url: server.url, vo: 'panda', token: async () => aliceToken });
  t.after(() => alice.close());
  const meeting = await temporaryFolder(t);
  const go = join(meeting, 'go');
  const submit = async (jobs: number) => {
    const sandbox = archive(
      { path: './', type: 'Directory', mode: 0o755 },
      {
        path: './run.sh',
        content: `echo ran >> ${meeting}/$1-$2; while [ ! -e ${go} ]; do sleep 0.2; done`,
      },
    );
    const exec = `sh run.sh ${randomUUID().slice(0, 8)} %RNDM:1`;
    const task = {
      exec,
      outDataset: `user.alice.${randomUUID().slice(0, 8)}`,
      outputs: [],
      jobs,
      useSecrets: false,
      commandLine: 'prun',
    };
    return (
      await alice.submitTask(
        buildTaskParameters(task, 'panda', await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, sandbox)),
      )
    ).taskId;
  };
  const until = async (what: string, holds: () => boolean | Promise<boolean>) => {
    for (const giveUpAt = Date.now() + 120_000; !(await holds()); ) {
      assert.ok(Date.now() < giveUpAt, `not yet: ${what}\n${pilots.said.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const started = () => readdirSync(meeting).filter((name) => name !== 'go');

  const first = await submit(10);
  const pilots = await startPilots(t, server, 20);
  await until('ten jobs run', () => started().length === 10);
  await database.halt();
  await new Promise((resolve) => setTimeout(resolve, AWAY_SECONDS * 500));
  writeFileSync(go, '');
  await new Promise((resolve) => setTimeout(resolve, AWAY_SECONDS * 500));
  assert.deepEqual(pilots.ended, []);
  await database.start();
  await until('the jobs have ended', async () => (await alice.getTaskStatus(first)) === 'done');
  const second = await submit(20);
  await until('the pilots run others', async () => (await alice.getTaskStatus(second)) === 'done');

  assert.deepEqual(pilots.ended, []);
  assert.equal(started().length, 30);
  for (const job of started()) assert.equal(readFileSync(join(meeting, job), 'utf8'), 'ran\n', job);
});
