import assert from 'node:assert/strict';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { openFarm } from './farm.ts';

const conflict = { code: 'ERR_CONFLICT' };

eachStore('a job goes through its states, and its task with it', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  const job = await farm.acquireOne('p');
  const stateAfter = async (state: string) => {
    await farm.jobs.report('p', { ...job, state, node: 'node7', exitCode: state === 'finished' ? 0 : undefined });
    const [info] = await farm.jobs.jobsOf(farm.alice, taskId);
    return [info?.state, info?.node, (await farm.jobs.getTask(farm.alice, taskId)).state];
  };
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).state, 'running');
  assert.deepEqual(await stateAfter('starting'), ['starting', 'node7', 'running']);
  assert.deepEqual(await stateAfter('running'), ['running', 'node7', 'running']);
  assert.deepEqual(await stateAfter('running'), ['running', 'node7', 'running']);
  assert.deepEqual(await stateAfter('holding'), ['holding', 'node7', 'running']);
  assert.deepEqual(await stateAfter('running'), ['holding', 'node7', 'running']);
  assert.deepEqual(await stateAfter('finished'), ['finished', 'node7', 'done']);
  const [info] = await farm.jobs.getJobs(farm.alice, [job.jobId]);
  assert.deepEqual([info?.exitCode, info?.diagnosis, info?.queue], [0, '', 'default']);
});

eachStore('a failed job is tried again up to its limit, then its task fails and says why', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ maxAttempts: 2 });
  for (const attempt of [1, 2]) {
    const job = await farm.acquireOne(`p${attempt}`);
    assert.equal(job.attempt, attempt);
    await farm.jobs.report(`p${attempt}`, { ...job, state: 'failed', exitCode: 7 });
  }
  assert.deepEqual(await farm.acquire('p3'), []);
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.equal(task.state, 'failed');
  assert.match(task.diagnosis, /^1 of 1 jobs failed; job \d+: the payload ended with exit status 7$/);
});

eachStore('a task of which some jobs finished is finished, not done', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ jobCount: 2, maxAttempts: 1 });
  const [one, two] = await farm.acquire('p');
  assert.ok(one && two);
  await farm.jobs.report('p', { ...one, state: 'finished' });
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).state, 'running');
  await farm.jobs.report('p', { ...two, state: 'failed', errorCode: 1305, diagnosis: 'out of disk' });
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.deepEqual([task.state, task.jobs.finished, task.jobs.failed], ['finished', 1, 1]);
  assert.match(task.diagnosis, /out of disk$/);
});

eachStore('a final report that is said again is answered, and counts once', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ maxAttempts: 2 });
  const first = await farm.acquireOne('p');
  for (let n = 0; n < 3; n++) await farm.jobs.report('p', { ...first, state: 'failed' });
  const second = await farm.acquireOne('q');
  await farm.jobs.report('p', { ...first, state: 'failed' });
  for (let n = 0; n < 3; n++) await farm.jobs.report('q', { ...second, state: 'finished' });
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).state, 'done');
  await assert.rejects(farm.jobs.report('q', { ...second, state: 'failed' }), conflict);
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).state, 'done');
});

eachStore("a pilot cannot report, upload or learn about another pilot's attempt", async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  const job = await farm.acquireOne('p');
  for (const state of ['running', 'finished', 'failed']) {
    await assert.rejects(farm.jobs.report('mallory', { ...job, state }), conflict);
  }
  const file = { ...job, name: 'x', kind: 'log', sha256: '0'.repeat(64), size: 1 } as const;
  await assert.rejects(farm.jobs.addFile('mallory', file), conflict);
  await assert.rejects(farm.jobs.checkUpload('mallory', job), conflict);
  assert.deepEqual(await farm.jobs.getJobsOfPilot('mallory', [job.jobId]), []);
  const [info] = await farm.jobs.jobsOf(farm.alice, taskId);
  assert.equal(info?.state, 'sent');
});

eachStore('a report of an attempt that never was is refused', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit();
  const job = await farm.acquireOne('p');
  for (const wrong of [{ attempt: 2 }, { attempt: 0 }, { jobId: job.jobId + 1 }]) {
    await assert.rejects(farm.jobs.report('p', { ...job, state: 'finished', ...wrong }), { code: 'ERR_NOT_FOUND' });
  }
  await assert.rejects(farm.jobs.report('p', { ...job, state: 'cooking' }), { code: 'ERR_INVALID_ARGUMENT' });
  await assert.rejects(farm.jobs.report('p', { ...job, state: 'constructor' }), { code: 'ERR_INVALID_ARGUMENT' });
});

eachStore(
  'a silent pilot loses its job, which is tried elsewhere; its late report changes nothing',
  async (t, database) => {
    const farm = await openFarm(t, database);
    const taskId = await farm.submit();
    const lost = await farm.acquireOne('slow');
    farm.passSeconds(LEASE_SECONDS + 1);
    assert.equal(await farm.jobs.expireLeases(), 1);
    assert.equal(await farm.jobs.expireLeases(), 0);
    const again = await farm.acquireOne('quick');
    assert.deepEqual([again.jobId, again.attempt], [lost.jobId, 2]);
    for (const state of ['running', 'finished', 'failed']) {
      await assert.rejects(farm.jobs.report('slow', { ...lost, state }), conflict);
    }
    const file = { ...lost, name: 'x', kind: 'log', sha256: '0'.repeat(64), size: 1 } as const;
    await assert.rejects(farm.jobs.addFile('slow', file), conflict);
    await farm.jobs.report('quick', { ...again, state: 'finished' });
    assert.equal((await farm.jobs.getTask(farm.alice, taskId)).state, 'done');
  },
);

eachStore('a pilot that reports keeps its job; one that is late but was not replaced as well', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit();
  const job = await farm.acquireOne('p');
  for (let n = 0; n < 5; n++) {
    farm.passSeconds(LEASE_SECONDS - 1);
    await farm.jobs.report('p', { ...job, state: 'running' });
    assert.equal(await farm.jobs.expireLeases(), 0);
  }
  farm.passSeconds(LEASE_SECONDS * 2);
  await farm.jobs.report('p', { ...job, state: 'running' });
  assert.equal(await farm.jobs.expireLeases(), 0);
});

eachStore('a job whose pilots all fall silent fails at its limit', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit({ maxAttempts: 2 });
  for (let n = 0; n < 2; n++) {
    await farm.acquireOne(`p${n}`);
    farm.passSeconds(LEASE_SECONDS + 1);
    await farm.jobs.expireLeases();
  }
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.equal(task.state, 'failed');
  assert.match(task.diagnosis, /its pilot was silent/);
});

eachStore('of a report and the loss of the lease at one moment, one counts', async (t, database) => {
  const farm = await openFarm(t, database);
  const other = await farm.replica();
  // Each waits for the row of their task: on a busy machine many of them would wait for longer than a request may.
  const taskId = await farm.submit({ jobCount: 8, maxAttempts: 2 });
  const jobs = await farm.acquire('p');
  farm.passSeconds(LEASE_SECONDS + 1);
  const [expired, ...reports] = await Promise.allSettled([
    other.expireLeases(),
    ...jobs.map((job) => farm.jobs.report('p', { ...job, state: 'finished' })),
  ]);
  const finished = reports.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(expired?.status === 'fulfilled', String(expired?.status === 'rejected' && expired.reason));
  for (const report of reports) if (report.status === 'rejected') assert.match(String(report.reason), /has ended/);
  assert.equal(finished + Number(expired.value), 8);
  const { jobs: counts } = await farm.jobs.getTask(farm.alice, taskId);
  assert.deepEqual([counts.finished, counts.waiting], [finished, 8 - finished]);
});

eachStore('jobs that end at one moment on two servers end their task once', async (t, database) => {
  const farm = await openFarm(t, database);
  const other = await farm.replica();
  const taskId = await farm.submit({ jobCount: 16, maxAttempts: 1 });
  const jobs = await farm.acquire('p');
  await Promise.all(
    jobs.map((job, n) => (n % 2 ? farm.jobs : other).report('p', { ...job, state: n === 7 ? 'failed' : 'finished' })),
  );
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.deepEqual([task.state, task.jobs.finished, task.jobs.failed], ['finished', 15, 1]);
});

eachStore('an attempt whose secrets could not be delivered is tried again, or fails for good', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  const first = await farm.acquireOne('p');
  await farm.jobs.failAttempt(first.jobId, 1, 'no key was offered', { retriable: true });
  const second = await farm.acquireOne('p');
  assert.equal(second.attempt, 2);
  await farm.jobs.failAttempt(second.jobId, 2, 'a secret is gone', { retriable: false });
  await farm.jobs.failAttempt(second.jobId, 2, 'again', { retriable: true });
  const task = await farm.jobs.getTask(farm.alice, taskId);
  assert.equal(task.state, 'failed');
  assert.match(task.diagnosis, /a secret is gone$/);
});
