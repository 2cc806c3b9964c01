import type { OwnerId } from '../protocol/ids.ts';
import { LEASE_SECONDS } from '../protocol/limits.ts';
import { endAttempt, readExpiredAttempts } from '../store/attempts.ts';
import { lockTask } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { settleJob } from './settle.ts';

/** How many attempts are looked for at once. */
const BATCH = 500;
const LOOP_SECONDS = 10;
const LOOPS_PER_LEASE = 4;

/** See {@link Jobs.expireLeases}. Several replicas may run it at once: each attempt is ended by one of them. */
export async function expireLeases({ store, clock }: JobsContext): Promise<number> {
  const now = clock();
  let expired = 0;
  for (;;) {
    const silent = await readExpiredAttempts(store.db, now, BATCH);
    const ended = await Promise.all(
      silent.map(({ job_id: jobId, attempt, task_id, owner_id, lease_seconds }) =>
        store.write(async (tx) => {
          const task = await lockTask(tx, owner_id as OwnerId, task_id, now);
          const did = await endAttempt(
            tx,
            { jobId, attempt, leaseBefore: now },
            // PanDA's word for a job that the system itself took from its pilot.
            { state: 'closed', ended_at: now, diagnosis: `its pilot was silent for ${lease_seconds} seconds` },
          );
          if (task && did) await settleJob(tx, task, { jobId, attempt }, 'failed', now);
          return did;
        }),
      ),
    );
    expired += ended.filter(Boolean).length;
    if (silent.length < BATCH) return expired;
  }
}

/** See {@link Jobs.startLeaseLoop}. */
export function startLeaseLoop(
  context: JobsContext,
  onError: (error: unknown) => void = () => {},
): { close(): Promise<void> } {
  let running: Promise<unknown> | undefined;
  const { clock, leaseSeconds = LEASE_SECONDS } = context;
  // Pilots may not have been heard because no server was there to hear them: all have a lease's time to come back.
  const firstAt = clock() + leaseSeconds * 1000;
  const timer = setInterval(
    () => {
      if (clock() < firstAt) return;
      running ??= expireLeases(context)
        .catch(onError)
        .finally(() => {
          running = undefined;
        });
    },
    Math.min(LOOP_SECONDS, leaseSeconds / LOOPS_PER_LEASE) * 1000,
  );
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
