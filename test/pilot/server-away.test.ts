import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createReporter, type PilotServer } from '../../src/pilot/reporter.ts';
import { Conflict, Refused, Unavailable } from '../../src/protocol/errors.ts';
import { HEARTBEAT_SECONDS, LEASE_SECONDS } from '../../src/protocol/limits.ts';
import { openFarm } from '../jobs/farm.ts';
import { sqliteDatabase } from '../stores.ts';
import { temporaryFolder } from './folders.ts';

const MINUTE = 60;

test('a server that is away for ten minutes in the middle of a job loses neither the job nor its result', async (t) => {
  const site = await siteInVirtualTime(t);
  const { jobId, reporter, uploads } = await site.runningJob();
  await site.pass(5 * MINUTE);
  site.isAway = true;
  await site.pass(2 * MINUTE);
  const reported = site.finish(reporter);
  await site.pass(8 * MINUTE);
  assert.deepEqual(uploads, []);
  site.isAway = false;
  await site.pass(2 * MINUTE);
  assert.equal(await reported, undefined);
  assert.deepEqual(uploads, ['whole']);
  assert.equal(await site.stateOf(jobId), 'finished');
});

test('a pilot that is silent for longer than its lease loses its job to another, and its late result changes nothing', async (t) => {
  const site = await siteInVirtualTime(t);
  const { jobId, reporter } = await site.runningJob();
  site.isAway = true;
  await site.pass(LEASE_SECONDS + MINUTE);
  const other = await site.jobs.acquire({
    pilotId: 'other',
    queue: 'default',
    node: 'n',
    count: 1,
    mayHaveSecrets: true,
  });
  assert.deepEqual(
    other.jobs.map((job) => [job.jobId, job.attempt]),
    [[jobId, 2]],
  );
  site.isAway = false;
  const reported = site.finish(reporter);
  await site.pass(MINUTE);
  assert.match((await reported) ?? '', /attempt 1 of job \d+ has ended/);
  assert.equal(await site.stateOf(jobId), 'sent');
});

/** The real jobs of a server, which goes on looking for silent pilots, the real reporter of one, and a network in virtual time. */
async function siteInVirtualTime(t: TestContext) {
  const farm = await openFarm(t, sqliteDatabase(t));
  await farm.submit();
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const folder = await temporaryFolder(t);
  const output = join(folder, 'out');
  writeFileSync(output, 'whole');
  const uploads: string[] = [];

  const site = {
    isAway: false,
    jobs: farm.jobs,
    async pass(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        farm.passSeconds(1);
        t.mock.timers.tick(1000);
        // Work that was woken runs on, through the database, before the next second.
        for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (second % 10 === 0) await farm.jobs.expireLeases();
      }
    },
    async runningJob() {
      const { jobId } = await farm.acquireOne('p');
      const reporter = createReporter({
        server: server as PilotServer,
        job: { PandaID: jobId, attemptNr: 1 },
        node: { name: 'n', queue: 'default' },
        heartbeatSeconds: HEARTBEAT_SECONDS,
        stopping: new AbortController().signal,
        onKill: () => {},
        onTrouble: () => {},
      });
      reporter.is('running');
      return { jobId, reporter, uploads };
    },
    async finish(reporter: ReturnType<typeof createReporter>) {
      reporter.is('holding');
      await reporter.upload('output', 'u.out', { path: output }).catch(() => {});
      return await reporter.ended({ exitCode: 0 });
    },
    async stateOf(jobId: number) {
      return (await farm.jobs.getJobs(farm.alice, [jobId]))[0]?.state;
    },
  };

  const reach = async <T>(call: () => Promise<T>): Promise<T> => {
    if (site.isAway) throw new Unavailable('the server is away');
    return await call().catch((error) => {
      throw error instanceof Conflict ? new Refused(error.message, null) : error;
    });
  };
  const server: Pick<PilotServer, 'updateJob' | 'uploadJobFile'> = {
    updateJob: (report) =>
      reach(async () => {
        const { job_id: jobId, attempt_nr: attempt, job_status: state } = report;
        const { command } = await farm.jobs.report('p', { jobId, attempt: attempt ?? 0, state: state ?? '' });
        return { StatusCode: 0, command };
      }),
    uploadJobFile: () => reach(async () => void uploads.push('whole')),
  };
  return site;
}
