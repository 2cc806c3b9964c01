import type { Selectable } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

const ONE = 1;

/** The wrapped key of the installation that this database belongs to; undefined before its first start. */
export function findInstallationKey(db: Database): Promise<Selectable<Schema['installation_keys']> | undefined> {
  return db.selectFrom('installation_keys').selectAll().where('slot', '=', ONE).executeTakeFirst();
}

/** Keeps the key unless there is one. Of several servers that make the first one at the same moment, one is told true. */
export async function insertInstallationKey(
  db: Database,
  key: { id: string; root_key_id: string; wrapped_key: Uint8Array; created_at: number },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('installation_keys')
    .values({ ...key, slot: ONE })
    .onConflict((conflict) => conflict.column('slot').doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

/**
 * The root key that wraps the installation's key, and so is the active one: it stays that until this transaction ends. Undefined before
 * the first start.
 */
export async function lockActiveRootKey(db: Database): Promise<string | undefined> {
  const row = await db
    .updateTable('installation_keys')
    .set((set) => ({ slot: set.ref('slot') }))
    .where('slot', '=', ONE)
    .returning('root_key_id')
    .executeTakeFirst();
  return row?.root_key_id;
}

/** Tells a database that was used before, whose rows carry no tags, from a new one. */
export async function anyOwnerOrAccount(db: Database): Promise<boolean> {
  const owner = await db.selectFrom('owners').select('id').limit(1).executeTakeFirst();
  return (
    owner !== undefined || (await db.selectFrom('accounts').select('name').limit(1).executeTakeFirst()) !== undefined
  );
}

/** The signing keys as they are sealed, and how often they were changed; undefined before the first ones are made. */
export function findSigningKeys(db: Database) {
  return db.selectFrom('signing_keys').select(['revision', 'sealed']).where('slot', '=', ONE).executeTakeFirst();
}

/** The same, locked until the transaction ends: of two changes at once none is lost. */
export function lockSigningKeys(db: Database) {
  return db
    .updateTable('signing_keys')
    .set((set) => ({ revision: set.ref('revision') }))
    .where('slot', '=', ONE)
    .returning(['revision', 'sealed'])
    .executeTakeFirst();
}

/** Keeps the first signing keys, unless there are some. */
export async function insertSigningKeys(db: Database, keys: { revision: number; sealed: Uint8Array }): Promise<void> {
  await db
    .insertInto('signing_keys')
    .values({ ...keys, slot: ONE })
    .onConflict((conflict) => conflict.column('slot').doNothing())
    .execute();
}

/** Replaces the signing keys, which this transaction has locked. */
export async function updateSigningKeys(db: Database, keys: { revision: number; sealed: Uint8Array }): Promise<void> {
  await db.updateTable('signing_keys').set(keys).where('slot', '=', ONE).execute();
}
