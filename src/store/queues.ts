import type { Selectable } from 'kysely';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** Adds a queue, or changes it when it is there. */
export async function upsertQueue(
  db: Database,
  queue: { name: string; allow_tls_secrets: number; created_at: number },
): Promise<void> {
  await db
    .insertInto('queues')
    .values(queue)
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ allow_tls_secrets: queue.allow_tls_secrets }))
    .execute();
}

const findQueue = prepared<{ name: string }, Selectable<Schema['queues']>>((db, arg) =>
  db.selectFrom('queues').selectAll().where('name', '=', arg('name')),
);

export async function readQueue(db: Database, name: string) {
  return (await findQueue(db, { name }))[0];
}

export async function readQueues(db: Database) {
  return db.selectFrom('queues').selectAll().orderBy('name').execute();
}
