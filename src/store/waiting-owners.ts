import { type RawBuilder, sql } from 'kysely';
import { prepared } from './prepared.ts';
import type { Database } from './store.ts';
import { NEEDS, type Place, placesFor, type Wanted } from './waiting-jobs.ts';

/*
 * Owners with waiting jobs, in the order of their turns: `waiting_owners` has a row for each owner, queue and need of secrets that a job waits
 * with. Finding the next owner among the jobs themselves takes the longer the more owners wait. A row may be there although none of its jobs
 * waits any more: who finds that out removes it.
 */

/** The queue, in `waiting_owners` and `queue_turns`, of jobs that name none. */
const ANY = sql.lit('');

/** Where the turn of an owner stands, and that of one who begins to wait. */
const turnOf = (queue: RawBuilder<unknown>, owner: RawBuilder<unknown>) =>
  sql`coalesce((select turn from queue_turns where queue_turns.queue = ${queue} and queue_turns.owner_id = ${owner}), 0)`;

type Which = { taskId: number } | { jobId: number };

function noteQuery(db: Database, which: RawBuilder<unknown>) {
  // All jobs of a task wait for the same queue with the same needs. `changes` tells a transaction that removes the row of this one.
  return sql<never>`
    insert into waiting_owners (owner_id, queue, use_secrets, turn, changes)
    select owner_id, coalesce(queue, ${ANY}), use_secrets, ${turnOf(sql`coalesce(jobs.queue, ${ANY})`, sql`jobs.owner_id`)}, 0
    from jobs where ${which} and state = 'activated' limit 1
    on conflict (owner_id, queue, use_secrets) do update set changes = waiting_owners.changes + 1`.compile(db);
}

const noteTask = prepared<{ taskId: number }, never>((db, arg) => ({
  compile: () => noteQuery(db, sql`task_id = ${arg('taskId')}`),
}));
const noteJob = prepared<{ jobId: number }, never>((db, arg) => ({
  compile: () => noteQuery(db, sql`id = ${arg('jobId')}`),
}));

/** Notes whose jobs wait, after some of a task's, or one job, were given the state `activated`; nothing where they were not. */
export async function noteWaiting(db: Database, which: Which): Promise<void> {
  await ('taskId' in which ? noteTask(db, which) : noteJob(db, which));
}

/** Notes all whose jobs wait: those of a queue and of any, or of every queue. For jobs that a server of an earlier release let wait. */
export async function noteAllWaiting(db: Database, where?: Place): Promise<void> {
  const places = where
    ? sql.join(
        placesFor(where).map((place) => sql`(${place})`),
        sql` or `,
      )
    : sql`state = 'activated'`;
  await sql`
    insert into waiting_owners (owner_id, queue, use_secrets, turn, changes)
    select owner_id, queue, use_secrets, ${turnOf(sql`waiting.queue`, sql`waiting.owner_id`)}, 0
    from (select owner_id, coalesce(queue, ${ANY}) as queue, use_secrets from jobs where ${places}
      group by owner_id, coalesce(queue, ${ANY}), use_secrets) waiting
    where true
    on conflict (owner_id, queue, use_secrets) do nothing`.execute(db);
}

type OwnersArguments = { queue: string; limit: number };

/** The first of each list together have the first of all. */
function ownersQuery(
  db: Database,
  arg: <K extends keyof OwnersArguments>(name: K) => OwnersArguments[K],
  { secrets, anyQueue }: Pick<Wanted, 'secrets' | 'anyQueue'>,
) {
  const queues = anyQueue === 1 ? [sql`${arg('queue')}`, ANY] : [sql`${arg('queue')}`];
  const lists = queues.flatMap((queue) =>
    secrets.map(
      (need) => sql`select owner_id, turn from (
        select owner_id, turn from waiting_owners where queue = ${queue} and use_secrets = ${sql.lit(need)}
        order by turn, owner_id limit ${arg('limit')}) list`,
    ),
  );
  return sql<{ owner_id: string }>`
    select owner_id from (${sql.join(lists, sql` union all `)}) waiting
    group by owner_id order by min(turn), owner_id limit ${arg('limit')}`.compile(db);
}

const ownersBy = ([0, 1] as const).map((anyQueue) =>
  NEEDS.map((secrets) =>
    prepared<OwnersArguments, { owner_id: string }>((db, arg) => ({
      compile: () => ownersQuery(db, arg, { secrets, anyQueue }),
    })),
  ),
);

/**
 * At most `limit` owners with waiting jobs for such a pilot: the one first whose turn in its queue, or at jobs for any queue, was longest ago, or
 * never. The time does not depend on how many wait.
 */
export async function ownersInTurn(
  db: Database,
  { queue, anyQueue, secrets }: Pick<Wanted, 'queue' | 'anyQueue' | 'secrets'>,
  limit: number,
): Promise<string[]> {
  const find = ownersBy[anyQueue]?.[secrets.length - 1] as (typeof ownersBy)[0][0];
  return (await find(db, { queue, limit })).map(({ owner_id }) => owner_id);
}

/**
 * Puts an owner behind all others of a queue, and of the jobs for any queue. Last in its transaction: pilots that give the same owner a turn
 * wait for each other here.
 */
export async function noteTurn(db: Database, turn: { queue: string; owner: string }): Promise<void> {
  await moveTurn(db, turn);
  await moveRows(db, turn);
}

const moveTurn = prepared<{ queue: string; owner: string }, never>((db, arg) => ({
  compile: () =>
    sql<never>`
    insert into queue_turns (queue, owner_id, turn)
    select queue, cast(${arg('owner')} as text), (select coalesce(max(turn), 0) + 1 from (
      select max(turn) as turn from queue_turns where queue = ${arg('queue')}
      union all select max(turn) from queue_turns where queue = ${ANY}) last)
    from (select cast(${arg('queue')} as text) as queue union all select ${ANY}) places where true
    on conflict (queue, owner_id) do update set turn = excluded.turn`.compile(db),
}));

const moveRows = prepared<{ queue: string; owner: string }, never>((db, arg) => ({
  compile: () =>
    sql<never>`
    update waiting_owners
    set turn = (select turn from queue_turns where queue = ${arg('queue')} and owner_id = ${arg('owner')})
    where owner_id = ${arg('owner')} and queue in (${arg('queue')}, ${ANY})`.compile(db),
}));

/**
 * Removes the rows of an owner of whom no such job waits any more. A transaction that lets one wait at the same moment has changed the row, or
 * makes it anew: PostgreSQL looks at the row once more after it waited for the other one, but at the jobs as they were.
 */
export const forgetIdle = prepared<{ queue: string; owner: string }, never>((db, arg) => {
  const idle = (queue: RawBuilder<unknown>) => sql`not exists (select 1 from jobs
    where state = 'activated' and ${queue} and jobs.owner_id = one.owner_id and jobs.use_secrets = one.use_secrets)`;
  return {
    compile: () =>
      sql<never>`
    delete from waiting_owners
    where owner_id = ${arg('owner')} and queue in (${arg('queue')}, ${ANY}) and (queue, use_secrets, changes) in (
      select one.queue, one.use_secrets, one.changes from waiting_owners one
      where one.owner_id = ${arg('owner')} and one.queue = ${arg('queue')} and ${idle(sql`jobs.queue = one.queue`)}
      union all
      select one.queue, one.use_secrets, one.changes from waiting_owners one
      where one.owner_id = ${arg('owner')} and one.queue = ${ANY} and ${idle(sql`jobs.queue is null`)})`.compile(db),
  };
});
