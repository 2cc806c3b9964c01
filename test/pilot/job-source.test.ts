import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createJobSource } from '../../src/pilot/job-source.ts';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { Refused } from '../../src/protocol/errors.ts';

/** A source whose server answers each question when the test says so. Time stands still. */
function sourceFor(t: TestContext, { idleExitSeconds }: { idleExitSeconds?: number } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const asked: { count: number; answer(jobs: number): void; refuse(): void }[] = [];
  const source = createJobSource(
    {
      server: {
        acquireJobs: ({ n_jobs: count }) =>
          new Promise((resolve, reject) => {
            asked.push({
              count: count ?? 1,
              answer: (jobs) => resolve(Array.from({ length: jobs }, (_, n) => ({ PandaID: n + 1 }) as PilotJob)),
              refuse: () => reject(new Refused('this pilot may not', null)),
            });
          }),
      },
      node: { name: 'node', queue: 'default' },
      policy: { idleExitSeconds },
      stopping: stopping.signal,
      say: () => {},
    },
    undefined,
  );
  return {
    source,
    stopping,
    /** The nth question, from 0. */
    async question(n: number) {
      for (;;) {
        const found = asked[n];
        if (found) return found;
        await setImmediate();
      }
    },
  };
}

const idOf = (acquired: { job: PilotJob } | undefined) => acquired?.job.PandaID;

test('jobs go to the slots that wait the longest, with one key for all of an answer', async (t) => {
  const { source, question } = sourceFor(t);
  const slots = [source.next(), source.next(), source.next()];
  const first = await question(0);
  assert.equal(first.count, 3);
  first.answer(2);
  const [one, two] = await Promise.all(slots.slice(0, 2));
  assert.deepEqual([idOf(one), idOf(two)], [1, 2]);
  assert.equal(one?.recipient, two?.recipient);
  await setImmediate();
  t.mock.timers.tick(1000);
  const second = await question(1);
  assert.equal(second.count, 1);
  second.answer(1);
  assert.notEqual((await slots[2])?.recipient, one?.recipient);
});

test('a slot that becomes free has the server asked at once, for all that wait', async (t) => {
  const { source, question } = sourceFor(t);
  const idle = source.next();
  for (let n = 0; n < 5; n++) {
    (await question(n)).answer(0);
    await setImmediate();
    if (n < 4) t.mock.timers.tick(15_000);
  }
  const free = source.next();
  const asked = await question(5);
  assert.equal(asked.count, 2, 'no time has passed');
  asked.answer(2);
  assert.deepEqual([idOf(await idle), idOf(await free)], [1, 2]);
});

test('each slot ends when it alone was idle for long enough, and all when the pilot is told to stop', async (t) => {
  const { source, question, stopping } = sourceFor(t, { idleExitSeconds: 2 });
  const early = source.next();
  (await question(0)).answer(0);
  await setImmediate();
  t.mock.timers.tick(1900);
  const late = source.next();
  (await question(1)).answer(0);
  assert.equal(await early, undefined);
  await setImmediate();
  stopping.abort();
  t.mock.timers.tick(0);
  assert.equal(await late, undefined);
  assert.equal(await source.next(), undefined);
});

test('a refusal ends all slots that wait', async (t) => {
  const { source, question } = sourceFor(t);
  const slots = [source.next(), source.next()];
  const ended = Promise.allSettled(slots);
  (await question(0)).refuse();
  assert.deepEqual(
    (await ended).map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  const again = source.next();
  (await question(1)).answer(1);
  assert.equal(idOf(await again), 1);
});
