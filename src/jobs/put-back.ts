import type { OwnerId } from '../protocol/ids.ts';
import { deleteUntoldAttempt } from '../store/attempts.ts';
import { lockTask } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { settleJob } from './settle.ts';

/** A job that was acquired. */
export interface AcquiredJob {
  jobId: number;
  taskId: number;
  attempt: number;
  ownerId: OwnerId;
}

/** See {@link Jobs.putBack}. */
export async function putBackJobs({ store, clock }: JobsContext, jobs: readonly AcquiredJob[]): Promise<void> {
  if (jobs.length === 0) return;
  const now = clock();
  // In one order everywhere, as transactions that lock the same tasks in two wait for each other for ever.
  const ordered = jobs.toSorted((a, b) => a.taskId - b.taskId || a.jobId - b.jobId);
  await store.write(async (tx) => {
    for (const { jobId, taskId, attempt, ownerId } of ordered) {
      const task = await lockTask(tx, ownerId, taskId, now);
      if (!task || !(await deleteUntoldAttempt(tx, { jobId, attempt }))) continue;
      await settleJob(tx, task, { jobId, attempt }, 'put back', now);
    }
  });
}
