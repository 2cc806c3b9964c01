import { type Selectable, sql } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

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
