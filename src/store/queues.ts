import type { Selectable } from 'kysely';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, tagged } from './tagged-rows.ts';

type QueueRow = Selectable<Schema['queues']>;

/** Adds a queue, or changes it when it is there. */
export async function upsertQueue(
  db: Database,
  queue: { name: string; allow_tls_secrets: number; created_at: number },
): Promise<void> {
  const row = tagged(db, 'queues', queue);
  const { allow_tls_secrets, tag } = row;
  await db
    .insertInto('queues')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ allow_tls_secrets, tag }))
    .execute();
}

const findQueue = prepared<{ name: string }, QueueRow>((db, arg) =>
  db.selectFrom('queues').selectAll().where('name', '=', arg('name')),
);

/** @throws {Tampered} here and wherever a queue is read */
export async function readQueue(db: Database, name: string): Promise<QueueRow | undefined> {
  const [row] = await findQueue(db, { name });
  return row && checked(db, 'queues', row);
}

export async function readQueues(db: Database): Promise<QueueRow[]> {
  const rows = await db.selectFrom('queues').selectAll().orderBy('name').execute();
  return rows.map((row) => checked(db, 'queues', row));
}
