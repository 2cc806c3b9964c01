import { DAY_MILLISECONDS, MAX_REMOVED_AT_ONCE } from '../protocol/limits.ts';
import {
  deleteFilesOfJobs,
  deleteJobs,
  deleteTask,
  findTasksEndedBefore,
  holdEndedTask,
  jobIdsOf,
  markTaskRemoved,
  noteFilesRemoved,
} from '../store/ended-tasks.ts';
import { inBatches } from '../store/in-batches.ts';
import { deleteUnusedSandboxes } from '../store/sandboxes.ts';
import type { Database } from '../store/store.ts';
import type { JobsContext } from './context.ts';

/** Each kind is kept so many days since its task ended, or since the sandbox was last used; undefined for ever. */
export interface KeptJobs {
  tasksDays?: number | undefined;
  /** Logs and outputs, and the sandboxes of tasks that ended: a task without its sandbox cannot be retried. */
  filesDays?: number | undefined;
  /** Sandboxes that no task needs. */
  sandboxesDays?: number | undefined;
}

/** Tasks that are looked up at once. */
const TASKS = 50;

/**
 * Removes what is no longer kept: files of ended tasks, then whole tasks, then sandboxes that nothing needs. `removeOrphans` removes the
 * content later. What was begun when the server ended goes on at the next time: a task that is being removed is gone for its owner from
 * the first batch on, and can be retried no more.
 */
export async function removeOld(
  { store, clock }: Pick<JobsContext, 'store' | 'clock'>,
  { tasksDays, filesDays, sandboxesDays }: KeptJobs,
  stopping?: AbortSignal,
): Promise<void> {
  const before = (days: number) => clock() - days * DAY_MILLISECONDS;
  if (filesDays !== undefined) await removeFiles(before(filesDays));
  if (tasksDays !== undefined) await removeTasks(before(tasksDays));
  if (sandboxesDays !== undefined) {
    const unused = { before: before(sandboxesDays), endedBefore: filesDays === undefined ? 0 : before(filesDays) };
    await inBatches(async () => {
      const removed = await store.write((tx) => deleteUnusedSandboxes(tx, { ...unused, limit: MAX_REMOVED_AT_ONCE }));
      return removed === MAX_REMOVED_AT_ONCE;
    }, stopping);
  }

  async function removeFiles(time: number): Promise<void> {
    await eachTask(time, true, async (id) => {
      let after: number | undefined = 0;
      await inBatches(async () => {
        after = await store.write((tx) => removeFilesBehind(tx, id, { time, after: after as number }));
        return after !== undefined;
      }, stopping);
    });
  }

  /** @returns the last job, where there may be more behind it */
  async function removeFilesBehind(
    tx: Database,
    id: number,
    { time, after }: { time: number; after: number },
  ): Promise<number | undefined> {
    if (!(await holdEndedTask(tx, id, time))) return undefined;
    const jobs = await jobIdsOf(tx, id, after, MAX_REMOVED_AT_ONCE);
    if (jobs.length > 0) await deleteFilesOfJobs(tx, jobs);
    if (jobs.length === MAX_REMOVED_AT_ONCE) return jobs.at(-1);
    await noteFilesRemoved(tx, id, clock());
    return undefined;
  }

  async function removeTasks(time: number): Promise<void> {
    await eachTask(time, false, async (id) => {
      await inBatches(
        () =>
          store.write(async (tx) => {
            if (!(await holdEndedTask(tx, id, time))) return false;
            await markTaskRemoved(tx, id, clock());
            const jobs = await jobIdsOf(tx, id, 0, MAX_REMOVED_AT_ONCE);
            if (jobs.length > 0) {
              await deleteFilesOfJobs(tx, jobs);
              await deleteJobs(tx, jobs);
            }
            const more = jobs.length === MAX_REMOVED_AT_ONCE;
            if (!more) await deleteTask(tx, id);
            return more;
          }),
        stopping,
      );
    });
  }

  async function eachTask(time: number, withFiles: boolean, remove: (id: number) => Promise<void>): Promise<void> {
    await inBatches(async () => {
      const ids = await findTasksEndedBefore(store.db, time, { withFiles, limit: TASKS });
      for (const id of ids) {
        if (stopping?.aborted) return false;
        await remove(id);
      }
      return ids.length === TASKS;
    }, stopping);
  }
}
