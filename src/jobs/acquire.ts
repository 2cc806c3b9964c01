import { Tampered } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type JobTemplate, splitJob } from '../protocol/job-split.ts';
import {
  LEASE_SECONDS,
  MAX_ACQUIRED_CHARS,
  MAX_JOB_PARAMETERS_CHARS,
  MAX_JOBS_PER_ACQUIRE,
} from '../protocol/limits.ts';
import type { JobState, QueueState } from '../protocol/states.ts';
import { insertAttempts } from '../store/attempts.ts';
import { moveJob, putBackTaken } from '../store/jobs.ts';
import type { Database, Store } from '../store/store.ts';
import { lockTask, readTemplates, startTasks, type TemplateRow, templateSizes } from '../store/tasks.ts';
import {
  ANY_ROOM,
  isAnyWaiting,
  type Room,
  type SecretNeeds,
  type TakenJob,
  takeJobsOf,
  takeJobsOfTask,
  type Wanted,
} from '../store/waiting-jobs.ts';
import { forgetIdle, noteAllWaiting, noteTurn, ownersInTurn } from '../store/waiting-owners.ts';
import type { JobsContext } from './context.ts';
import { type AcquiredJob, putBackJobs } from './put-back.ts';
import { takesOfAny } from './queues.ts';
import { settleTask } from './settle.ts';
import type { CountWithheld } from './withheld-counts.ts';

/** A pilot's request for jobs. */
export interface Acquisition {
  pilotId: string;
  queue: string;
  /** The state of that queue, `open` unless given: no job of a paused one is given out. */
  state?: QueueState | undefined;
  /** The name of its machine, for show. */
  node: string;
  /** The most jobs that it takes; never more than `MAX_JOBS_PER_ACQUIRE`. */
  count: number;
  /** The most characters of parameters, `MAX_ACQUIRED_CHARS` unless given: a single job may have more, a job that does not fit is not taken. */
  maxChars?: number | undefined;
  /** Only of this task. */
  taskId?: number | undefined;
  /** The longest that it may be silent; as long as others unless set. */
  leaseSeconds?: number | undefined;
  /** True when jobs that need secrets may go to it; otherwise they are withheld, and counted. */
  mayHaveSecrets: boolean;
  /** True when it may have those too whose secrets are sealed by their owner. */
  mayHaveSealed?: boolean | undefined;
  /** Only jobs that did not ask for more. */
  room?: Partial<Room> | undefined;
}

/** A job that a pilot was given, with a lease. */
export interface LeasedJob
  extends Pick<
    JobTemplate,
    'maxWalltimeSeconds' | 'coreCount' | 'memory' | 'disk' | 'processingType' | 'prodSourceLabel'
  > {
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
  /** True for a job that may run on any queue. */
  anyQueue: boolean;
  usesSecrets: boolean;
  /** Where its secrets are sealed by its owner: what the owner signed, and which attempt it is since then, from 1. */
  grant?: { word: string; attempt: number } | undefined;
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
}

/** Owners that are looked at beside those who get jobs: others may have taken the last jobs of the first ones. */
const SPARE_OWNERS = 32;

/** The most tasks whose templates are surely no more than `MAX_ACQUIRED_CHARS`. */
const MOST_TEMPLATES = MAX_ACQUIRED_CHARS / MAX_JOB_PARAMETERS_CHARS;

export async function acquireJobs(
  context: JobsContext & { countWithheld: CountWithheld },
  {
    pilotId,
    queue,
    node,
    count,
    maxChars = MAX_ACQUIRED_CHARS,
    taskId,
    leaseSeconds = context.leaseSeconds ?? LEASE_SECONDS,
    mayHaveSecrets,
    mayHaveSealed = false,
    room: asked,
    state = 'open',
  }: Acquisition,
): Promise<{ jobs: LeasedJob[]; withheld: number; withheldSealed: number; refused: number }> {
  const { store, clock, tell } = context;
  if (state === 'paused') return { jobs: [], withheld: 0, withheldSealed: 0, refused: 0 };
  const limit = Math.min(count, MAX_JOBS_PER_ACQUIRE);
  const anyQueue = takesOfAny(state);
  const secrets: SecretNeeds = !mayHaveSecrets ? [0] : mayHaveSealed ? [0, 1, 2] : [0, 1];
  const room = asked === undefined ? ANY_ROOM : { ...ANY_ROOM, ...asked };
  const wanted = { queue, secrets, anyQueue, room };
  // Where one transaction writes at a time, an owner of whom no job was taken is forgotten, and does not come up again.
  const areSpare = store.skipLocked || asked !== undefined;
  const most = limit + (areSpare ? SPARE_OWNERS : 0);
  // A pilot that asks in vain costs no write.
  const owners = taskId === undefined ? await waitingOwners(store, wanted, store.skipLocked ? most : 1) : [];
  const now = clock();
  const pilot = { pilotId, queue, node, leaseSeconds };
  const { given, refused } =
    taskId === undefined && owners.length === 0
      ? NOTHING
      : await store.grow(async (tx) => {
          const how = { now, skipLocked: store.skipLocked };
          // Where one transaction writes at a time, those before it have taken jobs of the owners that were found first.
          let inTurn = store.skipLocked || taskId !== undefined ? owners : await ownersInTurn(tx, wanted, most);
          const got =
            taskId === undefined
              ? await takeInTurn(tx, inTurn, wanted, { ...how, limit })
              : await takeJobsOfTask(tx, {
                  ...how,
                  queue,
                  anyQueue,
                  taskId,
                  mostSecrets: secrets.length - 1,
                  limit,
                  ...room,
                });
          // Pilots that asked at the same moment may have had the last job of each of these.
          while (got.length < limit && inTurn.length === most) {
            inTurn = await ownersInTurn(tx, wanted, most);
            got.push(...(await takeInTurn(tx, inTurn, wanted, { ...how, limit: limit - got.length })));
            if (areSpare) break;
          }
          const taken = await thoseWithRoom(tx, got);
          if (taken.length === 0) return NOTHING;
          const templates = await readTemplates(tx, [...new Set(taken.map((job) => job.task_id))]);
          const { good, bad } = withTemplates(taken, templates, queue);
          if (good.length > 0) await insertAttempts(tx, attemptsOf(good, pilot, now));
          const first = templates.filter((task) => task.state === 'ready').map((task) => task.id);
          if (first.length > 0) await startTasks(tx, { ids: first, now });
          for (const one of bad) await failUnbelievable(tx, one, pilot, now);
          for (const owner of [...new Set(taken.map((job) => job.owner_id))].sort())
            await noteTurn(tx, { queue, owner });
          return { given: good, refused: bad };
        });
  const withheld = mayHaveSecrets ? 0 : await context.countWithheld({ queue, anyQueue }, 1);
  const withheldSealed = mayHaveSealed || given.length > 0 ? 0 : await context.countWithheld({ queue, anyQueue }, 2);

  const { jobs, left } = withinRoom(given, maxChars);
  if (jobs.length > 0) tell({ event: 'jobs.acquired', queue, jobs: jobs.length });
  for (const { job, fault } of refused) {
    tell({ event: 'job.tampered', jobId: job.id, error: fault });
    tell({ event: 'attempt.ended', jobId: job.id, attempt: job.attempt, how: 'failed', retried: false });
  }
  await putBackJobs(context, left);
  return { jobs, withheld, withheldSealed, refused: refused.length };
}

/** Makes jobs until one does not fit: the first of each owner, then the second of each. Sorted by id. */
function withinRoom(given: readonly MadeJob[], maxChars: number): { jobs: LeasedJob[]; left: AcquiredJob[] } {
  const ofOwners = [...Map.groupBy(given, ({ job }) => job.owner_id).values()];
  const inTurns = ofOwners
    .flatMap((own) => own.sort(byId).map((made, nth) => ({ made, nth })))
    .sort((a, b) => a.nth - b.nth)
    .map(({ made }) => made);
  const jobs: LeasedJob[] = [];
  let room = maxChars;
  for (const made of inTurns) {
    const leased = leasedJob(made);
    room -= leased.parameters.length + (leased.grant?.word.length ?? 0);
    if (room < 0 && jobs.length > 0) break;
    jobs.push(leased);
  }
  const left = inTurns.slice(jobs.length).map(({ job, task }) => ({
    jobId: job.id,
    taskId: task.id,
    attempt: job.attempt,
    ownerId: task.owner_id as OwnerId,
  }));
  return { jobs: jobs.sort((a, b) => a.jobId - b.jobId), left };
}

function byId(a: MadeJob, b: MadeJob): number {
  return a.job.id - b.job.id;
}

/** The owners whose turn it is. One whom a server of an earlier release let wait is not noted: found at the latest when nobody else waits. */
async function waitingOwners(store: Store, wanted: Wanted, most: number): Promise<string[]> {
  const owners = await ownersInTurn(store.db, wanted, most);
  if (owners.length > 0 || !(await isAnyWaiting(store.db, wanted))) return owners;
  await store.grow((tx) => noteAllWaiting(tx, wanted));
  return ownersInTurn(store.db, wanted, most);
}

/** Notes whom servers of earlier releases let wait on the same database, until the last of them was replaced. */
export async function noteJobsOfBefore(store: Store): Promise<void> {
  if (store.skipLocked) await store.write((tx) => noteAllWaiting(tx));
}

/** The first jobs whose templates are not too much together; the others wait again. */
async function thoseWithRoom(tx: Database, taken: readonly TakenJob[]): Promise<TakenJob[]> {
  const tasks = new Set(taken.map((job) => job.task_id));
  if (tasks.size <= MOST_TEMPLATES) return [...taken];
  const sizes = await templateSizes(tx, [...tasks]);
  let room = MAX_ACQUIRED_CHARS;
  const fitting = new Set<number>();
  for (const task of tasks) {
    room -= sizes.get(task) ?? 0;
    if (room < 0 && fitting.size > 0) break;
    fitting.add(task);
  }
  const others = taken.filter((job) => !fitting.has(job.task_id));
  if (others.length > 0) await putBackTaken(tx, others);
  return taken.filter((job) => fitting.has(job.task_id));
}

const NOTHING: { given: MadeJob[]; refused: UnbelievableJob[] } = { given: [], refused: [] };

/** A job with the task that it is made from. */
interface MadeJob {
  job: TakenJob;
  task: TemplateRow;
}

interface UnbelievableJob {
  job: TakenJob;
  fault: unknown;
}

/**
 * A waiting job is nothing but a number of its task, whose own row says all that it does: with whose secrets, on which queue. Where
 * the job's row says otherwise, something else than this software wrote it.
 */
function withTemplates(
  taken: readonly TakenJob[],
  templates: readonly (TemplateRow & { fault: unknown })[],
  queue: string,
): { good: MadeJob[]; bad: UnbelievableJob[] } {
  const byId = new Map(templates.map((task) => [task.id, task]));
  const good: MadeJob[] = [];
  const bad: UnbelievableJob[] = [];
  for (const job of taken) {
    const task = byId.get(job.task_id);
    const isOne =
      task?.owner_id === job.owner_id &&
      task.queue === job.queue &&
      task.use_secrets === job.use_secrets &&
      (task.queue === null || task.queue === queue) &&
      job.serial >= 1 &&
      job.serial <= task.job_count;
    if (task && isOne && task.fault === undefined) good.push({ job, task });
    else bad.push({ job, fault: task?.fault ?? new Tampered('jobs', String(job.id)) });
  }
  return { good, bad };
}

interface TakingPilot {
  pilotId: string;
  queue: string;
  node: string;
  leaseSeconds: number;
}

function attemptsOf(given: readonly MadeJob[], pilot: TakingPilot, now: number) {
  return given.map(({ job }) => attemptOf(job, pilot, now));
}

function attemptOf(job: TakenJob, { pilotId, queue, node, leaseSeconds }: TakingPilot, now: number) {
  return {
    job_id: job.id,
    attempt: job.attempt,
    task_id: job.task_id,
    owner_id: job.owner_id,
    state: 'sent' satisfies JobState as JobState,
    queue,
    pilot_id: pilotId,
    node,
    lease_seconds: leaseSeconds,
    lease_until: now + leaseSeconds * 1000,
    created_at: now,
    ended_at: null as number | null,
    diagnosis: '',
  };
}

/** It would stand in the way of all others for ever; no attempt at it can do better. */
async function failUnbelievable(
  tx: Database,
  { job, fault }: UnbelievableJob,
  pilot: TakingPilot,
  now: number,
): Promise<void> {
  const diagnosis = `it was not run: ${fault instanceof Error ? fault.message : 'its task is damaged'}`;
  await insertAttempts(tx, [{ ...attemptOf(job, pilot, now), state: 'failed', ended_at: now, diagnosis }]);
  await moveJob(tx, { id: job.id, attempt: job.attempt, from: ['sent'] }, { state: 'failed', modified_at: now });
  const task = await lockTask(tx, job.owner_id as OwnerId, job.task_id, now);
  if (task) await settleTask(tx, task, now);
}

function leasedJob({ job, task }: MadeJob): LeasedJob {
  const template: JobTemplate = JSON.parse(task.parameters);
  return {
    jobId: job.id,
    taskId: task.id,
    attempt: job.attempt,
    ownerId: task.owner_id as OwnerId,
    ownerName: task.display_name,
    name: `${task.name.slice(0, -1)}.${job.id}`,
    serial: job.serial,
    anyQueue: task.queue === null,
    usesSecrets: task.use_secrets !== 0,
    ...(task.grant_word !== null && {
      grant: { word: task.grant_word, attempt: job.attempt - (job.max_attempts - task.max_attempts) },
    }),
    secretIds: task.secret_ids === null ? null : (JSON.parse(task.secret_ids) as string[]),
    sandboxSha256: template.sandboxSha256,
    sourceUrl: template.sourceUrl,
    ...splitJob(template, { taskId: task.id, serial: job.serial }),
    maxWalltimeSeconds: template.maxWalltimeSeconds,
    coreCount: template.coreCount,
    memory: template.memory,
    disk: template.disk,
    processingType: template.processingType,
    prodSourceLabel: template.prodSourceLabel,
  };
}

/** Shares `limit` jobs out among the owners, one more to those whose turn is first; what one has not got goes to the next. */
async function takeInTurn(
  tx: Database,
  owners: readonly string[],
  wanted: Wanted,
  { limit, now, skipLocked }: { limit: number; now: number; skipLocked: true | undefined },
): Promise<TakenJob[]> {
  const taken: TakenJob[] = [];
  const short: string[] = [];
  let left = [...owners];
  while (taken.length < limit && left.length > 0) {
    const share = Math.ceil((limit - taken.length) / left.length);
    const more: string[] = [];
    for (const owner of left) {
      const wish = Math.min(share, limit - taken.length);
      if (wish === 0) break;
      const got = await takeJobsOf(tx, owner, wanted, { limit: wish, now, skipLocked });
      taken.push(...got);
      (got.length === wish ? more : short).push(owner);
    }
    left = more;
  }
  // In one order everywhere, as transactions that lock the same rows in two wait for each other for ever.
  for (const owner of short.sort()) await forgetIdle(tx, { queue: wanted.queue, owner });
  return taken;
}
