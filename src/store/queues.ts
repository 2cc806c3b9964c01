import { type Selectable, sql } from 'kysely';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, tagged } from './tagged-rows.ts';

export type QueueRow = Selectable<Schema['queues']>;

/** Adds a queue. Of several that add one of the same name, one is told true. */
export async function insertQueue(db: Database, queue: Omit<QueueRow, 'tag'>): Promise<boolean> {
  return changesOneRow(
    db
      .insertInto('queues')
      .values(tagged(db, 'queues', queue))
      .onConflict((conflict) => conflict.column('name').doNothing()),
  );
}

/** Writes a queue that this transaction has locked. */
export async function updateQueue(db: Database, queue: Omit<QueueRow, 'tag'>): Promise<void> {
  const { name, allow_tls_secrets, state, tls_secrets_since, tag } = tagged(db, 'queues', queue);
  await db
    .updateTable('queues')
    .set({ allow_tls_secrets, state, tls_secrets_since, tag })
    .where('name', '=', name)
    .execute();
}

export async function deleteQueue(db: Database, name: string): Promise<void> {
  await db.deleteFrom('queues').where('name', '=', name).execute();
  await db.deleteFrom('queue_turns').where('queue', '=', name).execute();
  await db.deleteFrom('site_records').where('queue', '=', name).execute();
  await db.deleteFrom('worker_statistics').where('queue', '=', name).execute();
}

const findQueue = prepared<{ name: string }, QueueRow>((db, arg) =>
  db.selectFrom('queues').selectAll().where('name', '=', arg('name')),
);

/** @throws {Tampered} here and wherever a queue is read */
export async function readQueue(db: Database, name: string): Promise<QueueRow | undefined> {
  const [row] = await findQueue(db, { name });
  return row && checked(db, 'queues', row);
}

/** The queue, which no other transaction changes or holds until this one ends. */
export async function lockQueue(db: Database, name: string): Promise<QueueRow | undefined> {
  const row = await db
    .updateTable('queues')
    .set((set) => ({ created_at: set.ref('created_at') }))
    .where('name', '=', name)
    .returningAll()
    .executeTakeFirst();
  return row && checked(db, 'queues', row);
}

const findHeldQueue = prepared<{ name: string; share: true | undefined }, QueueRow>((db, arg) => ({
  compile: () =>
    sql<QueueRow>`select * from queues where name = ${arg('name')}
      ${arg('share') === undefined ? sql`` : sql`for share`}`.compile(db),
}));

/**
 * The queue, which no other transaction changes until this one ends; any number may hold it. So a queue is not removed while a
 * task for it is being made.
 *
 * @param share where several transactions write at a time (`Store.skipLocked`)
 */
export async function holdQueue(db: Database, name: string, share: true | undefined): Promise<QueueRow | undefined> {
  const [row] = await findHeldQueue(db, { name, share });
  return row && checked(db, 'queues', row);
}

export async function readQueues(db: Database): Promise<QueueRow[]> {
  const rows = await db.selectFrom('queues').selectAll().orderBy('name').execute();
  return rows.map((row) => checked(db, 'queues', row));
}

/** Tasks for a queue that have not ended. */
export async function countOpenTasks(db: Database, queue: string): Promise<number> {
  const { count } = await db
    .selectFrom('tasks')
    .where('ended_at', 'is', null)
    .where('queue', '=', queue)
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}
