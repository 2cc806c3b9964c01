import assert from 'node:assert/strict';
import { createJobs } from '../../src/jobs/jobs.ts';
import { eachStore } from '../stores.ts';
import { openFarm } from './farm.ts';

eachStore('two servers and many pilots that acquire at once get each job exactly once', async (t, database) => {
  const farm = await openFarm(t, database);
  const other = await farm.replica();
  for (let n = 0; n < 2; n++) await farm.submit({ jobCount: 100 });
  const acquireAll = async (jobs: typeof other, pilotId: string) => {
    const mine: number[] = [];
    for (;;) {
      const { jobs: got } = await jobs.acquire({
        pilotId,
        queue: 'default',
        node: 'n',
        count: 3,
        mayHaveSecrets: true,
      });
      if (got.length === 0) return mine;
      mine.push(...got.map((job) => job.jobId));
    }
  };
  const shares = await Promise.all(
    Array.from({ length: 8 }, (_, n) => acquireAll(n % 2 ? farm.jobs : other, `pilot${n}`)),
  );
  const all = shares.flat();
  assert.equal(all.length, 200);
  assert.equal(new Set(all).size, 200);
});

eachStore('a pilot gets jobs of its queue and those for any queue, the oldest first', async (t, database) => {
  const farm = await openFarm(t, database);
  const gpu = await farm.submit({ queue: 'gpu' });
  const any = await farm.submit();
  const own = await farm.submit({ queue: 'default' });
  assert.deepEqual(
    (await farm.acquire('p')).map((job) => job.taskId),
    [any, own],
  );
  const { jobs } = await farm.jobs.acquire({ pilotId: 'q', queue: 'gpu', node: 'n', count: 9, mayHaveSecrets: true });
  assert.deepEqual(
    jobs.map((job) => job.taskId),
    [gpu],
  );
});

eachStore('a pilot may ask for the jobs of one task', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit();
  const taskId = await farm.submit();
  const acquisition = { pilotId: 'p', queue: 'default', node: 'n', count: 9, taskId, mayHaveSecrets: true };
  assert.deepEqual(
    (await farm.jobs.acquire(acquisition)).jobs.map((job) => job.taskId),
    [taskId],
  );
});

eachStore('a large count of withheld jobs is taken again after some seconds', async (t, database) => {
  const farm = await openFarm(t, database);
  const acquisition = { pilotId: 'p', queue: 'default', node: 'n', count: 1, mayHaveSecrets: false };
  const withheld = async () => (await farm.jobs.acquire(acquisition)).withheld;
  await farm.submit({ jobCount: 999, useSecrets: true });
  assert.equal(await withheld(), 999);
  await farm.submit({ jobCount: 1, useSecrets: true });
  assert.equal(await withheld(), 1000);
  await farm.submit({ jobCount: 5, useSecrets: true });
  assert.equal(await withheld(), 1000);
  farm.passSeconds(6);
  assert.equal(await withheld(), 1005);
});

eachStore('jobs with secrets are withheld from a pilot that may not have them, and counted', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 2, useSecrets: true, secretIds: ['s1', 's2'] });
  const plain = await farm.submit();
  const acquisition = { pilotId: 'p', queue: 'default', node: 'n', count: 9, mayHaveSecrets: false };
  const first = await farm.jobs.acquire(acquisition);
  assert.deepEqual([first.jobs.map((job) => job.taskId), first.withheld], [[plain], 2]);
  assert.deepEqual(await farm.jobs.acquire(acquisition), { jobs: [], withheld: 2, withheldSealed: 0, refused: 0 });
  const trusted = await farm.acquire('q');
  assert.deepEqual(
    trusted.map((job) => [job.usesSecrets, job.secretIds]),
    [
      [true, ['s1', 's2']],
      [true, ['s1', 's2']],
    ],
  );
});

eachStore('a pilot that asks while nothing waits writes nothing', async (t, database) => {
  const farm = await openFarm(t, database);
  const jobs = createJobs({
    clock: Date.now,
    store: { ...farm.store, grow: () => assert.fail('a write') },
  });
  const acquisition = { pilotId: 'p', queue: 'default', node: 'n', count: 9, mayHaveSecrets: true };
  assert.deepEqual(await jobs.acquire(acquisition), { jobs: [], withheld: 0, withheldSealed: 0, refused: 0 });
});
