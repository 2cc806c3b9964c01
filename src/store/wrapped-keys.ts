import { type Selectable, sql, type Transaction } from 'kysely';
import { MissingRootKey } from '../protocol/errors.ts';
import { lockActiveRootKey } from './installation-keys.ts';
import type { Schema } from './schema.ts';
import type { Database, Store } from './store.ts';

/** The tables that hold keys which a root key wrapped: each such row names its root key. */
export type WrappedKeyTable = {
  [T in keyof Schema]: 'root_key_id' extends keyof Schema[T] ? T : never;
}[keyof Schema];

/** The column of each that holds the wrapped key. The compiler asks for one of every table that has a `root_key_id`. */
export const WRAPPED_KEY_COLUMNS = {
  data_keys: 'wrapped',
  installation_keys: 'wrapped_key',
  join_tokens: 'wrapped_key',
  pilots: 'wrapped_key',
} as const satisfies Record<WrappedKeyTable, string>;

/** A row of one of the tables: its wrapped key, and all that this is bound to. */
export type WrappedKeyRow<T extends WrappedKeyTable> = Selectable<Schema[T]> & { id: string; root_key_id: string };

/** Rows whose key another root key than `activeId` wrapped: the first `limit` by id after `after`. */
export async function findKeysOfOtherRootKeys<T extends WrappedKeyTable>(
  db: Database,
  table: T,
  { activeId, after, limit }: { activeId: string; after: string; limit: number },
): Promise<WrappedKeyRow<T>[]> {
  const { rows } = await sql<WrappedKeyRow<T>>`
    select * from ${sql.table(table)} where root_key_id <> ${activeId} and id > ${after} order by id limit ${limit}`.execute(
    db,
  );
  return rows;
}

/** One of the rows whose key a root key wrapped. */
export async function findKeyOfRootKey<T extends WrappedKeyTable>(
  db: Database,
  table: T,
  rootKeyId: string,
): Promise<WrappedKeyRow<T> | undefined> {
  const { rows } = await sql<WrappedKeyRow<T>>`
    select * from ${sql.table(table)} where root_key_id = ${rootKeyId} limit 1`.execute(db);
  return rows[0];
}

/** Replaces a wrapped key, unless its row went, or was wrapped anew, since it was read. @returns true when it did */
export async function replaceWrappedKey(
  db: Database,
  table: WrappedKeyTable,
  { id, from, to, wrapped }: { id: string; from: string; to: string; wrapped: Uint8Array },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update ${sql.table(table)} set root_key_id = ${to}, ${sql.ref(WRAPPED_KEY_COLUMNS[table])} = ${wrapped}
    where id = ${id} and root_key_id = ${from}`.execute(db);
  return numAffectedRows === 1n;
}

/** The count of keys that each root key wraps, table by table. */
export async function countWrappedKeys(
  db: Database,
): Promise<{ table: WrappedKeyTable; rootKeyId: string; count: number }[]> {
  const counts = [];
  for (const table of Object.keys(WRAPPED_KEY_COLUMNS) as WrappedKeyTable[]) {
    const { rows } = await sql<{ root_key_id: string; count: number }>`
      select root_key_id, count(*) as count from ${sql.table(table)} group by root_key_id`.execute(db);
    for (const row of rows) counts.push({ table, rootKeyId: row.root_key_id, count: Number(row.count) });
  }
  return counts;
}

/**
 * Wraps a key under the active root key and writes it: in a transaction that sees that it still is the active one, so that from the moment
 * another becomes active nothing is written under this one.
 *
 * @param how as the store's function of that name
 * @param wrap takes no lock, and may be called again
 * @throws {MissingRootKey} when this server has not got the key that is active now
 */
export async function keepWrapped<Key extends { readonly id: string }, Wrapped, T>(
  store: Store,
  how: 'write' | 'grow',
  rootKeys: { readonly active: Key; refresh(): Promise<void> },
  wrap: (active: Key) => Promise<Wrapped>,
  work: (tx: Transaction<Schema>, wrapped: Wrapped) => Promise<T>,
): Promise<T> {
  for (;;) {
    const { active } = rootKeys;
    const wrapped = await wrap(active);
    const done = await store[how](async (tx) => {
      // A database without an installation key, in tests alone, has no say.
      const activeId = (await lockActiveRootKey(tx)) ?? active.id;
      return activeId === active.id ? { result: await work(tx, wrapped) } : { activeId };
    });
    if ('result' in done) return done.result as T;
    await rootKeys.refresh();
    if (rootKeys.active.id === active.id) throw new MissingRootKey(done.activeId);
  }
}
