import { Conflict } from '../protocol/errors.ts';
import { explainedReason } from '../protocol/sealed-refusal.ts';
import { HELD_JOB_STATES, isEndedTask, type JobState, type TaskState } from '../protocol/states.ts';
import { readLastFailure } from '../store/attempts.ts';
import { countJobsByState, hasJobsIn, moveJob, readJob } from '../store/jobs.ts';
import type { Database } from '../store/store.ts';
import { type LockedTask, updateTask } from '../store/tasks.ts';

/** An attempt's end. One that was given back leaves its job as many attempts as it had; one that was put back was none. */
export type Outcome = 'finished' | 'failed' | 'failed for good' | 'given back' | 'put back';

/**
 * Moves a job on whose attempt has just ended, and its task with it. The task must be locked by this transaction, so that
 * exactly one of the jobs that end together sees that it was the last.
 *
 * A job that failed is tried again while it has attempts left, unless its owner asked to stop.
 *
 * @returns the job's state from now on
 */
export async function settleJob(
  tx: Database,
  task: LockedTask,
  { jobId, attempt }: { jobId: number; attempt: number },
  outcome: Outcome,
  now: number,
): Promise<JobState> {
  const job = await readJob(tx, jobId);
  if (!job) throw new Conflict(`there is no job ${jobId} any more`);
  const maxAttempts = job.max_attempts + (outcome === 'given back' ? 1 : 0);
  const state = nextJobState(task, { ...job, max_attempts: maxAttempts }, outcome);
  const change = {
    state,
    max_attempts: maxAttempts,
    ...(outcome === 'put back' && { attempt: attempt - 1 }),
    modified_at: now,
  };
  const moved = await moveJob(tx, { id: jobId, attempt, from: HELD_JOB_STATES }, change);
  if (!moved) throw new Conflict(`job ${jobId} is not in attempt ${attempt} any more`);
  await settleTask(tx, task, now);
  return state;
}

/** True when a job in this state waits for its next attempt. */
export function isWaiting(state: JobState | undefined): boolean {
  return state === 'activated' || state === 'throttled';
}

function nextJobState(
  task: LockedTask,
  job: { attempt: number; max_attempts: number; kill_requested: number },
  outcome: Outcome,
): JobState {
  if (outcome === 'finished') return 'finished';
  if (job.kill_requested === 1) return 'cancelled';
  const isLast = outcome !== 'put back' && job.attempt >= job.max_attempts;
  if (outcome === 'failed for good' || isLast) return 'failed';
  if (task.state === 'paused') return 'throttled';
  if (task.state === 'running' || task.state === 'ready') return 'activated';
  // One that never ran is as those that waited when its task was finished.
  return outcome === 'put back' ? 'cancelled' : 'failed';
}

const OPEN_JOB_STATES: readonly JobState[] = ['activated', 'throttled', ...HELD_JOB_STATES];

/** Ends a task, which this transaction has locked, when all of its jobs have ended. */
export async function settleTask(tx: Database, task: LockedTask, now: number): Promise<void> {
  if (isEndedTask(task.state) || (await hasJobsIn(tx, task.id, OPEN_JOB_STATES))) return;
  const { finished, diagnosis } = await outcomeOf(tx, task);
  await updateTask(tx, task.id, { state: endState(task, finished), diagnosis, ended_at: now });
}

/** Says anew why a task ended, which this transaction has locked: its attempts say more than they did. */
export async function diagnoseAgain(tx: Database, task: LockedTask): Promise<void> {
  if (isEndedTask(task.state)) await updateTask(tx, task.id, { diagnosis: (await outcomeOf(tx, task)).diagnosis });
}

async function outcomeOf(tx: Database, task: LockedTask): Promise<{ finished: number; diagnosis: string }> {
  const counts = new Map((await countJobsByState(tx, [task.id])).map(({ state, count }) => [state, count]));
  const failed = counts.get('failed') ?? 0;
  const failure = failed > 0 ? await readLastFailure(tx, task.id) : undefined;
  const diagnosis = failure
    ? `${failed} of ${task.job_count} jobs failed; job ${failure.id}: ${explainedReason(failure.diagnosis)}`
    : '';
  return { finished: counts.get('finished') ?? 0, diagnosis };
}

function endState(task: LockedTask, finished: number): TaskState {
  if (task.state === 'aborting') return 'aborted';
  if (finished === task.job_count) return 'done';
  return finished > 0 ? 'finished' : 'failed';
}
