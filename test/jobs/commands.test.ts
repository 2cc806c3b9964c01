import assert from 'node:assert/strict';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { type Farm, openFarm } from './farm.ts';

const stateOf = async (farm: Farm, taskId: number) => (await farm.jobs.getTask(farm.alice, taskId)).state;
const jobStates = async (farm: Farm, taskId: number) =>
  (await farm.jobs.jobsOf(farm.alice, taskId)).map(({ state }) => state);

eachStore('killing a task cancels what waits and has pilots stop what runs', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 3 });
  const job = await farm.acquireOne('p');
  await farm.jobs.kill(farm.alice, taskId);
  assert.equal(await stateOf(farm, taskId), 'aborting');
  assert.deepEqual(await farm.acquire('q'), []);
  assert.deepEqual(await farm.jobs.report('p', { ...job, state: 'running' }), { command: 'tobekilled' });
  await farm.jobs.report('p', { ...job, state: 'failed', exitCode: 143 });
  assert.equal(await stateOf(farm, taskId), 'aborted');
  assert.deepEqual(await jobStates(farm, taskId), ['cancelled', 'cancelled', 'cancelled']);
});

eachStore('a killed task whose pilot is silent ends when the lease does', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  await farm.acquireOne('p');
  await farm.jobs.kill(farm.alice, taskId);
  farm.passSeconds(LEASE_SECONDS + 1);
  await farm.jobs.expireLeases();
  assert.equal(await stateOf(farm, taskId), 'aborted');
});

eachStore('a task that waits is killed at once, and cannot be killed twice', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  await farm.jobs.kill(farm.alice, taskId);
  assert.equal(await stateOf(farm, taskId), 'aborted');
  await assert.rejects(farm.jobs.kill(farm.alice, taskId), { code: 'ERR_CONFLICT', message: /it is aborted/ });
});

eachStore('a task that is killed while pilots acquire its jobs ends without one left behind', async (t, database) => {
  const farm = await openFarm(t, database);
  const other = await farm.replica();
  const taskId = await farm.submit({ jobCount: 50 });
  const acquisition = { queue: 'default', node: 'n', count: 1, mayHaveSecrets: true };
  const pilots = Array.from({ length: 20 }, (_, n) => other.acquire({ ...acquisition, pilotId: `p${n}` }));
  await farm.jobs.kill(farm.alice, taskId);
  for (const [n, { jobs }] of (await Promise.all(pilots)).entries()) {
    for (const job of jobs) {
      assert.deepEqual(await farm.jobs.report(`p${n}`, { ...job, state: 'running' }), { command: 'tobekilled' });
      await farm.jobs.report(`p${n}`, { ...job, state: 'failed' });
    }
  }
  assert.equal(await stateOf(farm, taskId), 'aborted');
  assert.deepEqual([...new Set(await jobStates(farm, taskId))], ['cancelled']);
});

eachStore('finishing a task early keeps what finished and stops the rest', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 3 });
  const [one, two] = await farm.acquire('p', 2);
  assert.ok(one && two);
  await farm.jobs.report('p', { ...one, state: 'finished' });
  await farm.jobs.finish(farm.alice, taskId);
  assert.equal(await stateOf(farm, taskId), 'finishing');
  assert.deepEqual(await farm.jobs.report('p', { ...two, state: 'running' }), { command: 'tobekilled' });
  await farm.jobs.report('p', { ...two, state: 'failed' });
  assert.equal(await stateOf(farm, taskId), 'finished');
  assert.deepEqual(await jobStates(farm, taskId), ['finished', 'cancelled', 'cancelled']);
});

eachStore('finishing a task softly lets what runs finish, and tries nothing again', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 3 });
  const [one, two] = await farm.acquire('p', 2);
  assert.ok(one && two);
  await farm.jobs.finish(farm.alice, taskId, { soft: true });
  assert.deepEqual(await farm.jobs.report('p', { ...one, state: 'running' }), { command: 'NULL' });
  await farm.jobs.report('p', { ...one, state: 'finished' });
  await farm.jobs.report('p', { ...two, state: 'failed' });
  assert.equal(await stateOf(farm, taskId), 'finished');
  assert.deepEqual(await jobStates(farm, taskId), ['finished', 'failed', 'cancelled']);
});

eachStore('retrying an ended task runs what did not finish, with as many attempts again', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 2, maxAttempts: 1 });
  const [one, two] = await farm.acquire('p');
  assert.ok(one && two);
  await farm.jobs.report('p', { ...one, state: 'finished' });
  await assert.rejects(farm.jobs.retry(farm.alice, taskId), { code: 'ERR_CONFLICT', message: /has not ended/ });
  await farm.jobs.report('p', { ...two, state: 'failed' });
  await farm.jobs.retry(farm.alice, taskId);
  const again = await farm.acquireOne('q');
  assert.deepEqual([again.jobId, again.attempt], [two.jobId, 2]);
  await assert.rejects(farm.jobs.report('p', { ...two, state: 'finished' }), { code: 'ERR_CONFLICT' });
  await farm.jobs.report('q', { ...again, state: 'finished' });
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.deepEqual([task.state, task.diagnosis], ['done', '']);
  await assert.rejects(farm.jobs.retry(farm.alice, taskId), { code: 'ERR_CONFLICT', message: /is done/ });
});

eachStore('a task may be retried on another queue and with more attempts', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ queue: 'default', maxAttempts: 1 });
  await farm.jobs.report('p', { ...(await farm.acquireOne('p')), state: 'failed' });
  const retry = (change: object) => farm.jobs.retry(farm.alice, taskId, change);
  await assert.rejects(retry({ queue: 'none' }), { code: 'ERR_INVALID_ARGUMENT', message: /no queue "none"/ });
  await retry({ queue: 'gpu', maxAttempts: 2 });
  assert.deepEqual(await farm.acquire('p'), []);
  for (const attempt of [2, 3]) {
    const asked = { pilotId: 'q', queue: 'gpu', node: 'node1', count: 1, mayHaveSecrets: true };
    const [job] = (await farm.jobs.acquire(asked)).jobs;
    assert.equal(job?.attempt, attempt);
    await farm.jobs.report('q', { jobId: job.jobId, attempt, state: 'failed' });
  }
  assert.equal(await stateOf(farm, taskId), 'failed');
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).queue, 'gpu');
});

eachStore('a paused task gives out nothing until it is resumed, not even what failed', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 2 });
  const job = await farm.acquireOne('p');
  await farm.jobs.pause(farm.alice, taskId);
  await farm.jobs.report('p', { ...job, state: 'failed' });
  assert.equal(await stateOf(farm, taskId), 'paused');
  assert.deepEqual(await farm.acquire('q'), []);
  await farm.jobs.resume(farm.alice, taskId);
  assert.equal(await stateOf(farm, taskId), 'running');
  assert.equal((await farm.acquire('q')).length, 2);
  await assert.rejects(farm.jobs.resume(farm.alice, taskId), { code: 'ERR_CONFLICT', message: /is not paused/ });
});

eachStore(
  "another owner's task cannot be seen or changed, and is answered as one that is not there",
  async (t, database) => {
    const farm = await openFarm(t, database);
    const taskId = await farm.submit();
    const job = await farm.acquireOne('p');
    await farm.jobs.addFile('p', { ...job, name: job.logName, kind: 'log', sha256: '0'.repeat(64), size: 1 });
    const { jobs, bob } = farm;
    const attempts = [
      () => jobs.getTask(bob, taskId),
      () => jobs.jobsOf(bob, taskId),
      () => jobs.kill(bob, taskId),
      () => jobs.finish(bob, taskId),
      () => jobs.retry(bob, taskId),
      () => jobs.pause(bob, taskId),
      () => jobs.resume(bob, taskId),
      () => jobs.listFiles(bob, taskId),
    ];
    for (const attempt of attempts) {
      await assert.rejects(attempt, { code: 'ERR_NOT_FOUND', message: `you have no task ${taskId}` });
    }
    await assert.rejects(jobs.getTask(bob, 1), { code: 'ERR_NOT_FOUND', message: 'you have no task 1' });
    await assert.rejects(jobs.findFile(bob, job.jobId, 1, job.logName), { code: 'ERR_NOT_FOUND' });
    assert.deepEqual(await jobs.getJobs(bob, [job.jobId]), []);
    assert.deepEqual(await jobs.listTasks(bob), []);
    assert.equal(await stateOf(farm, taskId), 'running');
  },
);
