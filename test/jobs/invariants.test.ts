import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sql } from 'kysely';
import type { LeasedJob } from '../../src/jobs/jobs.ts';
import { PandaError } from '../../src/protocol/errors.ts';
import { LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { HELD_JOB_STATES, isEndedJob, isEndedTask } from '../../src/protocol/states.ts';
import { sqliteDatabase } from '../stores.ts';
import { type Farm, openFarm } from './farm.ts';

const pilots = ['p', 'q'];
const reports = ['starting', 'running', 'holding', 'finished', 'failed', 'failed'];
const commands = ['kill', 'finish', 'retry', 'pause', 'resume'] as const;
const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('acquire' as const), pilot: fc.constantFrom(...pilots) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant('report' as const),
      pilot: fc.constantFrom(...pilots),
      which: fc.nat(20),
      state: fc.constantFrom(...reports),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('silence' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom(...commands) }) },
);
type Act = typeof act extends fc.Arbitrary<infer A> ? A : never;

/** Does one thing; a refusal is an answer like another. */
async function perform(farm: Farm, taskId: number, given: LeasedJob[], it: Act): Promise<void> {
  try {
    if (it.act === 'acquire') given.push(...(await farm.acquire(it.pilot, 2)));
    else if (it.act === 'report') {
      const job = given[it.which % Math.max(given.length, 1)];
      if (job) await farm.jobs.report(it.pilot, { ...job, state: it.state });
    } else if (it.act === 'silence') {
      farm.passSeconds(LEASE_SECONDS + 1);
      await farm.jobs.expireLeases();
    } else await farm.jobs[it.act](farm.alice, taskId);
  } catch (error) {
    if (!(error instanceof PandaError)) throw error;
  }
}

/** Checks the rules that hold after any sequence of calls. */
async function check({ store, jobs, alice }: Farm, taskId: number): Promise<void> {
  const task = await jobs.getTask(alice, taskId);
  const attempts = await store.db.selectFrom('attempts').selectAll().execute();
  const infos = await jobs.jobsOf(alice, taskId);
  for (const job of infos) {
    const own = attempts.filter((attempt) => attempt.job_id === job.jobId);
    const open = own.filter((attempt) => attempt.ended_at === null).map(({ attempt }) => attempt);
    const held = (HELD_JOB_STATES as readonly string[]).includes(job.state);
    assert.deepEqual(open, held ? [job.attempt] : [], 'a job is held in exactly its open attempt');
    assert.deepEqual(
      own.map(({ attempt }) => attempt),
      own.map((_, n) => n + 1),
      'attempts count up without a gap',
    );
    assert.equal(own.length, job.attempt);
    assert.ok(job.attempt <= job.maxAttempts, 'no more attempts than allowed');
    if (job.state === 'throttled') assert.equal(task.state, 'paused');
    if (job.state === 'activated') assert.match(task.state, /^(ready|running)$/);
  }
  const { rows: unnoted } = await sql`
    select owner_id, coalesce(queue, '') as queue, use_secrets from jobs where state = 'activated'
    except select owner_id, queue, use_secrets from waiting_owners`.execute(store.db);
  assert.deepEqual(unnoted, [], 'whose jobs wait is noted');
  assert.equal(
    isEndedTask(task.state),
    infos.every((job) => isEndedJob(job.state)),
    'a task ends with its last job',
  );
  assert.equal(task.endedAt !== undefined, isEndedTask(task.state));
}

test('whatever pilots and the owner do, a task and its jobs stay in step', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const farm = await openFarm(t, sqliteDatabase(t));
      const taskId = await farm.submit({ jobCount: 3, maxAttempts: 2 });
      const given: LeasedJob[] = [];
      for (const it of acts) {
        await perform(farm, taskId, given, it);
        await check(farm, taskId);
      }
      // Nothing can get stuck: pilots that do their work bring it to an end.
      await farm.jobs.resume(farm.alice, taskId).catch(() => {});
      for (let n = 0; n < 3; n++) {
        for (const job of [...given, ...(await farm.acquire('p'))]) {
          await perform(farm, taskId, [job], { act: 'report', pilot: 'p', which: 0, state: 'finished' });
        }
        await perform(farm, taskId, given, { act: 'silence' });
      }
      await check(farm, taskId);
      assert.ok(isEndedTask((await farm.jobs.getTask(farm.alice, taskId)).state));
    }),
    { numRuns: 40 },
  );
});
