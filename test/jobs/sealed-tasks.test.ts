import assert from 'node:assert/strict';
import { eachStore, type TestDatabase } from '../stores.ts';
import { openFarm } from './farm.ts';

/** A farm with a task of two jobs whose secrets are sealed, and one job without secrets behind them. */
async function sealedTask(t: Parameters<typeof openFarm>[0], database: TestDatabase) {
  const farm = await openFarm(t, database);
  const sealed = { useSecrets: true, sealed: true, secretIds: ['s1'], jobCount: 2, maxAttempts: 2 };
  const taskId = await farm.submit(sealed);
  const ask = (mayHaveSealed: boolean, more: { taskId?: number } = {}) =>
    farm.jobs.acquire({
      pilotId: 'p',
      queue: 'default',
      node: 'n',
      count: 10,
      mayHaveSecrets: true,
      mayHaveSealed,
      ...more,
    });
  return { ...farm, taskId, ask };
}

eachStore('jobs with sealed secrets wait for what their owner signs', async (t, database) => {
  const { jobs, alice, bob, taskId, ask } = await sealedTask(t, database);
  assert.deepEqual((await ask(true)).jobs, []);
  assert.deepEqual((await ask(true, { taskId })).jobs, []);
  assert.equal(await jobs.grantOf(alice, taskId), null);
  await assert.rejects(jobs.resume(alice, taskId), { code: 'ERR_CONFLICT', message: /has not signed/ });
  await assert.rejects(jobs.grant(bob, taskId, 'a.b'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(jobs.grantOf(bob, taskId), { code: 'ERR_NOT_FOUND' });

  await jobs.grant(alice, taskId, 'a.b');
  await assert.rejects(jobs.grant(alice, taskId, 'c.d'), { code: 'ERR_CONFLICT' }, 'once');
  assert.equal(await jobs.grantOf(alice, taskId), 'a.b');
  const { jobs: given } = await ask(true);
  assert.deepEqual(
    given.map(({ grant, serial }) => ({ ...grant, serial })),
    [
      { word: 'a.b', attempt: 1, serial: 1 },
      { word: 'a.b', attempt: 1, serial: 2 },
    ],
  );
});

eachStore('a pilot without a key of its site gets no job with a grant, and others', async (t, database) => {
  const { jobs, alice, taskId, ask, submit } = await sealedTask(t, database);
  await jobs.grant(alice, taskId, 'a.b');
  assert.equal((await ask(false)).withheldSealed, 2);
  assert.deepEqual((await ask(false, { taskId })).jobs, []);
  const plain = await submit({ useSecrets: true });
  assert.deepEqual(
    (await ask(false)).jobs.map((job) => [job.taskId, job.grant]),
    [[plain, undefined]],
  );
  assert.equal((await ask(true)).jobs.length, 2);
});

eachStore('a retry waits for a new grant, and counts attempts from it', async (t, database) => {
  const { jobs, alice, taskId, ask, submit } = await sealedTask(t, database);
  await jobs.grant(alice, taskId, 'a.b');
  for (const attempt of [1, 2]) {
    for (const job of (await ask(true)).jobs) {
      assert.equal(job.grant?.attempt, attempt);
      await jobs.failAttempt(job.jobId, job.attempt, 'broken', { retriable: true });
    }
  }
  assert.equal((await jobs.getTask(alice, taskId)).state, 'failed');

  await assert.rejects(jobs.retry(alice, taskId), { code: 'ERR_CONFLICT', message: /pbook retry/ });
  await assert.rejects(jobs.retry(alice, taskId, { sealed: true, maxAttempts: 9 }), { code: 'ERR_CONFLICT' });
  await jobs.retry(alice, taskId, { sealed: true });
  assert.deepEqual((await ask(true)).jobs, []);
  assert.equal(await jobs.grantOf(alice, taskId), 'a.b', 'its owner signs the same again');
  await jobs.grant(alice, taskId, 'c.d');
  const { jobs: again } = await ask(true);
  assert.deepEqual(
    again.map(({ attempt, grant }) => [attempt, grant?.word, grant?.attempt]),
    [
      [3, 'c.d', 1],
      [3, 'c.d', 1],
    ],
  );

  const plain = await submit({ useSecrets: true });
  const [job] = (await ask(false)).jobs;
  assert.ok(job);
  await jobs.failAttempt(job.jobId, job.attempt, 'broken', { retriable: false });
  await assert.rejects(jobs.retry(alice, plain, { sealed: true }), { code: 'ERR_CONFLICT', message: /needs no grant/ });
  assert.equal(await jobs.grantOf(alice, plain), undefined);
});

eachStore('a task whose jobs were refused by their pilot tells its owner why', async (t, database) => {
  const { jobs, alice, taskId, ask } = await sealedTask(t, database);
  await jobs.grant(alice, taskId, 'a.b');
  for (const job of (await ask(true)).jobs) {
    await jobs.failAttempt(job.jobId, job.attempt, 'grant-ended', { retriable: false });
  }
  const { diagnosis } = await jobs.getTask(alice, taskId);
  assert.match(
    diagnosis,
    /^2 of 2 jobs failed; job \d+: its grant has ended: "pbook retry" signs again \(grant-ended\)$/,
  );
});

eachStore('a task that waits for its grant can be killed, and takes none then', async (t, database) => {
  const { jobs, alice, taskId } = await sealedTask(t, database);
  await jobs.kill(alice, taskId);
  assert.equal((await jobs.getTask(alice, taskId)).state, 'aborted');
  await assert.rejects(jobs.grant(alice, taskId, 'a.b'), { code: 'ERR_CONFLICT', message: /aborted/ });
});
