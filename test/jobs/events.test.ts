import assert from 'node:assert/strict';
import type { RoomEvent } from '../../src/events/events.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { openFarm } from './farm.ts';

eachStore('taking a job, losing it, failing it and finishing it are told, each once', async (t, database) => {
  const farm = await openFarm(t, database);
  const events: RoomEvent[] = [];
  const jobs = createJobs({ store: farm.store, clock: farm.clock, tell: (event) => events.push(event) });
  await farm.submit();
  const take = async () => {
    const asked = { pilotId: 'p', queue: 'default', node: 'node1', count: 1, mayHaveSecrets: true };
    const [job] = (await jobs.acquire(asked)).jobs;
    assert.ok(job);
    return { jobId: job.jobId, attempt: job.attempt };
  };
  const acquired = { event: 'jobs.acquired', queue: 'default', jobs: 1 };

  const lost = await take();
  farm.passSeconds(LEASE_SECONDS + 1);
  await jobs.expireLeases();
  await jobs.expireLeases();
  const failed = await take();
  await jobs.report('p', { ...failed, state: 'running' });
  await jobs.report('p', { ...failed, state: 'failed' });
  await jobs.report('p', { ...failed, state: 'failed' });
  const finished = await take();
  await jobs.report('p', { ...finished, state: 'finished' });
  assert.deepEqual(events, [
    acquired,
    { event: 'attempt.ended', ...lost, how: 'lost', retried: true },
    acquired,
    { event: 'attempt.ended', ...failed, how: 'failed', retried: true },
    acquired,
    { event: 'attempt.ended', ...finished, how: 'finished', retried: false },
  ]);
});

eachStore('a job that has no attempts left is told as not retried', async (t, database) => {
  const farm = await openFarm(t, database);
  const events: RoomEvent[] = [];
  const jobs = createJobs({ store: farm.store, clock: farm.clock, tell: (event) => events.push(event) });
  await farm.submit({ maxAttempts: 1 });
  const { jobId } = await farm.acquireOne('p');
  await jobs.failAttempt(jobId, 1, 'no secrets', { retriable: true });
  await jobs.failAttempt(jobId, 1, 'no secrets', { retriable: true });
  assert.deepEqual(events, [{ event: 'attempt.ended', jobId, attempt: 1, how: 'failed', retried: false }]);
});
