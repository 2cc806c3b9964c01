import { type RawBuilder, type Selectable, sql } from 'kysely';
import { MAX_KINDS_SHOWN } from '../protocol/limits.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** Which waiting jobs a pilot may have. */
export interface Wanted {
  queue: string;
  /** 1 when it may have those that name no queue. */
  anyQueue: 0 | 1;
  /** Which needs of secrets its jobs may have. */
  secrets: SecretNeeds;
  /** {@link ANY_ROOM} when left out. */
  room?: Room | undefined;
}

const MOST = 2 ** 31 - 1;

/** None; secrets that the server can open; those that it cannot. The column `use_secrets` says which a job has. */
export type SecretNeeds = readonly (0 | 1 | 2)[];

/** The most that a job may have asked for; one that asked for nothing fits everywhere. */
export interface Room {
  seconds: number;
  megabytes: number;
  cores: number;
}

/** Of a pilot that says nothing: more than any job may ask for. */
export const ANY_ROOM: Room = { seconds: MOST, megabytes: MOST, cores: MOST };

/** A job that was just taken. */
export interface TakenJob {
  id: number;
  task_id: number;
  owner_id: string;
  serial: number;
  queue: string | null;
  attempt: number;
  use_secrets: number;
  max_attempts: number;
}

/** A pilot may have the jobs of the first one, two or three needs. */
export const NEEDS: readonly SecretNeeds[] = [[0], [0, 1], [0, 1, 2]];
const ALL: SecretNeeds = [0, 1, 2];

/** Jobs that another transaction is taking at this moment are passed over: so many are looked at besides. */
const PASSED_OVER = 16;
/** Of an owner's jobs, so many are looked at for one that fits: the time does not grow with how many wait. */
const LOOKED_FOR_ROOM = 500;

/**
 * The jobs for a pilot are those of its queue and those for any: each is a range of the index `jobs_waiting`. `state` is written out, not
 * bound, so that the databases see that this index answers it, and each order names the columns of the index from its first on: a
 * column that is null is no constant to PostgreSQL.
 */
export function placesFor({ queue, anyQueue }: Place): RawBuilder<unknown>[] {
  return [
    sql`state = 'activated' and queue = ${queue}`,
    sql`state = 'activated' and queue is null and ${anyQueue} = 1`,
  ];
}

export type Place = Pick<Wanted, 'queue' | 'anyQueue'>;

/** Such ranges further divided by the need of secrets. */
function listsFor(where: Place, secrets: SecretNeeds): RawBuilder<unknown>[] {
  return placesFor(where).flatMap((place) => secrets.map((use) => sql`${place} and use_secrets = ${sql.lit(use)}`));
}

const anyBy = NEEDS.map((secrets) =>
  prepared<Place, { one: number }>((db, arg) => {
    const lists = listsFor({ queue: arg('queue'), anyQueue: arg('anyQueue') }, secrets);
    const ones = lists.map((list) => sql`select one from (select 1 as one from jobs where ${list} limit 1) list`);
    return { compile: () => sql<{ one: number }>`${sql.join(ones, sql` union all `)} limit 1`.compile(db) };
  }),
);

/** True while a job waits for such a pilot. */
export async function isAnyWaiting(db: Database, { queue, anyQueue, secrets }: Wanted): Promise<boolean> {
  const find = anyBy[secrets.length - 1] as (typeof anyBy)[0];
  return (await find(db, { queue, anyQueue })).length > 0;
}

type TakeArguments = {
  queue: string;
  anyQueue: 0 | 1;
  owner: string;
  limit: number;
  looked: number;
  now: number;
  skipLocked: true | undefined;
} & Room;

function takeQuery(
  db: Database,
  arg: <K extends keyof TakeArguments>(name: K) => TakeArguments[K],
  secrets: SecretNeeds,
  isLimited: boolean,
) {
  const lists = listsFor({ queue: arg('queue'), anyQueue: arg('anyQueue') }, secrets).map((list) => {
    const some = sql`(select id, task_id from jobs where ${list} and owner_id = ${arg('owner')}
      order by queue, owner_id, use_secrets, id limit ${arg('looked')}) list`;
    return isLimited
      ? sql`select list.id from ${some} join tasks on tasks.id = list.task_id where ${fits(arg)}`
      : sql`select id from ${some}`;
  });
  return sql<TakenJob>`
    with oldest as (
      select id from jobs where state = 'activated' and id in (${sql.join(lists, sql` union all `)})
      order by id limit ${arg('limit')} ${arg('skipLocked') === undefined ? sql`` : sql`for update skip locked`})
    update jobs set state = 'sent', attempt = attempt + 1, modified_at = ${arg('now')}
    where id in (select id from oldest) and state = 'activated'
    returning id, task_id, owner_id, serial, queue, attempt, use_secrets, max_attempts`.compile(db);
}

/** What each job of a task asked for. */
function fits(arg: <K extends keyof Room>(name: K) => number): RawBuilder<unknown> {
  return sql`tasks.walltime_seconds <= ${arg('seconds')} and tasks.memory_mb <= ${arg('megabytes')}
    and tasks.cores <= ${arg('cores')}`;
}

const [takeBy, takeFittingBy] = [false, true].map((isLimited) =>
  NEEDS.map((secrets) =>
    prepared<TakeArguments, TakenJob>((db, arg) => ({ compile: () => takeQuery(db, arg, secrets, isLimited) })),
  ),
) as [Take[], Take[]];

type Take = (db: Database, values: TakeArguments) => Promise<TakenJob[]>;

/**
 * Takes an owner's oldest waiting jobs for their next attempt. Of two pilots that ask at the same moment, each job goes to one:
 * PostgreSQL passes over rows that another transaction is taking (`skipLocked`), SQLite runs one writing transaction at a time.
 */
export async function takeJobsOf(
  db: Database,
  owner: string,
  { queue, anyQueue, secrets, room = ANY_ROOM }: Wanted,
  { limit, now, skipLocked }: { limit: number; now: number; skipLocked: true | undefined },
): Promise<TakenJob[]> {
  const isLimited = room !== ANY_ROOM;
  const looked = limit + (skipLocked ? PASSED_OVER : 0) + (isLimited ? LOOKED_FOR_ROOM : 0);
  const take = (isLimited ? takeFittingBy : takeBy)[secrets.length - 1] as Take;
  return take(db, { queue, anyQueue, owner, limit, looked, now, skipLocked, ...room });
}

/** As {@link takeJobsOf}, of one task. */
export const takeJobsOfTask = prepared<
  {
    queue: string;
    anyQueue: 0 | 1;
    taskId: number;
    /** The greatest of the needs that it may have. */
    mostSecrets: number;
    limit: number;
    now: number;
    skipLocked: true | undefined;
  } & Room,
  TakenJob
>((db, arg) => ({
  compile: () =>
    sql<TakenJob>`
    with oldest as (
      select id from jobs where state = 'activated' and task_id = ${arg('taskId')}
        and (queue = ${arg('queue')} or (queue is null and ${arg('anyQueue')} = 1))
        and use_secrets <= ${arg('mostSecrets')}
        and exists (select 1 from tasks where tasks.id = jobs.task_id and ${fits(arg)})
      order by id limit ${arg('limit')} ${arg('skipLocked') === undefined ? sql`` : sql`for update skip locked`})
    update jobs set state = 'sent', attempt = attempt + 1, modified_at = ${arg('now')}
    where id in (select id from oldest) and state = 'activated'
    returning id, task_id, owner_id, serial, queue, attempt, use_secrets, max_attempts`.compile(db),
}));

/** Jobs that wait for a pilot of a queue: counted up to `limit`, or those alone that get secrets. */
export async function countWaiting(
  db: Database,
  where: Pick<Wanted, 'queue' | 'anyQueue'>,
  limit: number,
  secrets: SecretNeeds = ALL,
): Promise<number> {
  const lists = listsFor(where, secrets).map(
    (list) => sql`select 1 as one from (select id from jobs where ${list} limit ${limit}) list`,
  );
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (select one from (${sql.join(lists, sql` union all `)}) every limit ${limit}) waiting`.execute(
    db,
  );
  return rows[0]?.count ?? 0;
}

/** The needs of jobs that wait, each in the units of `JobTemplate`, and how many there are of each kind. */
export type WaitingJobs<C extends TaskKind> = Pick<Selectable<Schema['tasks']>, C> & { jobs: number };

/** The columns of tasks by which jobs are told apart. */
type TaskKind = 'cores' | 'memory_mb' | 'walltime_seconds' | 'source_label';

/** Jobs that wait for a pilot of a queue, counted up to `limit`, by columns of their tasks: at most `MAX_KINDS_SHOWN` kinds, the most frequent first. */
export async function countWaitingBy<C extends TaskKind>(
  db: Database,
  columns: readonly C[],
  where: Pick<Wanted, 'queue' | 'anyQueue'>,
  limit: number,
): Promise<WaitingJobs<C>[]> {
  const lists = listsFor(where, ALL).map(
    (list) => sql`select task_id from (select task_id from jobs where ${list} limit ${limit}) list`,
  );
  const kind = sql.join(columns.map((column) => sql.ref(`tasks.${column}`)));
  const { rows } = await sql<WaitingJobs<C>>`
    select ${kind}, sum(waiting.jobs) as jobs
    from (select task_id, count(*) as jobs
      from (select task_id from (${sql.join(lists, sql` union all `)}) every limit ${limit}) one group by task_id) waiting
    join tasks on tasks.id = waiting.task_id
    group by ${kind} order by jobs desc, ${kind} limit ${MAX_KINDS_SHOWN}`.execute(db);
  return rows.map((row) => ({ ...row, jobs: Number(row.jobs) }));
}
