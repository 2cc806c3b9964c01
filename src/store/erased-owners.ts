import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { deleteFilesOfJobs, deleteJobs, deleteTask, jobIdsOf } from './ended-tasks.ts';
import type { LiveLogOf } from './live-logs.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/**
 * Every table with rows of somebody, and the column that says whose: what an erasure leaves nothing of. The audit stays, which has ids
 * alone.
 *
 * @internal for the test that compares the list with the tables
 */
export const TABLES_OF_A_USER = {
  owner_id: [
    'delivered_secrets',
    'deliveries',
    'job_files',
    'attempts',
    'jobs',
    'task_grants',
    'tasks',
    'sandboxes',
    'brought_files',
    'queue_turns',
    'waiting_owners',
    'secret_versions',
    'secrets',
    'data_keys',
  ],
  subject: ['provider_records', 'password_links', 'accounts'],
} as const satisfies Record<'owner_id' | 'subject', readonly (keyof Schema)[]>;

/** Rows that name the owner by another row of theirs. */
const OF_OWNER: Partial<Record<keyof Schema, string>> = {
  delivered_secrets: 'delivery_id in (select id from deliveries where owner_id = ',
  job_files: 'job_id in (select id from jobs where owner_id = ',
  task_grants: 'task_id in (select id from tasks where owner_id = ',
};

/** The rows that are left of a user, table by table; those with none are left out. */
export async function countRowsOf(
  db: Database,
  { owner, subject }: { owner: string | undefined; subject: string | undefined },
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const count = async (table: string, where: ReturnType<typeof sql>) => {
    const { rows } = await sql<{
      count: number;
    }>`select count(*) as count from ${sql.table(table)} where ${where}`.execute(db);
    const [row] = rows;
    if (row && Number(row.count) > 0) counts[table] = Number(row.count);
  };
  for (const table of owner === undefined ? [] : TABLES_OF_A_USER.owner_id) {
    const by = OF_OWNER[table];
    await count(table, by === undefined ? sql`owner_id = ${owner}` : sql`${sql.raw(by)}${owner})`);
  }
  if (owner !== undefined) await count('owners', sql`id = ${owner}`);
  for (const table of subject === undefined ? [] : TABLES_OF_A_USER.subject)
    await count(table, sql`subject = ${subject}`);
  return counts;
}

/**
 * Deletes some of an owner's jobs with all that belongs to them, and a task whose jobs are gone.
 *
 * @returns the number of jobs, the blobs that their files named, and the live logs that may be there; undefined when no task is left
 */
export async function deleteSomeJobs(
  tx: Database,
  owner: string,
  limit: number,
): Promise<{ jobs: number; blobs: string[]; logs: LiveLogOf[] } | undefined> {
  const task = await tx.selectFrom('tasks').select('id').where('owner_id', '=', owner).orderBy('id').executeTakeFirst();
  if (!task) return undefined;
  const jobs = await jobIdsOf(tx, task.id, 0, limit);
  if (jobs.length === 0) {
    await deleteTask(tx, task.id);
    return { jobs: 0, blobs: [], logs: [] };
  }
  const blobs = await deleteFilesOfJobs(tx, jobs);
  return { jobs: jobs.length, blobs, logs: await deleteJobs(tx, jobs) };
}

/** Deletes what an owner has besides tasks and secrets. @returns the blobs of the sandboxes */
export async function deleteRecordsOf(tx: Database, owner: string): Promise<string[]> {
  await tx.deleteFrom('deliveries').where('owner_id', '=', owner).execute();
  await tx.deleteFrom('brought_files').where('owner_id', '=', owner).execute();
  await tx.deleteFrom('queue_turns').where('owner_id', '=', owner).execute();
  await tx.deleteFrom('waiting_owners').where('owner_id', '=', owner).execute();
  const sandboxes = await tx.deleteFrom('sandboxes').where('owner_id', '=', owner).returning('sha256').execute();
  return sandboxes.map(({ sha256 }) => sha256);
}

/** Deletes an owner, and keeps the head of their audit chain among those of none. Fails while anything is theirs. */
export async function deleteOwner(tx: Database, owner: string): Promise<void> {
  const [row] = await tx
    .deleteFrom('owners')
    .where('id', '=', owner)
    .returning(['id', 'audit_seq', 'audit_hash'])
    .execute();
  if (!row) return;
  const { id: chain, audit_seq, audit_hash } = row;
  await tx.insertInto('audit_heads').values({ chain, audit_seq, audit_hash }).execute();
}

/** Counts the tries to sign in under a name no more. */
export async function forgetTries(tx: Database, name: string): Promise<void> {
  await tx.deleteFrom('sign_in_failures').where('name', '=', name).execute();
}

/**
 * Takes what was deleted out of the log of an SQLite database: in the file itself it is overwritten already (`secure_delete`).
 *
 * @returns false while something reads the database without end
 */
export function emptyWriteAheadLog(path: string): boolean {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  try {
    const { busy } = database.prepare('pragma wal_checkpoint(truncate)').get() as { busy: number };
    return busy === 0;
  } finally {
    database.close();
  }
}
