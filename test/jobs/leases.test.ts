import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJobs } from '../../src/jobs/jobs.ts';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { sqliteDatabase } from '../stores.ts';
import { openFarm } from './farm.ts';

test('the lease loop takes jobs from silent pilots, and ends what it does before it closes', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const farm = await openFarm(t, sqliteDatabase(t));
  const taskId = await farm.submit();
  await farm.acquireOne('p');
  const loop = farm.jobs.startLeaseLoop((error) => assert.fail(String(error)));
  farm.passSeconds(LEASE_SECONDS + 1);
  t.mock.timers.tick(10_000);
  await loop.close();
  assert.equal((await farm.jobs.getTask(farm.alice, taskId)).jobs.waiting, 1);
});

test('the lease loop survives a database that does not answer', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const farm = await openFarm(t, sqliteDatabase(t));
  await farm.submit();
  await farm.acquireOne('p');
  farm.passSeconds(LEASE_SECONDS + 1);
  const failing = { ...farm.store, write: () => Promise.reject(new Error('gone')) };
  const errors: unknown[] = [];
  const clock = () => Date.UTC(2030, 0, 1);
  const loop = createJobs({ store: failing, clock }).startLeaseLoop((error) => errors.push(error));
  t.mock.timers.tick(10_000);
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(10_000);
  await loop.close();
  assert.ok(errors.length >= 1);
  assert.equal((errors[0] as Error).message, 'gone');
});
