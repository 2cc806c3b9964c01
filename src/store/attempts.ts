import { type Insertable, type Selectable, sql } from 'kysely';
import { Tampered } from '../protocol/errors.ts';
import { type JobState, TOLD_TO_STOP } from '../protocol/states.ts';
import { writeRows } from './many-rows.ts';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged } from './tagged-rows.ts';

type NewAttempt = Omit<Insertable<Schema['attempts']>, 'tag'> & TaggedFields<'attempts'>;

export async function insertAttempts(db: Database, attempts: readonly NewAttempt[]): Promise<void> {
  await writeRows(attempts, (some) =>
    insertAttemptRows(db, { attempts: some.map((attempt) => tagged(db, 'attempts', attempt)) }),
  );
}

const insertAttemptRows = prepared<{ attempts: readonly Insertable<Schema['attempts']>[] }, never>((db, arg) =>
  db.insertInto('attempts').values(arg('attempts')),
);

/** All that the tag of an attempt covers, to be read beside its job's columns. */
export const ATTEMPT_COLUMNS = [
  'attempts.job_id',
  'attempts.attempt',
  'attempts.task_id',
  'attempts.owner_id',
  'attempts.queue',
  'attempts.pilot_id',
  'attempts.tag',
] as const;

/**
 * The attempt as it was read, and a job that still is of the task and owner whose attempt it was: what it brought back goes
 * to nobody else.
 *
 * @param job the columns of the job's own row
 * @throws {Tampered}
 */
export function checkedAttempt<Row extends TaggedFields<'attempts'> & { tag: Uint8Array | null }>(
  db: Database,
  attempt: Row,
  job: { task_id: number; owner_id: string },
): Row {
  checked(db, 'attempts', attempt);
  if (attempt.task_id === job.task_id && attempt.owner_id === job.owner_id) return attempt;
  throw new Tampered('jobs', String(attempt.job_id));
}

/** An attempt with what of its job decides what may become of it. @throws {Tampered} */
export async function readAttempt(db: Database, jobId: number, attempt: number) {
  const [row] = await findAttempt(db, { jobId, attempt });
  return row && checkedAttempt(db, row, { task_id: row.job_task_id, owner_id: row.job_owner_id });
}

const findAttempt = prepared<
  { jobId: number; attempt: number },
  TaggedFields<'attempts'> &
    Pick<Selectable<Schema['attempts']>, 'tag' | 'state' | 'lease_seconds' | 'ended_at'> &
    Pick<Selectable<Schema['jobs']>, 'serial' | 'kill_requested'> & { job_task_id: number; job_owner_id: string }
>((db, arg) =>
  db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .select([
      ...ATTEMPT_COLUMNS,
      'attempts.state',
      'attempts.lease_seconds',
      'attempts.ended_at',
      'jobs.task_id as job_task_id',
      'jobs.owner_id as job_owner_id',
      'jobs.serial',
      'jobs.kill_requested',
    ])
    .where('attempts.job_id', '=', arg('jobId'))
    .where('attempts.attempt', '=', arg('attempt')),
);

/** Notes that an attempt lives. False when it has ended meanwhile: a lease that was lost does not come back. */
export async function renewLease(
  db: Database,
  { jobId, attempt }: { jobId: number; attempt: number },
  change: { lease_until: number; state?: JobState; node?: string; started_at?: number },
): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('attempts')
      .set(change)
      .where('job_id', '=', jobId)
      .where('attempt', '=', attempt)
      .where('ended_at', 'is', null),
  );
}

/**
 * Ends an attempt, once: of a report and the loss of the lease at the same moment, one is told false and changes nothing.
 *
 * @param leaseBefore ends it only when its lease ended before this time
 */
export async function endAttempt(
  db: Database,
  { jobId, attempt, leaseBefore }: { jobId: number; attempt: number; leaseBefore?: number },
  end: {
    state: JobState;
    ended_at: number;
    diagnosis: string;
    exit_code?: number | null;
    error_code?: number | null;
    node?: string;
  },
): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('attempts')
      .set(end)
      .where('job_id', '=', jobId)
      .where('attempt', '=', attempt)
      .where('ended_at', 'is', null)
      .$if(leaseBefore !== undefined, (query) => query.where('lease_until', '<', leaseBefore ?? 0)),
  );
}

/** Removes an attempt of which no pilot was told. False when it has ended, or a pilot has reported on it. */
export async function deleteUntoldAttempt(
  db: Database,
  { jobId, attempt }: { jobId: number; attempt: number },
): Promise<boolean> {
  return changesOneRow(
    db
      .deleteFrom('attempts')
      .where('job_id', '=', jobId)
      .where('attempt', '=', attempt)
      .where('state', '=', 'sent' satisfies JobState)
      .where('ended_at', 'is', null),
  );
}

/** Attempts whose pilot has been silent for too long, the longest first. */
export async function readExpiredAttempts(db: Database, now: number, limit: number) {
  return db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .select(['attempts.job_id', 'attempts.attempt', 'attempts.lease_seconds', 'jobs.task_id', 'jobs.owner_id'])
    .where('attempts.ended_at', 'is', null)
    .where('attempts.lease_until', '<', now)
    .orderBy('attempts.lease_until')
    .limit(limit)
    .execute();
}

/** The attempts that a pilot of a queue has now. */
export async function readAttemptsOfPilot(db: Database, queue: string, pilotId: string) {
  return db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .select(['attempts.job_id', 'attempts.attempt', 'jobs.task_id', 'jobs.owner_id'])
    .where('attempts.ended_at', 'is', null)
    .where('attempts.queue', '=', queue)
    .where('attempts.pilot_id', '=', pilotId)
    .execute();
}

/** The attempts that a pilot gave back when it was told to stop. The code is written out, so that the index answers it. */
export async function readStoppedAttempts(db: Database, pilotId: string) {
  return db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .select(['attempts.job_id', 'attempts.attempt', 'attempts.diagnosis', 'jobs.task_id', 'jobs.owner_id'])
    .where('attempts.error_code', '=', sql.lit(TOLD_TO_STOP))
    .where('attempts.pilot_id', '=', pilotId)
    .execute();
}

/** Says more of why an attempt ended. */
export async function explainAttempt(
  db: Database,
  { jobId, attempt }: { jobId: number; attempt: number },
  diagnosis: string,
): Promise<void> {
  await db
    .updateTable('attempts')
    .set({ diagnosis })
    .where('job_id', '=', jobId)
    .where('attempt', '=', attempt)
    .where('ended_at', 'is not', null)
    .execute();
}

/** The failure of a task that was reported last. */
export async function readLastFailure(db: Database, taskId: number) {
  return db
    .selectFrom('jobs')
    .innerJoin('attempts', (join) =>
      join.onRef('attempts.job_id', '=', 'jobs.id').onRef('attempts.attempt', '=', 'jobs.attempt'),
    )
    .select(['jobs.id', 'attempts.diagnosis'])
    .where('jobs.task_id', '=', taskId)
    .where('jobs.state', '=', 'failed')
    .orderBy('attempts.ended_at', 'desc')
    .executeTakeFirst();
}
