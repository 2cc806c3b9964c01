import assert from 'node:assert/strict';
import { MAX_ACQUIRED_CHARS, MAX_JOB_PARAMETERS_CHARS } from '../../src/protocol/limits.ts';
import { seenStatements } from '../seen-statements.ts';
import { eachStore, onPostgres } from '../stores.ts';
import { openFarm, submission, taskParameters } from './farm.ts';

const PILOT = { pilotId: 'p', queue: 'default', node: 'n', count: 100, mayHaveSecrets: true };

eachStore('a job that is put back waits as if no pilot had asked', async (t, database) => {
  const farm = await openFarm(t, database);
  const task = await farm.submit({ jobCount: 2, maxAttempts: 1 });
  const before = await farm.jobs.jobsOf(farm.alice, task);
  await farm.jobs.putBack(await farm.acquire('p'));
  assert.deepEqual(await farm.jobs.jobsOf(farm.alice, task), before);
  assert.deepEqual(await farm.store.db.selectFrom('attempts').selectAll().execute(), []);
  const again = await farm.acquire('p');
  assert.deepEqual(
    again.map(({ attempt }) => attempt),
    [1, 1],
  );
});

eachStore('a job is put back as its task is by then: paused, killed, finished, or reported on', async (t, database) => {
  const farm = await openFarm(t, database);
  const [paused, killed, finished, running] = [
    await farm.submit(),
    await farm.submit(),
    await farm.submit(),
    await farm.submit(),
  ];
  const jobs = await farm.acquire('p');
  await farm.jobs.pause(farm.alice, paused);
  await farm.jobs.kill(farm.alice, killed);
  await farm.jobs.finish(farm.alice, finished, { soft: true });
  const { jobId, attempt } = jobs.find(({ taskId }) => taskId === running) ?? assert.fail('it was not acquired');
  await farm.jobs.report('p', { jobId, attempt, state: 'running' });
  await farm.jobs.putBack(jobs);
  const states = [paused, killed, finished, running].map(
    async (task) => (await farm.jobs.jobsOf(farm.alice, task))[0]?.state,
  );
  assert.deepEqual(await Promise.all(states), ['throttled', 'cancelled', 'cancelled', 'running']);
  await farm.jobs.resume(farm.alice, paused);
  assert.equal((await farm.acquireOne('p')).attempt, 1);
});

onPostgres(
  'jobs are put back in the order of their tasks, whatever the order in which they were got',
  async (t, database) => {
    const farm = await openFarm(t, database);
    const tasks = [await farm.submit(), await farm.submit(), await farm.submit()];
    const jobs = await farm.acquire('p');
    const seen = seenStatements(t);
    await farm.jobs.putBack(jobs.toReversed());
    const locks = seen.filter(({ sql }) =>
      /^update "tasks" set "modified_at" = \$1 where "id" = \$2 and "owner_id"/.test(sql),
    );
    assert.deepEqual(
      locks.map(({ values }) => Number(values[1])),
      tasks,
    );
  },
);

eachStore('jobs for which an answer has no room are not taken, and each owner gets one', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 3 });
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.one'), jobCount: 3 });
  const [one] = await farm.acquire('p', 1);
  assert.ok(one);
  await farm.jobs.putBack([one]);
  const given = await farm.jobs.acquire({ ...PILOT, maxChars: 2 * one.parameters.length + 10 });
  assert.deepEqual(given.jobs.map(({ ownerId }) => ownerId).sort(), ['alice', 'bob']);
  assert.equal((await farm.jobs.acquire({ ...PILOT, maxChars: 1 })).jobs.length, 1, 'one is given whatever it needs');
  assert.equal((await farm.acquire('p')).length, 3);
});

eachStore('tasks that are too large together are not read at once', async (t, database) => {
  const farm = await openFarm(t, database);
  const { jobParameters } = taskParameters('user.alice.large', 'x'.repeat(MAX_JOB_PARAMETERS_CHARS - 1000));
  const fitting = MAX_ACQUIRED_CHARS / MAX_JOB_PARAMETERS_CHARS;
  for (let n = 0; n < fitting + 2; n++) {
    await farm.jobs.submit(farm.alice, submission(`user.alice.large${n}`, { jobParameters }));
  }
  const [first, second] = [await farm.acquire('p'), await farm.acquire('p')];
  assert.deepEqual([first.length, second.length], [fitting, 2]);
  assert.ok(second.every(({ attempt }) => attempt === 1));
});
