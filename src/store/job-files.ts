import type { Insertable, Selectable } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import { ATTEMPT_COLUMNS, checkedAttempt } from './attempts.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged } from './tagged-rows.ts';

type NewJobFile = Omit<Insertable<Schema['job_files']>, 'tag'> & TaggedFields<'job_files'>;

/** Notes a file of an attempt; one that is uploaded again takes the place of the first. */
export async function upsertJobFile(db: Database, file: NewJobFile): Promise<void> {
  const row = tagged(db, 'job_files', file);
  const { kind, sha256, location, size, created_at, signature, tag } = row;
  await db
    .insertInto('job_files')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['job_id', 'attempt', 'name'])
        .doUpdateSet({ kind, sha256, location, size, created_at, signature, tag }),
    )
    .execute();
}

/** Files of each job's last attempt, in the order of serial and name. @throws {Tampered} here and in {@link readJobFile} */
export async function readFilesOfTask(db: Database, owner: OwnerId, taskId: number) {
  const rows = await filesOf(db, owner)
    .whereRef('jobs.attempt', '=', 'job_files.attempt')
    .where('jobs.task_id', '=', taskId)
    .orderBy('jobs.serial')
    .orderBy('job_files.name')
    .execute();
  return rows.map((row) => checkedFile(db, row));
}

export async function readJobFile(db: Database, owner: OwnerId, jobId: number, attempt: number, name: string) {
  const row = await filesOf(db, owner)
    .where('job_files.job_id', '=', jobId)
    .where('job_files.attempt', '=', attempt)
    .where('job_files.name', '=', name)
    .executeTakeFirst();
  return row && checkedFile(db, row);
}

function filesOf(db: Database, owner: OwnerId) {
  return db
    .selectFrom('job_files')
    .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
    .innerJoin('attempts', (join) =>
      join.onRef('attempts.job_id', '=', 'job_files.job_id').onRef('attempts.attempt', '=', 'job_files.attempt'),
    )
    .select(ATTEMPT_COLUMNS)
    .select([
      'jobs.serial',
      'jobs.task_id as job_task_id',
      'jobs.owner_id as job_owner_id',
      'job_files.name',
      'job_files.kind',
      'job_files.sha256',
      'job_files.location',
      'job_files.size',
      'job_files.signature',
      'job_files.tag as file_tag',
    ])
    .where('jobs.owner_id', '=', owner);
}

type FileRow = Awaited<ReturnType<ReturnType<typeof filesOf>['execute']>>[number];

function checkedFile(db: Database, row: FileRow): FileRow {
  checkedAttempt(db, row, { task_id: row.job_task_id, owner_id: row.job_owner_id });
  checked(db, 'job_files', { ...row, tag: row.file_tag });
  return row;
}

/** The name of the log that an attempt brought back and that is kept here. */
export async function readLogOfAttempt(db: Database, jobId: number, attempt: number) {
  const [row] = await findLog(db, { jobId, attempt });
  return row;
}

const findLog = prepared<
  { jobId: number; attempt: number },
  Pick<Selectable<Schema['job_files']>, 'name' | 'signature'>
>((db, arg) =>
  db
    .selectFrom('job_files')
    .select(['name', 'signature'])
    .where('job_id', '=', arg('jobId'))
    .where('attempt', '=', arg('attempt'))
    .where('kind', '=', 'log')
    .where('sha256', 'is not', null)
    .orderBy('created_at'),
);
