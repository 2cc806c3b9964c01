import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { createJobFiles } from '../../src/jobs/file-contents.ts';
import { removeOrphans } from '../../src/jobs/file-room.ts';
import { createJobLogs } from '../../src/jobs/job-logs.ts';
import { removeOld } from '../../src/jobs/retention.ts';
import { createSandboxes } from '../../src/jobs/sandboxes.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_REMOVED_AT_ONCE } from '../../src/protocol/limits.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { openLiveLogs } from '../../src/store/live-logs.ts';
import { deleteUnusedSandboxes, useSandbox } from '../../src/store/sandboxes.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, interrupted, onPostgres, type TestDatabase, undoneOnce } from '../stores.ts';
import { ANY_SANDBOX, openFarm, submission } from './farm.ts';

const DAY_SECONDS = 24 * 3600;
const KEPT = { tasksDays: 100, filesDays: 10, sandboxesDays: 5 };
const content = Buffer.from('a tar archive');
const file = gzipSync(content);

/** A farm whose tasks start from sandboxes that were uploaded, and whose jobs bring back logs. */
async function busyFarm(t: TestContext, database: TestDatabase) {
  const farm = await openFarm(t, database);
  const { store, clock, jobs } = farm;
  const folder = join(database.folder, 'blobs');
  const blobs = await openBlobs(folder);
  const sandboxes = createSandboxes({ store, clock, blobs });
  const jobLogs = createJobLogs({ store, clock, liveLogs: await openLiveLogs(join(folder, 'live')) });
  const jobFiles = createJobFiles({ store, clock, jobs, blobs, jobLogs });
  const upload = async (owner: OwnerId, bytes: Buffer = file) => {
    const name = `jobO.${randomUUID()}.tar.gz`;
    await sandboxes.put(owner, name, Readable.from([bytes]));
    return name;
  };
  return {
    ...farm,
    sandboxes,
    upload,
    async submitFrom(sandbox: string, owner = farm.alice, nJobs = 1) {
      const name = `user.${owner}.${randomUUID()}`;
      const task = submission(name, { nEvents: nJobs, nEventsPerJob: 1 });
      const template = JSON.parse(JSON.stringify(task.template).replaceAll(ANY_SANDBOX, sandbox));
      return (await jobs.submit(owner, { ...task, template })).taskId;
    },
    /** Runs every waiting job, with a log for each. */
    async runAll(log = 'what it printed') {
      for (const job of await farm.acquire('pilot')) {
        const brought = { jobId: job.jobId, attempt: job.attempt, kind: 'log', name: job.logName } as const;
        await jobFiles.keep('pilot', brought, Readable.from([Buffer.from(log)]));
        await jobs.report('pilot', { jobId: job.jobId, attempt: job.attempt, state: 'finished' });
      }
    },
    count: async (table: 'tasks' | 'jobs' | 'attempts' | 'job_files' | 'sandboxes') =>
      Number(
        (
          await store.db
            .selectFrom(table)
            .select((eb) => eb.fn.countAll().as('n'))
            .executeTakeFirst()
        )?.n,
      ),
    /** The files that are left when those that nothing names have gone. */
    async files() {
      const groups = (await readdir(folder)).filter((name) => /^[0-9a-f]{2}$/.test(name));
      const paths = (
        await Promise.all(
          groups.map(async (group) => (await readdir(join(folder, group))).map((name) => join(folder, group, name))),
        )
      ).flat();
      // They came when the clock of the test says so.
      for (const path of paths) await utimes(path, 0, 0);
      await removeOrphans({ store, blobs, clock });
      return (await Promise.all(groups.map((group) => readdir(join(folder, group))))).flat().length;
    },
    keep: (kept = KEPT) => removeOld({ store, clock }, kept),
  };
}

eachStore('logs go first, then the task with its jobs, each with what it took of the disk', async (t, database) => {
  const farm = await busyFarm(t, database);
  const { jobs, alice, passSeconds, keep, count, files, runAll } = farm;
  const task = await farm.submitFrom(await farm.upload(alice), alice, 3);
  await runAll();
  const open = await farm.submitFrom(await farm.upload(alice, gzipSync('another')));
  passSeconds(9 * DAY_SECONDS);
  await keep();
  assert.deepEqual([await count('job_files'), await files()], [3, 3]);
  passSeconds(2 * DAY_SECONDS);
  await keep();
  assert.deepEqual([await count('job_files'), await count('jobs'), await count('sandboxes')], [0, 4, 1]);
  assert.equal(await files(), 1, 'the sandbox of the task that has not ended');
  assert.deepEqual(await jobs.listFiles(alice, task), []);
  passSeconds(90 * DAY_SECONDS);
  await keep();
  assert.deepEqual([await count('tasks'), await count('jobs'), await count('attempts')], [1, 1, 0]);
  assert.deepEqual((await jobs.listTasks(alice, { ids: [task] })).length, 0);
  await runAll();
  assert.equal((await jobs.listTasks(alice, { ids: [open] }))[0]?.state, 'done');
});

eachStore('files of ended tasks go also where a write is run a second time', async (t, database) => {
  const farm = await busyFarm(t, database);
  await farm.submitFrom(await farm.upload(farm.alice), farm.alice, 3);
  await farm.runAll();
  farm.passSeconds(11 * DAY_SECONDS);
  await removeOld({ store: undoneOnce(farm.store), clock: farm.clock }, KEPT);
  assert.equal(await farm.count('job_files'), 0);
});

eachStore('days that are not set keep everything for ever', async (t, database) => {
  const farm = await busyFarm(t, database);
  await farm.submitFrom(await farm.upload(farm.alice));
  await farm.runAll();
  farm.passSeconds(10_000 * DAY_SECONDS);
  await removeOld(farm, {});
  assert.deepEqual(
    [await farm.count('tasks'), await farm.count('job_files'), await farm.count('sandboxes')],
    [1, 1, 1],
  );
});

eachStore(
  'a retry that comes first keeps the task and its sandbox; one that comes later is told',
  async (t, database) => {
    const farm = await busyFarm(t, database);
    const { jobs, alice, store, clock, passSeconds } = farm;
    const task = await farm.submitFrom(await farm.upload(alice));
    await jobs.kill(alice, task);
    passSeconds(11 * DAY_SECONDS);
    // Between what the removal has read and its first write.
    await removeOld({ store: interrupted(store, () => jobs.retry(alice, task, {})), clock }, KEPT);
    const [job] = await farm.acquire('pilot');
    assert.equal(job?.taskId, task);
    assert.deepEqual([await farm.count('sandboxes'), await farm.count('jobs')], [1, 1]);

    await jobs.kill(alice, task);
    await jobs.report('pilot', { jobId: job?.jobId ?? 0, attempt: 1, state: 'failed' });
    passSeconds(11 * DAY_SECONDS);
    await farm.keep();
    await assert.rejects(jobs.retry(alice, task, {}), {
      code: 'ERR_CONFLICT',
      message: `the sandbox of task ${task} is no longer kept: submit the task again`,
    });
  },
);

eachStore('a sandbox that a task is about to start from stays', async (t, database) => {
  const farm = await busyFarm(t, database);
  const { alice, sandboxes, store, clock, passSeconds } = farm;
  const name = await farm.upload(alice);
  passSeconds(6 * DAY_SECONDS);
  // prun asked, and submits now.
  assert.equal(await sandboxes.find(alice, file.length, crc32(content)), name);
  await farm.keep();
  assert.equal(await farm.count('sandboxes'), 1);
  passSeconds(6 * DAY_SECONDS);
  await removeOld({ store: interrupted(store, () => farm.submitFrom(name)), clock }, KEPT);
  assert.deepEqual(await buffer((await sandboxes.open(name)).stream), file);
  await farm.runAll();
  passSeconds(11 * DAY_SECONDS);
  await farm.keep();
  assert.equal(await farm.count('sandboxes'), 0);
  assert.equal(await sandboxes.find(alice, file.length, crc32(content)), undefined);
});

eachStore("one user's sandbox goes, and another's with the same content stays", async (t, database) => {
  const farm = await busyFarm(t, database);
  const { alice, bob, passSeconds, sandboxes } = farm;
  await farm.upload(alice);
  passSeconds(3 * DAY_SECONDS);
  const his = await farm.upload(bob);
  await farm.submitFrom(his, bob);
  passSeconds(3 * DAY_SECONDS);
  await farm.keep();
  assert.equal(await farm.count('sandboxes'), 1);
  assert.equal(await farm.files(), 1);
  assert.deepEqual(await buffer((await sandboxes.open(his)).stream), file);
});

eachStore('a removal that was cut short is finished at the next time', async (t, database) => {
  const farm = await busyFarm(t, database);
  const { jobs, alice, store, clock, passSeconds } = farm;
  const task = await farm.submit({ jobCount: MAX_REMOVED_AT_ONCE + 100 });
  await jobs.kill(alice, task);
  passSeconds(101 * DAY_SECONDS);
  let writes = 0;
  const dying = {
    ...store,
    write: (async (work) => {
      writes += 1;
      // The files of the task are gone then, and a part of its jobs.
      if (writes > 3) throw new Error('killed');
      return store.write(work);
    }) as typeof store.write,
  };
  await assert.rejects(removeOld({ store: dying, clock }, KEPT), { message: 'killed' });
  assert.equal(await farm.count('jobs'), 100);
  assert.deepEqual(await jobs.listTasks(alice, {}), [], 'it is gone for its owner from the first part on');
  await assert.rejects(jobs.retry(alice, task, {}), { code: 'ERR_NOT_FOUND' });
  await farm.keep();
  assert.deepEqual([await farm.count('jobs'), await farm.count('tasks')], [0, 0]);
});

eachStore('a server that stops ends its removal after the batch that it is at', async (t, database) => {
  const farm = await busyFarm(t, database);
  const task = await farm.submit({ jobCount: MAX_REMOVED_AT_ONCE + 100 });
  await farm.jobs.kill(farm.alice, task);
  farm.passSeconds(101 * DAY_SECONDS);
  await removeOld(farm, KEPT, AbortSignal.abort());
  assert.equal(await farm.count('jobs'), MAX_REMOVED_AT_ONCE + 100);
});

onPostgres('a removal that waits for a task which takes the sandbox finds it used', async (t, database) => {
  const farm = await busyFarm(t, database);
  const { store, alice, clock, passSeconds } = farm;
  const name = await farm.upload(alice);
  passSeconds(6 * DAY_SECONDS);
  const before = clock() - DAY_SECONDS * 1000;
  let removal: Promise<number> | undefined;
  await store.write(async (tx) => {
    await useSandbox(tx, name, clock());
    removal = store.write((other) => deleteUnusedSandboxes(other, { before, endedBefore: 0, limit: 10 }));
    await untilOneWaits(store);
  });
  assert.equal(await removal, 0);
  assert.equal(await farm.count('sandboxes'), 1);
});

/** For a lock of another transaction. */
async function untilOneWaits(store: Store): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`.execute(
      store.db,
    );
    if (Number(rows[0]?.n) > 0) return;
  }
}
