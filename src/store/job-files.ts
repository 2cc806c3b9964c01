import type { Insertable } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** Notes a file of an attempt; one that is uploaded again takes the place of the first. */
export async function upsertJobFile(db: Database, file: Insertable<Schema['job_files']>): Promise<void> {
  const { kind, sha256, location, size, created_at } = file;
  await db
    .insertInto('job_files')
    .values(file)
    .onConflict((conflict) =>
      conflict.columns(['job_id', 'attempt', 'name']).doUpdateSet({ kind, sha256, location, size, created_at }),
    )
    .execute();
}

/** Files of each job's last attempt, in the order of serial and name. */
export async function readFilesOfTask(db: Database, owner: OwnerId, taskId: number) {
  return db
    .selectFrom('job_files')
    .innerJoin('jobs', (join) =>
      join.onRef('jobs.id', '=', 'job_files.job_id').onRef('jobs.attempt', '=', 'job_files.attempt'),
    )
    .select([
      'job_files.job_id',
      'jobs.serial',
      'job_files.attempt',
      'job_files.name',
      'job_files.kind',
      'job_files.sha256',
      'job_files.location',
      'job_files.size',
    ])
    .where('jobs.owner_id', '=', owner)
    .where('jobs.task_id', '=', taskId)
    .orderBy('jobs.serial')
    .orderBy('job_files.name')
    .execute();
}

export async function readJobFile(db: Database, owner: OwnerId, jobId: number, attempt: number, name: string) {
  return db
    .selectFrom('job_files')
    .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
    .select(['job_files.kind', 'job_files.name', 'job_files.sha256', 'job_files.location', 'job_files.size'])
    .where('jobs.owner_id', '=', owner)
    .where('job_files.job_id', '=', jobId)
    .where('job_files.attempt', '=', attempt)
    .where('job_files.name', '=', name)
    .executeTakeFirst();
}

/** The name of the log that an attempt brought back and that is kept here. */
export async function readLogOfAttempt(db: Database, jobId: number, attempt: number) {
  return db
    .selectFrom('job_files')
    .select('name')
    .where('job_id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('kind', '=', 'log')
    .where('sha256', 'is not', null)
    .orderBy('created_at')
    .executeTakeFirst();
}
