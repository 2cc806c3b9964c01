import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJobs } from '../../src/jobs/jobs.ts';
import { LEASE_SECONDS, PANDA_PILOT_LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore, interrupted, sqliteDatabase } from '../stores.ts';
import { openFarm } from './farm.ts';

eachStore('a pilot whose report arrives while its lease is being ended keeps the job', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  const { jobId } = await farm.acquireOne('p');
  farm.passSeconds(LEASE_SECONDS + 1);
  const report = { jobId, attempt: 1, state: 'running' };
  const store = interrupted(farm.store, () => farm.jobs.report('p', report));
  assert.equal(await createJobs({ store, clock: farm.clock }).expireLeases(), 0);
  assert.deepEqual(
    (await farm.jobs.jobsOf(farm.alice, taskId)).map(({ state }) => state),
    ['running'],
  );
  assert.deepEqual(await farm.jobs.report('p', { ...report, state: 'finished' }), { command: 'NULL' });
});

test('a pilot that reports every half an hour keeps its job for longer, from report to report', async (t) => {
  const farm = await openFarm(t, sqliteDatabase(t));
  await farm.submit();
  const asked = { pilotId: 'p', queue: 'default', node: 'node1', count: 1, mayHaveSecrets: true };
  const { jobs } = await farm.jobs.acquire({ ...asked, leaseSeconds: PANDA_PILOT_LEASE_SECONDS });
  const report = { jobId: jobs[0]?.jobId ?? 0, attempt: 1, state: 'running' };
  for (let reported = 0; reported < 4; reported++) {
    farm.passSeconds(PANDA_PILOT_LEASE_SECONDS - 1);
    assert.equal(await farm.jobs.expireLeases(), 0);
    await farm.jobs.report('p', report);
  }
  farm.passSeconds(PANDA_PILOT_LEASE_SECONDS + 1);
  assert.equal(await farm.jobs.expireLeases(), 1);
});

test('an operator may set another lease', async (t) => {
  const farm = await openFarm(t, sqliteDatabase(t));
  let now = Date.UTC(2030, 0, 1);
  const clock = () => now;
  const jobs = createJobs({ store: farm.store, clock, leaseSeconds: 5 });
  await farm.submit();
  await jobs.acquire({ pilotId: 'p', queue: 'default', node: 'node1', count: 1, mayHaveSecrets: true });
  now += 4000;
  assert.equal(await jobs.expireLeases(), 0);
  now += 2000;
  assert.equal(await jobs.expireLeases(), 1);
});
