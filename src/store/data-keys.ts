import { sql } from 'kysely';
import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

export interface WrappedDataKey {
  id: string;
  root_key_id: string;
  wrapped: Uint8Array;
}

/** A literal, not bound: only that is recognised as the condition of the index `data_keys_active`. */
export const IS_ACTIVE = sql.lit(1);

/** The key that an owner's new values are encrypted under. */
export const findActiveDataKey = prepared<{ ownerId: string }, WrappedDataKey>((db, arg) =>
  db
    .selectFrom('data_keys')
    .select(['id', 'root_key_id', 'wrapped'])
    .where('owner_id', '=', arg('ownerId'))
    .where('active', '=', IS_ACTIVE),
);

/** One of an owner's keys; another owner's is not found. */
export const findDataKey = prepared<{ id: string; ownerId: string }, WrappedDataKey>((db, arg) =>
  db
    .selectFrom('data_keys')
    .select(['id', 'root_key_id', 'wrapped'])
    .where('id', '=', arg('id'))
    .where('owner_id', '=', arg('ownerId')),
);

/**
 * Keeps a new active key unless the owner has one: of several replicas that make the first one at the same moment, the
 * first wins and the others find its key afterwards.
 */
export async function insertFirstDataKey(db: Database, key: WrappedDataKey & { owner_id: string; created_at: number }) {
  await db
    .insertInto('data_keys')
    .values({ ...key, active: 1 })
    .onConflict((conflict) => conflict.column('owner_id').where('active', '=', IS_ACTIVE).doNothing())
    .execute();
}

/** Destroys an owner's data keys: what was encrypted under them, in a backup for instance, opens no more. */
export async function deleteDataKeys(db: Database, ownerId: string): Promise<void> {
  await db.deleteFrom('data_keys').where('owner_id', '=', ownerId).execute();
}

/** Tells if any owner has a key here. */
export async function anyDataKey(db: Database): Promise<boolean> {
  return (await db.selectFrom('data_keys').select('id').limit(1).executeTakeFirst()) !== undefined;
}

/** Owners whose active key was made before a time, by their ids: the first `limit` after `after`. */
export async function listOwnersOfOlderKeys(
  db: Database,
  { before, after, limit }: { before: number; after: string; limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('data_keys')
    .select('owner_id')
    .where('active', '=', IS_ACTIVE)
    .where('created_at', '<', before)
    .where('owner_id', '>', after)
    .orderBy('owner_id')
    .limit(limit)
    .execute();
  return rows.map(({ owner_id }) => owner_id);
}
