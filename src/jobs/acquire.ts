import type { OwnerId } from '../protocol/ids.ts';
import { LEASE_SECONDS, MAX_COUNTED_JOBS, MAX_JOBS_PER_ACQUIRE } from '../protocol/limits.ts';
import { insertAttempts } from '../store/attempts.ts';
import type { Database } from '../store/store.ts';
import { readTemplates, startTasks } from '../store/tasks.ts';
import {
  countWaiting,
  noteTurn,
  ownersInTurn,
  type TakenJob,
  takeJobsOf,
  takeJobsOfTask,
  type Wanted,
} from '../store/waiting-jobs.ts';
import type { JobsContext } from './context.ts';
import { type JobTemplate, splitJob } from './split.ts';

/** A pilot's request for jobs. */
export interface Acquisition {
  pilotId: string;
  queue: string;
  /** The name of its machine, for show. */
  node: string;
  /** The most jobs that it takes; never more than `MAX_JOBS_PER_ACQUIRE`. */
  count: number;
  /** Only of this task. */
  taskId?: number | undefined;
  /** The longest that it may be silent; as long as others unless set. */
  leaseSeconds?: number | undefined;
  /** True when jobs that need secrets may go to it; otherwise they are withheld, and counted. */
  mayHaveSecrets: boolean;
}

/** A job that a pilot was given, with a lease. */
export interface LeasedJob {
  jobId: number;
  taskId: number;
  /** From 1. */
  attempt: number;
  ownerId: OwnerId;
  /** For show. */
  ownerName: string;
  /** The task's name without its `/`, and the job's id. */
  name: string;
  /** From 1 within its task. */
  serial: number;
  /** Whether it may run on any queue. */
  anyQueue: boolean;
  usesSecrets: boolean;
  /** The only secrets that it gets, or null for all of its owner's. */
  secretIds: readonly string[] | null;
  /** Where its sandbox is fetched from: an origin. */
  sourceUrl: string;
  /** The payload: read it with `parseJobParameters`. */
  parameters: string;
  /** SHA-256, hex, of its sandbox, where this server keeps it. */
  sandboxSha256?: string | undefined;
  /** The file names under which outputs are brought back. */
  outputs: readonly string[];
  logName: string;
  /** 0 when there is no limit. */
  maxWalltimeSeconds: number;
  coreCount: number;
  /** MB, 0 when none was asked for. */
  memory: number;
  /** MB that its working directory may take, 0 for no limit. */
  disk: number;
  processingType: string;
  prodSourceLabel: string;
}

/** Owners that are looked at beside those who get jobs: others may have taken the last jobs of the first ones. */
const SPARE_OWNERS = 8;

export async function acquireJobs(
  { store, clock, tell, leaseSeconds: usualSeconds = LEASE_SECONDS }: JobsContext,
  { pilotId, queue, node, count, taskId, leaseSeconds = usualSeconds, mayHaveSecrets }: Acquisition,
): Promise<{ jobs: LeasedJob[]; withheld: number }> {
  const limit = Math.min(count, MAX_JOBS_PER_ACQUIRE);
  const wanted = { queue, withSecrets: mayHaveSecrets };
  // A pilot that asks in vain costs no write.
  const owners = taskId === undefined ? await ownersInTurn(store.db, wanted, limit + SPARE_OWNERS) : [];
  const now = clock();
  const { taken, templates } =
    taskId === undefined && owners.length === 0
      ? { taken: [], templates: [] }
      : await store.write(async (tx) => {
          const how = { now, skipLocked: store.skipLocked };
          const taken =
            taskId === undefined
              ? await takeInTurn(tx, owners, wanted, { ...how, limit })
              : await takeJobsOfTask(tx, { ...how, queue, taskId, useSecrets: mayHaveSecrets ? undefined : 0, limit });
          if (taken.length === 0) return { taken, templates: [] };
          await insertAttempts(tx, {
            attempts: taken.map(({ id, attempt }) => ({
              job_id: id,
              attempt,
              state: 'sent',
              queue,
              pilot_id: pilotId,
              node,
              lease_seconds: leaseSeconds,
              lease_until: now + leaseSeconds * 1000,
              created_at: now,
              diagnosis: '',
            })),
          });
          const templates = await readTemplates(tx, { ids: [...new Set(taken.map((job) => job.task_id))] });
          const first = templates.filter((task) => task.state === 'ready').map((task) => task.id);
          if (first.length > 0) await startTasks(tx, { ids: first, now });
          for (const owner of [...new Set(taken.map((job) => job.owner_id))].sort())
            await noteTurn(tx, { queue, owner });
          return { taken, templates };
        });
  const withheld = mayHaveSecrets ? 0 : await countWaiting(store.db, queue, MAX_COUNTED_JOBS, [1]);

  if (taken.length > 0) tell({ event: 'jobs.acquired', queue, jobs: taken.length });

  const tasks = new Map(templates.map((task) => [task.id, { ...task, template: JSON.parse(task.parameters) }]));
  const jobs = taken
    .sort((a, b) => a.id - b.id)
    .map((job) => {
      const task = tasks.get(job.task_id);
      if (!task) throw new Error(`job ${job.id} has no task`);
      const template: JobTemplate = task.template;
      return {
        jobId: job.id,
        taskId: job.task_id,
        attempt: job.attempt,
        ownerId: job.owner_id as OwnerId,
        ownerName: task.display_name,
        name: `${task.name.slice(0, -1)}.${job.id}`,
        serial: job.serial,
        anyQueue: task.queue === null,
        usesSecrets: job.use_secrets === 1,
        secretIds: task.secret_ids === null ? null : (JSON.parse(task.secret_ids) as string[]),
        sandboxSha256: template.sandboxSha256,
        sourceUrl: template.sourceUrl,
        ...splitJob(template, { taskId: job.task_id, serial: job.serial }),
        maxWalltimeSeconds: template.maxWalltimeSeconds,
        coreCount: template.coreCount,
        memory: template.memory,
        disk: template.disk,
        processingType: template.processingType,
        prodSourceLabel: template.prodSourceLabel,
      };
    });
  return { jobs, withheld };
}

/** Shares `limit` jobs out among the owners, one more to those whose turn is first; what one has not got goes to the next. */
async function takeInTurn(
  tx: Database,
  owners: readonly string[],
  wanted: Wanted,
  { limit, now, skipLocked }: { limit: number; now: number; skipLocked: true | undefined },
): Promise<TakenJob[]> {
  const taken: TakenJob[] = [];
  let left = [...owners];
  while (taken.length < limit && left.length > 0) {
    const share = Math.ceil((limit - taken.length) / left.length);
    const more: string[] = [];
    for (const owner of left) {
      const wish = Math.min(share, limit - taken.length);
      if (wish === 0) break;
      const got = await takeJobsOf(tx, owner, wanted, { limit: wish, now, skipLocked });
      taken.push(...got);
      if (got.length === wish) more.push(owner);
    }
    left = more;
  }
  return taken;
}
