import { sql, type Updateable } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import type { JobState } from '../protocol/states.ts';
import { checkedAttempt } from './attempts.ts';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { noteWaiting } from './waiting-owners.ts';

/** Makes a task's jobs, however many, serial 1 to `job_count`. */
export async function insertJobs(db: Database, jobs: { taskId: number; state: JobState }): Promise<void> {
  await insertJobRows(db, jobs);
  if (jobs.state === 'activated') await noteWaiting(db, jobs);
}

const insertJobRows = prepared<{ taskId: number; state: JobState }, never>((db, arg) => ({
  compile: () =>
    sql<never>`
    insert into jobs (task_id, owner_id, serial, state, queue, use_secrets, max_attempts, created_at, modified_at)
    with recursive serials (serial) as (
      select 1 union all select serial + 1 from serials
        where serial < (select job_count from tasks where id = ${arg('taskId')}))
    select tasks.id, tasks.owner_id, serials.serial, ${arg('state')}, tasks.queue, tasks.use_secrets, tasks.max_attempts,
      tasks.created_at, tasks.created_at
    from tasks, serials where tasks.id = ${arg('taskId')}`.compile(db),
}));

export async function readJob(db: Database, id: number) {
  return db
    .selectFrom('jobs')
    .select(['id', 'task_id', 'owner_id', 'state', 'attempt', 'max_attempts', 'kill_requested'])
    .where('id', '=', id)
    .executeTakeFirst();
}

/** Changes a job while it is in one of the states `from` in that attempt; false when it is not, and nothing was changed. */
export async function moveJob(
  db: Database,
  { id, attempt, from }: { id: number; attempt: number; from: readonly JobState[] },
  change: Updateable<Schema['jobs']>,
): Promise<boolean> {
  const moved = await changesOneRow(
    db.updateTable('jobs').set(change).where('id', '=', id).where('attempt', '=', attempt).where('state', 'in', from),
  );
  if (moved && change.state === 'activated') await noteWaiting(db, { jobId: id });
  return moved;
}

/** Changes all jobs of a task that are in one of the states `from`; how many there were. */
export async function moveJobsOfTask(
  db: Database,
  taskId: number,
  from: readonly JobState[],
  change: Updateable<Schema['jobs']>,
): Promise<number> {
  const result = await db
    .updateTable('jobs')
    .set(change)
    .where('task_id', '=', taskId)
    .where('state', 'in', from)
    .executeTakeFirst();
  if (change.state === 'activated') await noteWaiting(db, { taskId });
  return Number(result.numUpdatedRows);
}

/** Lets jobs wait again, in the transaction that took them. */
export async function putBackTaken(db: Database, jobs: readonly { id: number; task_id: number }[]): Promise<void> {
  await db
    .updateTable('jobs')
    .set((set) => ({ state: 'activated' satisfies JobState, attempt: set('attempt', '-', 1) }))
    .where(
      'id',
      'in',
      jobs.map(({ id }) => id),
    )
    .execute();
  for (const taskId of new Set(jobs.map((job) => job.task_id))) await noteWaiting(db, { taskId });
}

/** Gives jobs that ended without success another round of attempts, on another queue if one is given; how many there were. */
export async function reviveJobs(
  db: Database,
  taskId: number,
  { attempts, queue, state }: { attempts: number; queue?: string | null | undefined; state: JobState },
  now: number,
): Promise<number> {
  const result = await db
    .updateTable('jobs')
    .set((set) => ({
      state,
      kill_requested: 0,
      max_attempts: set('attempt', '+', attempts),
      ...(queue !== undefined && { queue }),
      modified_at: now,
    }))
    .where('task_id', '=', taskId)
    .where('state', 'in', ['failed', 'cancelled', 'closed'] satisfies JobState[])
    .executeTakeFirst();
  if (state === 'activated') await noteWaiting(db, { taskId });
  return Number(result.numUpdatedRows);
}

/** True when a job of the task is in one of the states. */
export async function hasJobsIn(db: Database, taskId: number, states: readonly JobState[]): Promise<boolean> {
  const found = await db
    .selectFrom('jobs')
    .select('id')
    .where('task_id', '=', taskId)
    .where('state', 'in', states)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

/** True when any job of the task was ever acquired. */
export async function wasStarted(db: Database, taskId: number): Promise<boolean> {
  const found = await db
    .selectFrom('jobs')
    .select('id')
    .where('task_id', '=', taskId)
    .where('attempt', '>', 0)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

export async function countJobsByState(db: Database, taskIds: readonly number[]) {
  return db
    .selectFrom('jobs')
    .select(['task_id', 'state', (select) => select.fn.countAll<number>().as('count')])
    .where('task_id', 'in', taskIds)
    .groupBy(['task_id', 'state'])
    .execute();
}

/** Jobs with the attempt that runs, or ran last: those of a task, or by id, or by id of one pilot. In the order of their ids. @throws {Tampered} */
export async function readJobs(
  db: Database,
  which:
    | { owner: OwnerId; taskId: number }
    | { owner: OwnerId; ids: readonly number[] }
    | { pilotId: string; ids: readonly number[] },
) {
  const rows = await selectJobs(db, {
    owner: undefined,
    pilotId: undefined,
    taskId: undefined,
    ids: undefined,
    ...which,
  });
  for (const row of rows) {
    const { attempt_task_id: task_id, attempt_owner_id: owner_id, queue, pilot_id } = row;
    if (task_id === null || owner_id === null || queue === null || pilot_id === null) continue;
    checkedAttempt(db, { job_id: row.id, attempt: row.attempt, task_id, owner_id, queue, pilot_id, tag: row.tag }, row);
  }
  return rows;
}

interface WhichJobs {
  owner: OwnerId | undefined;
  pilotId: string | undefined;
  taskId: number | undefined;
  ids: readonly number[] | undefined;
}

function withAttempts(db: Database) {
  return db
    .selectFrom('jobs')
    .leftJoin('attempts', (join) =>
      join.onRef('attempts.job_id', '=', 'jobs.id').onRef('attempts.attempt', '=', 'jobs.attempt'),
    )
    .select([
      'jobs.id',
      'jobs.task_id',
      'jobs.owner_id',
      'jobs.serial',
      'jobs.state',
      'jobs.attempt',
      'jobs.max_attempts',
      'jobs.kill_requested',
      'jobs.queue as wanted_queue',
      'jobs.created_at',
      'jobs.modified_at',
      'attempts.task_id as attempt_task_id',
      'attempts.owner_id as attempt_owner_id',
      'attempts.pilot_id',
      'attempts.tag',
      'attempts.queue',
      'attempts.node',
      'attempts.started_at',
      'attempts.ended_at',
      'attempts.exit_code',
      'attempts.error_code',
      'attempts.diagnosis',
    ]);
}

type JobWithAttempt = Awaited<ReturnType<ReturnType<typeof withAttempts>['execute']>>[number];

const selectJobs = prepared<WhichJobs, JobWithAttempt>((db, arg) => {
  const [owner, pilotId, taskId, ids] = [arg('owner'), arg('pilotId'), arg('taskId'), arg('ids')];
  return withAttempts(db)
    .$if(owner !== undefined, (query) => query.where('jobs.owner_id', '=', owner as OwnerId))
    .$if(pilotId !== undefined, (query) => query.where('attempts.pilot_id', '=', pilotId as string))
    .$if(taskId !== undefined, (query) => query.where('jobs.task_id', '=', taskId as number))
    .$if(ids !== undefined, (query) => query.where('jobs.id', 'in', ids as readonly number[]))
    .orderBy('jobs.id');
});
