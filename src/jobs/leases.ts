import type { OwnerId } from '../protocol/ids.ts';
import { MAX_DIAGNOSIS_CHARS } from '../protocol/limits.ts';
import {
  endAttempt,
  explainAttempt,
  readAttemptsOfPilot,
  readExpiredAttempts,
  readStoppedAttempts,
} from '../store/attempts.ts';
import { lockTask } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { diagnoseAgain, isWaiting, settleJob } from './settle.ts';

/** The most attempts that are looked for at once. */
const BATCH = 500;

/** See {@link Jobs.expireLeases}. Several replicas may run it at once: each attempt is ended by one of them. */
export async function expireLeases(context: JobsContext): Promise<number> {
  const now = context.clock();
  let expired = 0;
  for (;;) {
    const silent = await readExpiredAttempts(context.store.db, now, BATCH);
    const ended = await Promise.all(
      silent.map((attempt) =>
        loseAttempt(context, attempt, `its pilot was silent for ${attempt.lease_seconds} seconds`, {
          leaseBefore: now,
        }),
      ),
    );
    expired += ended.filter(Boolean).length;
    if (silent.length < BATCH) return expired;
  }
}

/** See {@link Jobs.losePilot}. */
export async function losePilot(
  context: JobsContext,
  { queue, pilotId }: { queue: string; pilotId: string },
  reason: string,
): Promise<number> {
  const held = await readAttemptsOfPilot(context.store.db, queue, pilotId);
  const ended = await Promise.all(held.map((attempt) => loseAttempt(context, attempt, reason)));
  await explainStops(context, pilotId, reason);
  return ended.filter(Boolean).length;
}

/** Its pilot, which was told to stop, could not know why: the owners of its jobs read both. */
async function explainStops({ store, clock }: JobsContext, pilotId: string, reason: string): Promise<void> {
  for (const stopped of await readStoppedAttempts(store.db, pilotId)) {
    if (stopped.diagnosis.includes(reason)) continue;
    const diagnosis = `${stopped.diagnosis}; ${reason}`.slice(0, MAX_DIAGNOSIS_CHARS);
    await store.write(async (tx) => {
      const task = await lockTask(tx, stopped.owner_id as OwnerId, stopped.task_id, clock());
      if (!task) return;
      await explainAttempt(tx, { jobId: stopped.job_id, attempt: stopped.attempt }, diagnosis);
      await diagnoseAgain(tx, task);
    });
  }
}

/** Takes an attempt from its pilot, and moves its job on. @returns false when it had ended, or its lease goes on after all */
async function loseAttempt(
  { store, clock, tell }: JobsContext,
  { job_id: jobId, attempt, task_id, owner_id }: { job_id: number; attempt: number; task_id: number; owner_id: string },
  diagnosis: string,
  options: { leaseBefore?: number } = {},
): Promise<boolean> {
  const now = clock();
  const { did, retried } = await store.write(async (tx) => {
    const task = await lockTask(tx, owner_id as OwnerId, task_id, now);
    const did = await endAttempt(
      tx,
      { jobId, attempt, ...options },
      // PanDA's word for a job that the system itself took from its pilot.
      { state: 'closed', ended_at: now, diagnosis },
    );
    const state = task && did ? await settleJob(tx, task, { jobId, attempt }, 'failed', now) : undefined;
    return { did, retried: isWaiting(state) };
  });
  if (did) tell({ event: 'attempt.ended', jobId, attempt, how: 'lost', retried });
  return did;
}
