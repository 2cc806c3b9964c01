import assert from 'node:assert/strict';
import type { LeasedJob } from '../../src/jobs/jobs.ts';
import { MAX_MAX_ATTEMPTS } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { type Farm, openFarm, submission } from './farm.ts';

const PILOT = { pilotId: 'p', queue: 'default', node: 'n', count: 9, mayHaveSecrets: true };

const submit = (farm: Farm, asked: Record<string, unknown>, change = {}) =>
  farm.submit({ template: submission('user.alice.any', asked).template, ...change });

eachStore('a pilot gets jobs that fit into what it has left alone, and those that say nothing', async (t, database) => {
  const farm = await openFarm(t, database);
  const any = await farm.submit();
  const hours = await submit(farm, { maxWalltime: 3 });
  const memory = await submit(farm, { ramCount: 4000, ramUnit: 'MB' });
  const cores = await submit(farm, { coreCount: 8 });
  const small = await submit(farm, { maxWalltime: 1, ramCount: 1000, ramUnit: 'MB' });
  const got = async (room?: object, more = {}) => {
    const { jobs } = await farm.jobs.acquire({ ...PILOT, ...(room && { room }), ...more });
    for (const job of jobs) await farm.jobs.report('p', { ...job, state: 'failed' });
    return jobs.map(({ taskId }) => taskId);
  };
  assert.deepEqual(await got({ seconds: 3600, megabytes: 2000, cores: 1 }), [any, small]);
  assert.deepEqual(await got({ seconds: 3599 }), [any, memory, cores]);
  assert.deepEqual(await got({ megabytes: 4000, cores: 4 }), [any, hours, memory, small]);
  assert.deepEqual(await got({ seconds: 60 }, { taskId: hours }), []);
  assert.deepEqual(await got({ seconds: 10_800 }, { taskId: hours }), [hours]);
});

eachStore('a job that fits is found behind many that do not', async (t, database) => {
  const farm = await openFarm(t, database);
  await submit(farm, { maxWalltime: 5 }, { jobCount: 300 });
  const short = await submit(farm, { maxWalltime: 1 });
  const { jobs } = await farm.jobs.acquire({ ...PILOT, room: { seconds: 4000 } });
  assert.deepEqual(
    jobs.map(({ taskId }) => taskId),
    [short],
  );
});

/** Gives the job back, after it ran or before. @returns its next attempt, if there is one */
async function giveBack(farm: Farm, { jobId, attempt }: LeasedJob, ran: boolean): Promise<LeasedJob | undefined> {
  if (ran) await farm.jobs.report('p', { jobId, attempt, state: 'running' });
  await farm.jobs.report('p', { jobId, attempt, state: 'failed', givenBack: true, diagnosis: 'the time is up' });
  return (await farm.acquire('p', 1))[0];
}

eachStore('an attempt that is given back does not count', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ maxAttempts: 2 });
  let job = await farm.acquireOne('p');
  for (let n = 0; n < 3; n++) job = (await giveBack(farm, job, true)) ?? assert.fail('it is not tried again');
  assert.equal(job.attempt, 4);
  const { jobId, attempt } = job;
  await farm.jobs.report('p', { jobId, attempt, state: 'failed' });
  const last = await farm.acquireOne('p');
  await farm.jobs.report('p', { jobId, attempt: last.attempt, state: 'failed' });
  assert.deepEqual(await farm.acquire('p'), []);
});

eachStore('what is to run once and ran is not given back, and nothing is for ever', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ maxAttempts: 1 });
  const again = await giveBack(farm, await farm.acquireOne('p'), false);
  assert.equal(again?.attempt, 2);
  assert.equal(await giveBack(farm, again, true), undefined);
  await farm.submit({ maxAttempts: 2 });
  let job: LeasedJob | undefined = await farm.acquireOne('p');
  let attempts = 0;
  for (; job; attempts++) job = await giveBack(farm, job, true);
  assert.ok(attempts <= MAX_MAX_ATTEMPTS + 2);
});
