import { sql } from 'kysely';
import type { LiveLogOf } from './live-logs.ts';
import { changesOneRow } from './one-row.ts';
import type { Database } from './store.ts';

/** Tasks that ended before that time, the oldest first; with `withFiles` those alone whose files are still there. */
export async function findTasksEndedBefore(
  db: Database,
  before: number,
  { withFiles, limit }: { withFiles: boolean; limit: number },
): Promise<number[]> {
  const rows = await db
    .selectFrom('tasks')
    .select('id')
    .where('ended_at', 'is not', null)
    .where('ended_at', '<', before)
    .$if(withFiles, (query) => query.where('files_removed_at', 'is', null))
    .orderBy('ended_at')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/**
 * Holds a task until the transaction ends, if it ended before that time: a retry that comes first makes this false, one that comes
 * later waits.
 */
export async function holdEndedTask(db: Database, id: number, before: number): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('tasks')
      .set((eb) => ({ ended_at: eb.ref('ended_at') }))
      .where('id', '=', id)
      .where('ended_at', 'is not', null)
      .where('ended_at', '<', before),
  );
}

/** From now on the task is not its owner's any more. One that this transaction holds. */
export async function markTaskRemoved(db: Database, id: number, now: number): Promise<void> {
  await db
    .updateTable('tasks')
    .set({ removed_at: sql`coalesce(removed_at, ${now})` })
    .where('id', '=', id)
    .execute();
}

export async function noteFilesRemoved(db: Database, id: number, now: number): Promise<void> {
  await db.updateTable('tasks').set({ files_removed_at: now }).where('id', '=', id).execute();
}

/** The ids of a task's jobs after one, in order. */
export async function jobIdsOf(db: Database, taskId: number, after: number, limit: number): Promise<number[]> {
  const rows = await db
    .selectFrom('jobs')
    .select('id')
    .where('task_id', '=', taskId)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** @returns the blobs that the files named */
export async function deleteFilesOfJobs(db: Database, jobIds: readonly number[]): Promise<string[]> {
  const files = await db.deleteFrom('job_files').where('job_id', 'in', jobIds).returning('sha256').execute();
  return files.flatMap(({ sha256 }) => sha256 ?? []);
}

/** Jobs whose files are gone. @returns their attempts, whose live logs may be there */
export async function deleteJobs(db: Database, jobIds: readonly number[]): Promise<LiveLogOf[]> {
  const attempts = await db
    .deleteFrom('attempts')
    .where('job_id', 'in', jobIds)
    .returning(['job_id', 'attempt'])
    .execute();
  await db.deleteFrom('jobs').where('id', 'in', jobIds).execute();
  return attempts.map(({ job_id, attempt }) => ({ jobId: job_id, attempt }));
}

/** A task whose jobs are gone. */
export async function deleteTask(db: Database, id: number): Promise<void> {
  await db.deleteFrom('task_grants').where('task_id', '=', id).execute();
  await db.deleteFrom('tasks').where('id', '=', id).execute();
}
