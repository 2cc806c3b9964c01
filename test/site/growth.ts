import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { createDelivery } from '../../src/delivery/delivery.ts';
import { createJobFiles } from '../../src/jobs/file-contents.ts';
import { removeOrphans } from '../../src/jobs/file-room.ts';
import { createJobLogs } from '../../src/jobs/job-logs.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { addQueue } from '../../src/jobs/queues.ts';
import { createSandboxes } from '../../src/jobs/sandboxes.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { wireName } from '../../src/protocol/names.ts';
import type { RootKeys } from '../../src/sealing/root-keys.ts';
import { removeUnkept } from '../../src/site/retention.ts';
import type { Keep } from '../../src/site/settings.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { openLiveLogs } from '../../src/store/live-logs.ts';
import type { Store } from '../../src/store/store.ts';
import { createVault } from '../../src/vault/vault.ts';
import { ANY_SANDBOX, submission } from '../jobs/farm.ts';

const DAY = 24 * 3600 * 1000;
const QUEUE = 'grown';
const AT_ONCE = 32;

export interface GrowthSite {
  store: Store;
  rootKeys: RootKeys;
  /** Of the database, where it is SQLite, and the blobs. */
  folder: string;
  keep: Partial<Keep>;
}

/** A site whose days pass as fast as its work is done: users with a secret, whose jobs get it and bring back a log. */
export async function openGrowthSite({ store, rootKeys, folder, keep }: GrowthSite, owners: readonly OwnerId[]) {
  let now = Date.UTC(2040, 0, 1);
  const clock = () => now;
  const vault = createVault({ store, rootKeys, clock });
  const jobs = createJobs({ store, clock });
  const delivery = createDelivery({ store, vault, jobs, clock });
  const blobFolder = join(folder, 'blobs');
  const blobs = await openBlobs(blobFolder);
  const sandboxes = createSandboxes({ store, blobs, clock });
  const jobLogs = createJobLogs({ store, clock, liveLogs: await openLiveLogs(join(blobFolder, 'live')) });
  const jobFiles = createJobFiles({ store, clock, jobs, blobs, jobLogs });
  // Without keys of the pilot's: sealing to them would take most of the time, and leaves nothing behind.
  await addQueue(store, clock, QUEUE, { allowTlsSecrets: true });
  for (const owner of owners) await vault.set(owner, wireName('TOKEN'), 'a value of it');
  const pilot = { pilotId: 'pilot', queues: [QUEUE] };

  async function submit(owner: OwnerId, count: number): Promise<void> {
    const sandbox = `jobO.${randomUUID()}.tar.gz`;
    await sandboxes.put(owner, sandbox, Readable.from([gzipSync(randomBytes(2000))]));
    const task = submission(`user.x.${randomUUID()}`, { nEvents: count, nEventsPerJob: 1, useSecrets: true });
    const template = JSON.parse(JSON.stringify(task.template).replaceAll(ANY_SANDBOX, sandbox));
    await jobs.submit(owner, { ...task, template, queue: QUEUE });
  }

  async function runJobs(): Promise<void> {
    for (;;) {
      const given = await delivery.giveJobs(pilot, { queue: QUEUE, node: 'node', count: 1, offer: undefined });
      if (!('jobs' in given)) return;
      for (const { job } of given.jobs) {
        const { jobId, attempt } = job;
        const log = Readable.from([randomBytes(1000)]);
        await jobFiles.keep('pilot', { jobId, attempt, kind: 'log', name: job.logName }, log, 1000);
        await jobs.report('pilot', { jobId, attempt, state: 'finished' });
      }
    }
  }

  return {
    /** One day's jobs, and what the server does by itself `length` days later. */
    async day(jobCount: number, length = 1): Promise<void> {
      const each = Math.ceil(jobCount / owners.length);
      for (const owner of jobCount > 0 ? owners : []) await submit(owner, each);
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, jobCount) }, runJobs));
      now += length * DAY;
      await removeUnkept({ store, clock }, keep);
      await removeOrphans({ store, blobs, clock });
    },
    /** Bytes on the disk, of the database (SQLite alone) and of the files. */
    async sizes(): Promise<{ database: number; files: number; fileCount: number }> {
      const groups = (await readdir(blobFolder)).filter((name) => /^[0-9a-f]{2}$/.test(name));
      const paths = (
        await Promise.all(
          groups.map(async (group) =>
            (await readdir(join(blobFolder, group))).map((name) => join(blobFolder, group, name)),
          ),
        )
      ).flat();
      const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size ?? 0;
      const files = (await Promise.all(paths.map(sizeOf))).reduce((sum, size) => sum + size, 0);
      return { database: await sizeOf(join(folder, 'panda.db')), files, fileCount: paths.length };
    },
    close: () => vault.close(),
  };
}

/** Rows of the tables that grow with jobs. */
export async function rowCounts(store: Store): Promise<Record<string, number>> {
  const tables = [
    'tasks',
    'jobs',
    'attempts',
    'job_files',
    'sandboxes',
    'deliveries',
    'delivered_secrets',
    'audit',
  ] as const;
  const counts = tables.map(async (table) => {
    const row = await store.db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirst();
    return [table, Number(row?.n)];
  });
  return Object.fromEntries(await Promise.all(counts));
}
