import { AlreadyExists, Conflict, InvalidArgument, QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { parseJobParameters } from '../protocol/job-parameters.ts';
import { type JobTemplate, splitJob } from '../protocol/job-split.ts';
import { FIRST_TASK_ID, MAX_OPEN_JOBS_PER_OWNER } from '../protocol/limits.ts';
import { insertJobs } from '../store/jobs.ts';
import { countRunning } from '../store/queue-load.ts';
import { holdQueue, type QueueRow, readQueue, readQueues } from '../store/queues.ts';
import { useSandbox } from '../store/sandboxes.ts';
import type { Database, Store } from '../store/store.ts';
import { awaitGrant } from '../store/task-grants.ts';
import { countOpenJobs, insertTask, readTaskOfName } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';

/** A task as it is submitted. */
export interface Submission {
  /** With the `/` at its end. */
  name: string;
  /** True when it is refused while its owner has a task of that name that is active or succeeded. */
  uniqueName: boolean;
  /** The queue that it is for, or null for any. */
  queue: string | null;
  /** 1 to `MAX_JOBS_PER_TASK`. */
  jobCount: number;
  /** Attempts of each job, 1 to `MAX_MAX_ATTEMPTS`. */
  maxAttempts: number;
  useSecrets: boolean;
  /** The only secrets that its jobs get, or null for all of its owner's. */
  secretIds: readonly string[] | null;
  /** True when these are sealed by their owner: its jobs wait for what {@link Jobs.grant} is given. */
  sealed?: boolean;
  template: JobTemplate;
}

export async function submitTask(
  { store, clock, maxOpenJobs }: JobsContext,
  owner: OwnerId,
  submission: Submission,
): Promise<{ taskId: number }> {
  const sandbox = checkThatItRuns(submission);
  const {
    name,
    uniqueName,
    queue,
    jobCount,
    maxAttempts,
    useSecrets,
    secretIds,
    sealed = false,
    template,
  } = submission;
  const now = clock();
  return store.grow(async (tx) => {
    const kept = sandbox === undefined ? undefined : await useSandbox(tx, sandbox, now);
    if (kept && kept.owner_id !== owner) {
      throw new InvalidArgument(`jobParameters: -a ${sandbox} is another user's sandbox; upload one of your own`);
    }
    const parameters = JSON.stringify({ ...template, ...(kept && { sandboxSha256: kept.sha256 }) });
    await checkQueue(tx, queue, store.skipLocked);
    if (uniqueName) await checkName(tx, owner, name);
    checkOpenJobs(await countOpenJobs(tx, owner, store.skipLocked), jobCount, maxOpenJobs);
    const taskId = await insertTask(tx, {
      owner_id: owner,
      name,
      unique_name: uniqueName ? 1 : 0,
      state: sealed ? 'paused' : 'ready',
      queue,
      use_secrets: sealed ? 2 : useSecrets ? 1 : 0,
      secret_ids: secretIds && JSON.stringify(secretIds),
      parameters,
      sandbox: sandbox ?? null,
      job_count: jobCount,
      cores: template.coreCount,
      memory_mb: template.memory,
      walltime_seconds: template.maxWalltimeSeconds,
      source_label: template.prodSourceLabel,
      max_attempts: maxAttempts,
      diagnosis: '',
      created_at: now,
      modified_at: now,
    });
    if (taskId === undefined) {
      await checkName(tx, owner, name);
      throw new AlreadyExists(`outDS=${name} was submitted at the same moment; submit it once`);
    }
    await insertJobs(tx, { taskId, state: sealed ? 'throttled' : 'activated' });
    if (sealed) await awaitGrant(tx, { taskId });
    return { taskId };
  });
}

/**
 * Refuses a task that no pilot could run, or that would leave no output behind, while its owner is there to read why.
 *
 * @returns the name of the sandbox that its jobs start from, if any
 */
function checkThatItRuns({ template }: Submission): string | undefined {
  const { parameters, outputs, logName } = splitJob(template, { taskId: FIRST_TASK_ID, serial: 1 });
  const parsed = parseJobParameters(parameters);
  const brought = Object.values(parsed.outputs);
  const names = new Set([...outputs, logName]);
  if (names.size !== outputs.length + 1) throw new InvalidArgument('jobParameters: two outputs have one name');
  const declared = new Set(outputs);
  const unknown = brought.find((name) => !declared.has(name));
  if (unknown !== undefined || brought.length !== outputs.length) {
    throw new InvalidArgument(
      `jobParameters: -o must name the same files as the outputs${unknown === undefined ? '' : `, not "${unknown}"`}`,
    );
  }
  return parsed.sandbox;
}

/** @throws {QuotaExceeded} when an owner with so many jobs under way may not have that many more */
export function checkOpenJobs(open: number, more: number, most = MAX_OPEN_JOBS_PER_OWNER): void {
  if (open + more <= most) return;
  throw new QuotaExceeded(
    `your tasks that have not ended have ${open} jobs, and these would be ${more} more: at most ${most} are allowed at a time. ` +
      'Wait until some have ended, or kill what is not needed',
  );
}

/**
 * Checks that a queue takes a task, and holds it until the transaction ends: it cannot be removed meanwhile.
 *
 * @throws {InvalidArgument} when there is no such queue @throws {Conflict} when it takes no new tasks
 */
export async function checkQueue(tx: Database, queue: string | null, share: true | undefined): Promise<void> {
  if (queue !== null) await refuseQueue(tx, queue, await holdQueue(tx, queue, share));
}

/**
 * Checks a queue as {@link checkQueue}, for somebody who is about to submit a task.
 *
 * @returns the number of attempts that its pilots, or those of any queue, have now
 */
export async function checkSite(store: Store, queue: string | null): Promise<{ running: number }> {
  if (queue !== null) await refuseQueue(store.db, queue, await readQueue(store.db, queue));
  return { running: await countRunning(store.db, queue) };
}

async function refuseQueue(tx: Database, queue: string, found: QueueRow | undefined): Promise<void> {
  if (found && found.state !== 'draining') return;
  const names = (await readQueues(tx)).filter(({ state }) => state !== 'draining').map(({ name }) => name);
  const others = names.length > 0 ? `the queues are ${names.join(', ')}` : 'there is none yet';
  if (!found) throw new InvalidArgument(`site: there is no queue "${queue}"; ${others}`);
  const way = names.length > 0 ? `Name another one (${names.join(', ')})` : 'Wait until an operator opens it again';
  throw new Conflict(`site: queue "${queue}" is being emptied and takes no new tasks. ${way}`);
}

/**
 * A name is free when no task of its owner has it, or those that had it ended without success. (PanDA's server takes up any
 * ended task of that name again, with the new parameters; here `retry` does that, and a new submission is a new task.)
 */
async function checkName(tx: Database, owner: OwnerId, name: string): Promise<void> {
  const [other] = await readTaskOfName(tx, { owner, name, other: 0 });
  if (!other) return;
  throw new AlreadyExists(
    `jediTaskID=${other.id} is in the ${other.state} state for outDS=${name}. You cannot submit duplicated tasks: ` +
      'choose another name, or kill that one first if it still runs',
  );
}
