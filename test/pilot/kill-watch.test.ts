import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createKillWatch } from '../../src/pilot/kill-watch.ts';
import type { PilotJobStatus } from '../../src/protocol/calls/pilot.ts';
import { Unavailable } from '../../src/protocol/errors.ts';
import { until } from './folders.ts';
import { pilotFor } from './pilots.ts';

test('a job that its owner kills is ended within the time between two questions, whatever the heartbeat', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'sleep 1000 & sleep 1001' });
  const running = run({ heartbeatSeconds: 1000, killPollSeconds: 0.1 });
  await panda.reported('running');
  panda.killing = true;
  await running;
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1144);
});

test('one question is for all jobs that run, and none is asked without a job', async (t) => {
  const { panda, folder, run } = await pilotFor(t);
  const go = join(folder, 'go');
  const command = `while [ ! -e ${go} ]; do sleep 0.02; done`;
  panda.add({ command }, { command }, { command });
  const running = run({ jobs: 3, slots: 3, killPollSeconds: 0.2 });
  await until(
    () => panda.questions.at(-1)?.length,
    (count) => count === 3,
  );
  const since = panda.questions.length;
  await until(
    () => panda.questions.length,
    (count) => count >= since + 3,
  );
  for (const ids of panda.questions.slice(since)) assert.equal(ids.length, 3);
  writeFileSync(go, '');
  await running;
  const before = panda.questions.length;
  await run({ jobs: 1, idleExitSeconds: 0.5, killPollSeconds: 0.05 });
  assert.equal(panda.questions.length, before);
});

test('only the job and the attempt that are named are killed, and failures are passed over', async (t) => {
  const killed: number[] = [];
  const answers: (() => PilotJobStatus[])[] = [
    () => {
      throw new Unavailable('HTTP 503');
    },
    () => [
      { job_id: 1, status: 'running', attempt_number: 1, command: 'tobekilled' },
      { job_id: 2, status: 'running', attempt_number: 1, command: 'NULL' },
      { job_id: 3, status: 'running', attempt_number: 1 },
      { job_id: 9, status: 'running', attempt_number: 1, command: 'tobekilled' },
    ],
    () => [{ job_id: 2, status: 'running', attempt_number: 1, command: 'tobekilled' }],
  ];
  const asked: (readonly number[])[] = [];
  const watch = watchFor(t, async (ids) => {
    asked.push(ids);
    return answers.shift()?.() ?? [];
  });
  watch.watch({ PandaID: 1, attemptNr: 2 }, () => killed.push(1));
  watch.watch({ PandaID: 2, attemptNr: 1 }, () => killed.push(2));
  const unwatch = watch.watch({ PandaID: 3, attemptNr: 1 }, () => killed.push(3));
  await until(
    () => killed,
    (seen) => seen.length > 0,
  );
  assert.deepEqual(killed, [2]);
  assert.deepEqual(asked.slice(0, 3), [
    [1, 2, 3],
    [1, 2, 3],
    [1, 2, 3],
  ]);
  unwatch();
  const before = asked.length;
  await until(
    () => asked.length,
    (count) => count > before + 1,
  );
  assert.deepEqual(asked.at(-1), [1, 2]);
});

function watchFor(t: TestContext, getPilotJobStatus: (ids: readonly number[]) => Promise<PilotJobStatus[]>) {
  const watch = createKillWatch({ server: { getPilotJobStatus }, everySeconds: 0.01 });
  t.after(() => watch.close());
  return watch;
}
