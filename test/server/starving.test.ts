import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as creds from '../../src/protocol/calls/creds.ts';
import * as pilots from '../../src/protocol/calls/pilot.ts';
import * as tasks from '../../src/protocol/calls/task.ts';
import { MAX_ACQUIRED_CHARS } from '../../src/protocol/limits.ts';
import { taskParameters } from '../jobs/farm.ts';
import { startServer, type TestServer } from './start.ts';

/** Submits a task and answers its id. */
async function submit(server: TestServer, token: string, name: string, change: Record<string, unknown> = {}) {
  const task_parameters = { ...taskParameters(name), ...change };
  const { data, message } = await server.ask(token, tasks.submitTask, { task_parameters });
  assert.equal(typeof data, 'number', message);
  return data as number;
}

/** Sets A, names it in a task of 50 jobs, and takes it away from the first queue. */
async function taskWithoutItsSecret(server: TestServer, alice: string, site: string | null) {
  const set = (queues?: string[]) =>
    server.ask(alice, creds.setUserSecrets, { key: 'A', value: 'secret value', ...(queues && { queues }) });
  await set();
  const taskId = await submit(server, alice, 'user.alice.test', { nEvents: 50, secretNames: ['A'], site });
  await set(['gpu']);
  return taskId;
}

async function taskOf(server: TestServer, token: string, taskId: number) {
  const { data } = await server.ask(token, tasks.getTaskDetails, { task_id: taskId });
  return data as { status: string; errorDialog: string; nfilesfailed: number };
}

async function start(t: Parameters<typeof startServer>[0]) {
  const server = await startServer(t);
  await server.pilotToken('gpu', { allowTlsSecrets: true });
  const pilot = await server.pilotToken('default', { allowTlsSecrets: true });
  const [alice, bob] = [await server.userToken('alice'), await server.userToken('bob')];
  const ask = async (n_jobs = 1) => {
    const { success, data } = await server.ask(pilot, pilots.acquireJobs, { site_name: 'default', n_jobs });
    return success ? (data as { jobs: { taskID: number; jobPars: string }[] }).jobs : [];
  };
  return { server, alice, bob, ask };
}

test('a task whose secret may not go to its queue fails at once, and keeps nobody else from a job', async (t) => {
  const { server, alice, bob, ask } = await start(t);
  const hopeless = await taskWithoutItsSecret(server, alice, 'default');
  const good = await submit(server, bob, 'user.bob.test');
  assert.deepEqual(
    (await ask()).map(({ taskID }) => taskID),
    [good],
  );
  assert.deepEqual(await ask(), []);
  const { status, errorDialog, nfilesfailed } = await taskOf(server, alice, hopeless);
  assert.equal(status, 'failed');
  assert.equal(nfilesfailed, 50);
  assert.match(errorDialog, /50 of 50 jobs failed.*secrets could not be delivered.*restricted to other queues/);

  const retried = await server.ask(alice, tasks.retryTask, { task_id: hopeless });
  assert.equal(retried.success, false);
  assert.match(retried.message, /"A".*default/);
  const elsewhere = await server.ask(alice, tasks.retryTask, { task_id: hopeless, new_parameters: { site: 'gpu' } });
  assert.equal(elsewhere.success, true, elsewhere.message);
});

test('a task for any queue, whose secret may not go to this one, delays nobody', async (t) => {
  const { server, alice, bob, ask } = await start(t);
  const elsewhere = await taskWithoutItsSecret(server, alice, null);
  const good = await submit(server, bob, 'user.bob.test', { nEvents: 3 });
  for (let n = 0; n < 3; n++)
    assert.deepEqual(
      (await ask()).map(({ taskID }) => taskID),
      [good],
    );
  assert.notEqual((await taskOf(server, alice, elsewhere)).status, 'failed', 'another queue may have the secret');
});

test('a task that names a secret which was deleted fails as a whole', async (t) => {
  const { server, alice, bob, ask } = await start(t);
  await server.ask(alice, creds.setUserSecrets, { key: 'A', value: 'secret value' });
  const hopeless = await submit(server, alice, 'user.alice.test', { nEvents: 50, secretNames: ['A'] });
  await server.ask(alice, creds.setUserSecrets, { key: 'A', value: null });
  const good = await submit(server, bob, 'user.bob.test');
  assert.deepEqual(
    (await ask()).map(({ taskID }) => taskID),
    [good],
  );
  assert.deepEqual(await ask(), []);
  assert.equal((await taskOf(server, alice, hopeless)).status, 'failed');
});

test('a pilot that asks for a hundred of the largest jobs is given as many as one answer holds', async (t) => {
  const server = await startServer(t);
  const [alice, pilot] = [await server.userToken('alice'), await server.pilotToken()];
  const parameters = taskParameters('user.alice.big', 'x'.repeat(3_900_000));
  await submit(server, alice, 'user.alice.big', { ...parameters, nEvents: 100 });
  const { data } = await server.ask(pilot, pilots.acquireJobs, { site_name: 'default', n_jobs: 100 });
  const { jobs } = data as { jobs: { jobPars: string }[] };
  const chars = jobs.reduce((sum, { jobPars }) => sum + jobPars.length, 0);
  assert.ok(jobs.length >= 10 && chars <= MAX_ACQUIRED_CHARS, `${jobs.length} jobs, ${chars} characters`);
});
