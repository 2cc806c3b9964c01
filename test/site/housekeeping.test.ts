import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import type { RoomEvent } from '../../src/events/events.ts';
import { MAX_HOUSEKEEPING_BACKOFF_SECONDS } from '../../src/protocol/limits.ts';
import { type HousekeepingTask, housekeepingTasks, startHousekeeping } from '../../src/site/housekeeping.ts';
import { NO_RESERVE } from '../../src/store/reserve.ts';

/** Housekeeping on a clock that stands still until it is moved. */
function start(t: TestContext, tasks: readonly HousekeepingTask[]) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const events: RoomEvent[] = [];
  const housekeeping = startHousekeeping(tasks, (event) => events.push(event));
  return {
    ...housekeeping,
    events,
    async passSeconds(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        t.mock.timers.tick(1000);
        await settled();
      }
    },
  };
}

test('each task runs at its own interval, the first time when it says', async (t) => {
  const runs: string[] = [];
  const run = (name: string) => async () => runs.push(name);
  const { passSeconds, close } = start(t, [
    { name: 'often', everySeconds: 10, run: run('often') },
    { name: 'at once', everySeconds: 25, firstAfterSeconds: 0, run: run('at once') },
  ]);
  await passSeconds(31);
  assert.deepEqual(runs, ['at once', 'often', 'often', 'at once', 'often']);
  await close();
});

test('a task that fails is told, waits longer each time, and keeps nobody else from working', async (t) => {
  let fails = true;
  let tries = 0;
  let others = 0;
  const failing = async () => {
    tries += 1;
    if (fails) throw new Error('gone');
  };
  const { passSeconds, events, close } = start(t, [
    { name: 'failing', everySeconds: 10, run: failing },
    { name: 'other', everySeconds: 10, run: async () => (others += 1) },
  ]);
  await passSeconds(70);
  assert.equal(tries, 3, 'after 10, 30 and 70 seconds');
  assert.equal(others, 7);
  assert.deepEqual(
    events.map((event) => event.event === 'housekeeping.failed' && [event.task, event.failures]),
    [
      ['failing', 1],
      ['failing', 2],
      ['failing', 3],
    ],
  );
  await passSeconds(1000);
  const before = tries;
  await passSeconds(MAX_HOUSEKEEPING_BACKOFF_SECONDS);
  assert.equal(tries, before + 1, 'never later than the longest wait');

  fails = false;
  await passSeconds(MAX_HOUSEKEEPING_BACKOFF_SECONDS);
  const well = tries;
  await passSeconds(20);
  assert.equal(tries, well + 2, 'at its own interval again');
  await close();
});

test('a task that takes long does not run twice at once, and is ended before housekeeping is closed', async (t) => {
  let running = 0;
  let finish = () => {};
  const run = async () => {
    running += 1;
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    running -= 1;
  };
  const { passSeconds, close } = start(t, [{ name: 'long', everySeconds: 1, run }]);
  await passSeconds(5);
  assert.equal(running, 1);
  const closed = close().then(() => running);
  finish();
  assert.equal(await closed, 0);
  await passSeconds(5);
  assert.equal(running, 0, 'nothing begins after the close');
});

/** Nothing of it is used within the times of these tests. */
const noFiles = {} as Parameters<typeof housekeepingTasks>[0]['files'];

test('pilots that no server could hear have the time of a lease to come back', async (t) => {
  let looked = 0;
  const tasks = housekeepingTasks({
    jobs: { expireLeases: async () => ++looked },
    pilots: { removeEnded: async () => {} },
    vault: { forgetOldKeys: () => {}, endSecrets: async () => {} },
    login: { removeEnded: async () => {} },
    jobLogs: { removeOld: async () => 0 },
    files: noFiles,
    reserve: NO_RESERVE,
    retention: async () => {},
    sign: { renew: async () => {} },
    leaseSeconds: 720,
  });
  const { passSeconds, close } = start(t, tasks);
  await passSeconds(719);
  assert.equal(looked, 0);
  await passSeconds(11);
  assert.equal(looked, 2);
  await close();
});

test('short leases are looked at more often', () => {
  const never = { removeEnded: async () => {} };
  const jobLogs = { removeOld: async () => 0 };
  const [leases] = housekeepingTasks({
    jobs: { expireLeases: async () => 0 },
    pilots: never,
    vault: { forgetOldKeys: () => {}, endSecrets: async () => {} },
    login: never,
    jobLogs,
    files: noFiles,
    reserve: NO_RESERVE,
    retention: async () => {},
    sign: { renew: async () => {} },
    leaseSeconds: 4,
  });
  assert.deepEqual([leases?.everySeconds, leases?.firstAfterSeconds], [1, 4]);
});
