import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type Allocation,
  longestJobSeconds,
  readAllocation,
  readTime,
  secondsLeft,
  sharesOf,
} from '../../src/pilot/allocation.ts';
import { PILOT_ERRORS } from '../../src/pilot/error-codes.ts';
import { LEAST_ALLOCATION_SECONDS } from '../../src/protocol/limits.ts';
import { temporaryFolder } from './folders.ts';
import { pilotFor } from './pilots.ts';

const NOW = Date.UTC(2026, 2, 1, 12);
const HOUR = 3_600_000;
const read = (environment: Record<string, string>, options: { until?: number; minutes?: number } = {}) =>
  readAllocation({ environment, now: NOW, ...options });

/** What a pilot of these cores has until so many seconds from now, of the time from so many seconds ago on. */
function allocation({ seconds, before = 1000 }: { seconds: number; before?: number }): Allocation {
  const now = Date.now();
  return { startedAt: now - before * 1000, stopsAt: now + seconds * 1000, cores: [0], megabytes: undefined };
}

/** Stops the clock, and no timer: a pilot that is slow to start still has the time that it takes a job for. */
function standStill(t: TestContext): () => void {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  return () => t.mock.timers.reset();
}

test('the end is what the operator says, or Slurm: less a while to end what runs', async () => {
  const end = String((NOW + 10 * HOUR) / 1000);
  assert.equal((await read({})).stopsAt, undefined);
  assert.equal((await read({ SLURM_JOB_END_TIME: end })).stopsAt, NOW + 10 * HOUR - 120_000);
  assert.equal((await read({ SLURM_JOB_END_TIME: end }, { minutes: 10 })).stopsAt, NOW + 9 * 60_000);
  assert.equal((await read({ SLURM_JOB_END_TIME: end }, { until: NOW + HOUR })).stopsAt, NOW + HOUR - 120_000);
});

test("a Slurm without the variable is asked, and one that does not answer is no pilot's end", async (t) => {
  const folder = await temporaryFolder(t);
  const PATH = `${folder}${delimiter}${process.env['PATH']}`;
  const answer = (script: string) => {
    writeFileSync(join(folder, 'scontrol'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'scontrol'), 0o755);
    return read({ PATH, SLURM_JOB_ID: '17' });
  };
  const line = 'JobId=17 JobName=x StartTime=2026-03-01T12:00:00 EndTime=2026-03-01T13:00:00 Deadline=N/A';
  assert.equal(
    (await answer(`[ "$*$TZ" = "--oneliner show job 17UTC" ] && echo "${line}"`)).stopsAt,
    NOW + HOUR - 120_000,
  );
  assert.equal((await answer('echo "JobId=17 EndTime=Unknown Deadline=N/A"')).stopsAt, undefined);
  assert.equal((await answer('exit 1')).stopsAt, undefined);
});

test('a time is seconds since 1970 or has its zone', () => {
  assert.equal(readTime('1772366400'), NOW);
  assert.equal(readTime('2026-03-01T13:00:00+01:00'), NOW);
  for (const text of ['', '12:00', '2026-03-01T12:00:00', '2026-13-01T12:00:00Z', '-5', '1e9']) {
    assert.throws(() => readTime(text), /seconds since 1970/, text);
  }
});

test('cores and memory are those that Slurm gave, and are divided among the slots', async () => {
  const { cores } = await read({});
  assert.ok(cores.length > 0);
  const one = await read({ SLURM_CPUS_ON_NODE: '1', SLURM_MEM_PER_CPU: '2000' });
  assert.deepEqual([one.cores, one.megabytes], [cores.slice(0, 1), 2000]);
  assert.equal((await read({ SLURM_MEM_PER_NODE: '7000', SLURM_MEM_PER_CPU: '1' })).megabytes, 7000);
  assert.deepEqual(sharesOf({ cores: [2, 3, 8, 9, 10], megabytes: 5001 }, 2), [
    { cores: [2, 3], megabytes: 2500 },
    { cores: [8, 9], megabytes: 2500 },
  ]);
  assert.deepEqual(
    sharesOf({ cores: [5], megabytes: undefined }, 2),
    Array(2).fill({ cores: [], megabytes: undefined }),
  );
});

test('a pilot asks for jobs that fit into what is left, and for none when that is nothing', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'true' });
  await run({ allocation: allocation({ seconds: 500 }) });
  const left = Number(panda.requests[0]?.['remaining_time']);
  assert.ok(left > 400 && left <= 500, String(left));
  assert.equal(await run({ allocation: allocation({ seconds: 5 }) }), 0);
  assert.equal(panda.requests.length, 1);
  assert.equal(secondsLeft({ stopsAt: undefined }), undefined);
});

test('what does not end in time is ended, its log is brought back and the attempt is given back', async (t) => {
  const goOn = standStill(t);
  const { panda, run, log } = await pilotFor(t);
  panda.add({ command: 'echo started; trap "echo told; exit" TERM; while :; do sleep 0.05; done' });
  const ran = run({ jobs: 5, allocation: allocation({ seconds: LEAST_ALLOCATION_SECONDS }), killGraceSeconds: 100 });
  await panda.reported('running');
  goOn();
  const { given_back, pilot_error_code, pilot_error_diag } = await panda.reported('failed');
  assert.deepEqual([given_back, pilot_error_code], [true, PILOT_ERRORS.reachedMaxTime]);
  assert.match(String(pilot_error_diag), /^the time of its node was up: it had \d+ s there$/);
  assert.equal(await ran, 1);
  // A shell says of what it ran that it was ended as well.
  assert.match(log(), /started\n(Terminated\n)?told\n/);
});

test('a job that had nearly all the time of a node is not given back', async (t) => {
  const goOn = standStill(t);
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'sleep 60' });
  const ran = run({ jobs: 5, allocation: allocation({ seconds: LEAST_ALLOCATION_SECONDS, before: 0 }) });
  await panda.reported('running');
  goOn();
  const { given_back, pilot_error_code } = await panda.reported('failed');
  assert.deepEqual([given_back, pilot_error_code], [undefined, PILOT_ERRORS.reachedMaxTime]);
  assert.equal(await ran, 1);
});

test("each slot's job has its cores and its memory", async (t) => {
  const { panda, run } = await pilotFor(t);
  const own = await readAllocation({ environment: {} });
  const cores = own.cores.slice(0, 2);
  panda.add(
    ...Array(2).fill({ command: 'grep Cpus_allowed_list /proc/self/status > cpus', outputs: { cpus: 'u.cpus' } }),
  );
  await run({ slots: 'auto', jobs: 2, allocation: { startedAt: 0, stopsAt: undefined, cores, megabytes: 2000 } });
  const share = { memory: Math.floor(2000 / cores.length), cores: 1, remaining_time: undefined };
  const nothing = { memory: undefined, cores: undefined, remaining_time: undefined };
  for (const request of panda.requests) {
    const { memory, cores: each, remaining_time } = request;
    assert.deepEqual({ memory, cores: each, remaining_time }, cores.length > 1 ? share : nothing);
  }
  if (cores.length < 2) return;
  assert.match(String(panda.uploads.get('output/u.cpus')), new RegExp(`^Cpus_allowed_list:\\s(${cores.join('|')})\n$`));
});

test('a launcher counts on no more than a pilot then asks for', async () => {
  for (const minutes of [5, 60, 720]) {
    const { stopsAt } = await read({}, { minutes });
    assert.equal(longestJobSeconds(minutes), secondsLeft({ stopsAt }, NOW + 60_000));
  }
  assert.equal(longestJobSeconds(720), 720 * 60 - 180);
});
