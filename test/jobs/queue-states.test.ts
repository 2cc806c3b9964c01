import assert from 'node:assert/strict';
import { createJobs } from '../../src/jobs/jobs.ts';
import { addQueue, findQueue, listQueues, queueLoad, removeQueue, setQueue } from '../../src/jobs/queues.ts';
import { eachStore, interrupted } from '../stores.ts';
import { openFarm, submission } from './farm.ts';

const PILOT = { pilotId: 'pilot', queue: 'gpu', node: 'node1', count: 100, mayHaveSecrets: true };

eachStore('a paused queue takes tasks and gives out no job until it is opened', async (t, database) => {
  const { store, jobs, clock, submit } = await openFarm(t, database);
  const { queue: paused } = await setQueue(store, clock, 'gpu', { state: 'paused' });
  const named = await submit({ queue: 'gpu' });
  const any = await submit();
  assert.deepEqual(await jobs.acquire({ ...PILOT, state: paused.state }), {
    jobs: [],
    withheld: 0,
    withheldSealed: 0,
    refused: 0,
  });
  assert.deepEqual(await queueLoad(store, paused), { waiting: 0, running: 0 });

  const { queue } = await setQueue(store, clock, 'gpu', { state: 'open' });
  assert.deepEqual(await queueLoad(store, queue), { waiting: 2, running: 0 });
  const { jobs: given } = await jobs.acquire({ ...PILOT, state: queue.state });
  assert.deepEqual(
    given.map(({ taskId }) => taskId),
    [named, any],
  );
});

eachStore('a queue that drains takes no new task, and runs those that name it', async (t, database) => {
  const { store, jobs, alice, clock, submit } = await openFarm(t, database);
  const before = await submit({ queue: 'gpu' });
  const { queue: draining } = await setQueue(store, clock, 'gpu', { state: 'draining' });
  await assert.rejects(submit({ queue: 'gpu' }), {
    code: 'ERR_CONFLICT',
    message: 'site: queue "gpu" is being emptied and takes no new tasks. Name another one (default)',
  });
  const any = await submit();
  assert.deepEqual(await queueLoad(store, draining), { waiting: 1, running: 0 });
  assert.deepEqual((await jobs.acquire({ ...PILOT, state: 'draining', taskId: any })).jobs, []);
  const { jobs: given } = await jobs.acquire({ ...PILOT, state: 'draining' });
  assert.deepEqual(
    given.map(({ taskId }) => taskId),
    [before],
  );

  await jobs.kill(alice, any);
  for (const change of [{ queue: 'gpu' }, { queue: 'nowhere' }]) await assert.rejects(jobs.retry(alice, any, change));
  await jobs.retry(alice, any, { queue: 'default' });
});

eachStore('a task is not taken up again on a queue that drains or is gone', async (t, database) => {
  const { store, jobs, alice, clock, submit } = await openFarm(t, database);
  const task = await submit({ queue: 'gpu' });
  await jobs.kill(alice, task);
  await setQueue(store, clock, 'gpu', { state: 'draining' });
  await assert.rejects(jobs.retry(alice, task), { code: 'ERR_CONFLICT' });
  await removeQueue(store, clock, 'gpu');
  await assert.rejects(jobs.retry(alice, task), { code: 'ERR_INVALID_ARGUMENT' });
  await jobs.retry(alice, task, { queue: 'default' });
});

eachStore('a queue is removed when every task for it has ended and nothing runs there', async (t, database) => {
  const { store, jobs, alice, clock, submit } = await openFarm(t, database);
  const named = await submit({ queue: 'gpu' });
  await assert.rejects(removeQueue(store, clock, 'gpu'), {
    code: 'ERR_CONFLICT',
    message:
      'queue "gpu" is in use: 1 task for it has not ended; nothing was changed. "panda-secrets queue drain gpu" has it take no ' +
      'new tasks: remove it when these have ended',
  });
  await jobs.kill(alice, named);
  const any = await submit();
  await jobs.acquire(PILOT);
  await assert.rejects(removeQueue(store, clock, 'gpu'), { message: /in use: 1 job runs there; nothing was changed/ });
  const [job] = await jobs.jobsOf(alice, any);
  await jobs.failAttempt(job?.jobId ?? 0, 1, 'test', { retriable: false });
  await removeQueue(store, clock, 'gpu');
  assert.deepEqual(
    (await listQueues(store)).map(({ name }) => name),
    ['default'],
  );
});

eachStore('a task that is submitted while its queue is removed is refused', async (t, database) => {
  const { store, alice, clock } = await openFarm(t, database);
  const late = createJobs({ clock, store: interrupted(store, () => removeQueue(store, clock, 'gpu')) });
  await assert.rejects(late.submit(alice, { ...submission('user.alice.late'), queue: 'gpu' }), {
    code: 'ERR_INVALID_ARGUMENT',
  });
});

eachStore(
  'tasks and the removal of their queue at the same moment leave no task without a queue',
  async (t, database) => {
    const { store, jobs, alice, clock } = await openFarm(t, database);
    for (let round = 0; round < 5; round++) {
      const queue = `Q${round}`;
      await addQueue(store, clock, queue);
      const tasks = Array.from({ length: 4 }, (_, n) =>
        jobs.submit(alice, { ...submission(`user.alice.r${round}.${n}`), queue }),
      );
      const [removed, ...taken] = await Promise.allSettled([removeQueue(store, clock, queue), ...tasks]);
      const count = taken.filter(({ status }) => status === 'fulfilled').length;
      assert.equal((await findQueue(store, queue)) === undefined, removed?.status === 'fulfilled');
      if (removed?.status === 'fulfilled') assert.equal(count, 0);
    }
  },
);
