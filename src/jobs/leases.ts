import type { OwnerId } from '../protocol/ids.ts';
import { endAttempt, readExpiredAttempts } from '../store/attempts.ts';
import { lockTask } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { isWaiting, settleJob } from './settle.ts';

/** The most attempts that are looked for at once. */
const BATCH = 500;

/** See {@link Jobs.expireLeases}. Several replicas may run it at once: each attempt is ended by one of them. */
export async function expireLeases({ store, clock, tell }: JobsContext): Promise<number> {
  const now = clock();
  let expired = 0;
  for (;;) {
    const silent = await readExpiredAttempts(store.db, now, BATCH);
    const ended = await Promise.all(
      silent.map(async ({ job_id: jobId, attempt, task_id, owner_id, lease_seconds }) => {
        const { did, retried } = await store.write(async (tx) => {
          const task = await lockTask(tx, owner_id as OwnerId, task_id, now);
          const did = await endAttempt(
            tx,
            { jobId, attempt, leaseBefore: now },
            // PanDA's word for a job that the system itself took from its pilot.
            { state: 'closed', ended_at: now, diagnosis: `its pilot was silent for ${lease_seconds} seconds` },
          );
          const state = task && did ? await settleJob(tx, task, { jobId, attempt }, 'failed', now) : undefined;
          return { did, retried: isWaiting(state) };
        });
        if (did) tell({ event: 'attempt.ended', jobId, attempt, how: 'lost', retried });
        return did;
      }),
    );
    expired += ended.filter(Boolean).length;
    if (silent.length < BATCH) return expired;
  }
}
