import { Conflict, InvalidArgument, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_DIAGNOSIS_CHARS, MAX_MAX_ATTEMPTS } from '../protocol/limits.ts';
import type { JobState } from '../protocol/states.ts';
import { endAttempt, readAttempt, renewLease } from '../store/attempts.ts';
import { moveJob, moveJobsOfTask } from '../store/jobs.ts';
import type { Database } from '../store/store.ts';
import { type LockedTask, lockTask } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { isWaiting, settleJob } from './settle.ts';

/** A pilot's report on an attempt. */
export interface JobReport {
  jobId: number;
  attempt: number;
  /** One of `starting`, `running` (also as a heartbeat), `holding`, `transferring`, `finished`, `failed`. */
  state: string;
  node?: string | undefined;
  /** True of one that failed since its node's time was up: see {@link mayGiveBack}. */
  givenBack?: boolean | undefined;
  /** The payload's exit status. */
  exitCode?: number | undefined;
  /** The pilot's own error code: PanDA's `pilotErrorCode`. */
  errorCode?: number | undefined;
  /** Why it failed; of one that finished, what its owner should know. */
  diagnosis?: string | undefined;
}

/** A report that was taken, and what became of the job of an attempt that ended by it. */
interface Taken {
  command: 'NULL' | 'tobekilled';
  ended?: { retried: boolean };
}

/** From which states a report moves a job on; from another one it only renews the lease: reports may overtake each other. */
const EARLIER: Record<string, readonly JobState[]> = {
  starting: ['sent'],
  running: ['sent', 'starting'],
  holding: ['sent', 'starting', 'running', 'transferring'],
  transferring: ['sent', 'starting', 'running', 'holding'],
};

export async function reportJob(
  context: JobsContext,
  pilotId: string,
  report: JobReport,
): Promise<{ command: 'NULL' | 'tobekilled' }> {
  const { jobId, attempt, state } = report;
  const isFinal = state === 'finished' || state === 'failed';
  if (!isFinal && !Object.hasOwn(EARLIER, state)) {
    throw new InvalidArgument(
      `job_status: must be one of ${[...Object.keys(EARLIER), 'finished', 'failed'].join(', ')}, not "${state}"`,
    );
  }
  const now = context.clock();
  const { command, ended: end } = await context.store.write(async (tx): Promise<Taken> => {
    const held = await readAttemptOf(tx, pilotId, { jobId, attempt });
    const command = held.kill_requested === 1 ? 'tobekilled' : 'NULL';
    if (held.ended_at !== null) {
      // The pilot did not get the answer to its final report and says it again.
      if (held.state === state) return { command: 'NULL' };
      throw ended(jobId, attempt);
    }
    if (!isFinal) {
      await keepAlive(tx, report, { state: held.state as JobState, leaseSeconds: held.lease_seconds }, now);
      return { command };
    }
    const next = await endAndSettle(tx, { ...held, owner_id: held.owner_id as OwnerId }, report, now);
    return { command: 'NULL', ended: { retried: isWaiting(next) } };
  });
  if (end && isFinal) context.tell({ event: 'attempt.ended', jobId, attempt, how: state, ...end });
  return { command };
}

/** An attempt that is, or was, this pilot's. @throws {NotFound} @throws {Conflict} when it is another pilot's */
export async function readAttemptOf(
  tx: Database,
  pilotId: string,
  { jobId, attempt }: { jobId: number; attempt: number },
) {
  const held = await readAttempt(tx, jobId, attempt);
  if (!held) throw new NotFound(`there is no attempt ${attempt} of job ${jobId}`);
  if (held.pilot_id !== pilotId) throw new Conflict(`attempt ${attempt} of job ${jobId} is another pilot's`);
  return held;
}

async function keepAlive(
  tx: Database,
  report: JobReport,
  held: { state: JobState; leaseSeconds: number },
  now: number,
): Promise<void> {
  const { jobId, attempt, node } = report;
  const state = report.state as JobState;
  const from = EARLIER[state] ?? [];
  const moves = from.includes(held.state);
  const renewed = await renewLease(
    tx,
    { jobId, attempt },
    {
      lease_until: now + held.leaseSeconds * 1000,
      ...(node === undefined ? {} : { node }),
      ...(moves ? { state } : {}),
      ...(moves && state === 'running' ? { started_at: now } : {}),
    },
  );
  if (!renewed) throw ended(jobId, attempt);
  if (moves) await moveJob(tx, { id: jobId, attempt, from }, { state, modified_at: now });
}

async function endAndSettle(
  tx: Database,
  { task_id, owner_id, state }: { task_id: number; owner_id: OwnerId; state: string },
  report: JobReport,
  now: number,
): Promise<JobState> {
  const { jobId, attempt, node, exitCode, errorCode } = report;
  const ranAlready = state !== 'sent' && state !== 'starting';
  const task = await lockTask(tx, owner_id, task_id, now);
  if (!task) throw new NotFound(`there is no task ${task_id}`);
  const isGivenBack = report.givenBack === true && mayGiveBack(task, { attempt, ranAlready });
  const outcome = report.state === 'finished' ? 'finished' : isGivenBack ? 'given back' : 'failed';
  const did = await endAttempt(
    tx,
    { jobId, attempt },
    {
      state: outcome === 'finished' ? 'finished' : 'failed',
      ended_at: now,
      diagnosis: outcome === 'finished' ? (report.diagnosis ?? '').slice(0, MAX_DIAGNOSIS_CHARS) : diagnosisOf(report),
      exit_code: exitCode ?? null,
      error_code: errorCode ?? null,
      ...(node === undefined ? {} : { node }),
    },
  );
  if (!did) throw ended(jobId, attempt);
  return settleJob(tx, task, { jobId, attempt }, outcome, now);
}

/**
 * An attempt that is given back does not count. Not so of a job that ran already and that its owner wanted to be run once, nor of one whose
 * owner signed how often; and no job is given back for ever.
 */
function mayGiveBack(task: LockedTask, { attempt, ranAlready }: { attempt: number; ranAlready: boolean }): boolean {
  return attempt < MAX_MAX_ATTEMPTS && task.use_secrets !== 2 && (!ranAlready || task.max_attempts > 1);
}

function diagnosisOf({ diagnosis, exitCode, errorCode }: JobReport): string {
  if (diagnosis) return diagnosis.slice(0, MAX_DIAGNOSIS_CHARS);
  if (exitCode) return `the payload ended with exit status ${exitCode}`;
  return errorCode ? `the pilot failed with error ${errorCode}` : 'failed without a reason given';
}

function ended(jobId: number, attempt: number): Conflict {
  return new Conflict(`attempt ${attempt} of job ${jobId} has ended: stop it, its result is not taken`);
}

/** See {@link Jobs.failAttempt}. */
export async function failAttempt(
  { store, clock, tell }: JobsContext,
  { jobId, attempt }: { jobId: number; attempt: number },
  reason: string,
  { retriable }: { retriable: boolean },
): Promise<void> {
  const now = clock();
  const ended = await store.write(async (tx) => {
    const held = await readAttempt(tx, jobId, attempt);
    if (!held) return undefined;
    const task = await lockTask(tx, held.owner_id as OwnerId, held.task_id, now);
    const diagnosis = reason.slice(0, MAX_DIAGNOSIS_CHARS);
    const did = await endAttempt(tx, { jobId, attempt }, { state: 'failed', ended_at: now, diagnosis });
    if (!task || !did) return undefined;
    // The others of its task ask for the same.
    if (!retriable)
      await moveJobsOfTask(tx, task.id, ['activated', 'throttled'], { state: 'failed', modified_at: now });
    const outcome = retriable ? 'failed' : 'failed for good';
    return { retried: isWaiting(await settleJob(tx, task, { jobId, attempt }, outcome, now)) };
  });
  if (ended) tell({ event: 'attempt.ended', jobId, attempt, how: 'failed', ...ended });
}
