import { type Selectable, sql } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database, Store } from './store.ts';

/** Tables whose rows carry a tag. */
export type TaggedTable = {
  [T in keyof Schema]: 'tag' extends keyof Schema[T] ? T : never;
}[keyof Schema];

/**
 * All rows that say who gets what, with the columns that the tag of each covers: those that find the row, and those that decide.
 * Columns that a later migration added stand in `later`: null in the rows of before, and covered where they are not, so that the
 * tags of before hold.
 * Columns that may change without a word to the room that owns the table (states, leases, times, what is for show) are not among them.
 * The compiler asks for an entry of every table that has a `tag`. The other rows that decide hold a key which a root key wrapped
 * for their place (`WRAPPED_KEY_COLUMNS`), or are ciphertext as a whole (`provider_records`, `signing_keys`, `secrets`).
 */
export const TAGGED_COLUMNS = {
  owners: { key: ['id'], decides: ['issuer', 'subject', 'blocked', 'tokens_from'] },
  accounts: {
    key: ['name'],
    decides: ['subject', 'display_name', 'disabled', 'operator', 'claimed', 'password_hash', 'tokens_from'],
  },
  launchers: { key: ['id'], decides: ['name', 'queues', 'created_at', 'tokens_from'] },
  password_links: { key: ['token_hash'], decides: ['subject', 'expires_at', 'unclaimed_only'] },
  queues: { key: ['name'], decides: ['allow_tls_secrets'], later: ['state', 'tls_secrets_since'] },
  sandboxes: { key: ['name'], decides: ['owner_id', 'sha256', 'size', 'checksum'] },
  tasks: {
    key: ['id'],
    decides: ['owner_id', 'name', 'queue', 'use_secrets', 'secret_ids', 'parameters', 'job_count'],
  },
  attempts: { key: ['job_id', 'attempt'], decides: ['task_id', 'owner_id', 'queue', 'pilot_id'] },
  audit_stones: { key: ['chain'], decides: ['seq', 'hash', 'cut_at'] },
  job_files: { key: ['job_id', 'attempt', 'name'], decides: ['kind', 'sha256', 'location', 'size'] },
} as const satisfies {
  [T in TaggedTable]: {
    key: readonly (keyof Schema[T])[];
    decides: readonly (keyof Schema[T])[];
    later?: readonly (keyof Schema[T])[];
  };
};

/** The columns of a table that its tags cover, with their values. */
export type TaggedFields<T extends TaggedTable> = Pick<
  Selectable<Schema[T]>,
  ((typeof TAGGED_COLUMNS)[T]['key'][number] | (typeof TAGGED_COLUMNS)[T]['decides'][number] | LaterColumns<T>) &
    keyof Selectable<Schema[T]>
>;

type LaterColumns<T extends TaggedTable> = (typeof TAGGED_COLUMNS)[T] extends { later: readonly (infer C)[] }
  ? C
  : never;

/** Makes and checks tags of rows, under a key that is not in the database: `sealing/row-tags.ts`. */
export interface RowTags {
  /** The tag of a row with these fields. */
  of<T extends TaggedTable>(table: T, row: TaggedFields<T>): Uint8Array;
  /** Refuses a row that this software did not write. @throws {Tampered} naming the row */
  check<T extends TaggedTable>(table: T, row: TaggedFields<T> & { tag: Uint8Array | null }): void;
}

/** By the adapter, which a database has in common with its transactions. */
const tagsOfDatabases = new WeakMap<object, RowTags>();

/** From now on each row of {@link TAGGED_COLUMNS} that is read here is checked, and each that is written gets its tag. */
export async function useTags(store: Pick<Store, 'db' | 'write'>, tags: RowTags): Promise<void> {
  tagsOfDatabases.set(store.db.getExecutor().adapter, tags);
  await store.write(async (tx) => {
    tagsOfDatabases.set(tx.getExecutor().adapter, tags);
  });
}

/** For the functions of this room that read or write such rows: none of their callers can forget it. */
export function tagsOf(db: Database): RowTags {
  const tags = tagsOfDatabases.get(db.getExecutor().adapter);
  if (!tags) throw new Error('a row was read before the key that shows whether to believe it');
  return tags;
}

/** A row with its tag, as it is written. */
export function tagged<T extends TaggedTable, Row extends TaggedFields<T>>(
  db: Database,
  table: T,
  row: Row,
): Row & { tag: Uint8Array } {
  return { ...row, tag: tagsOf(db).of(table, row) };
}

/** The row as it was read. @throws {Tampered} */
export function checked<T extends TaggedTable, Row extends TaggedFields<T> & { tag: Uint8Array | null }>(
  db: Database,
  table: T,
  row: Row,
): Row {
  tagsOf(db).check(table, row);
  return row;
}

const ROWS_AT_ONCE = 500;

/**
 * Gives a tag to every row that has none: for the one transaction in which a database gets its installation key.
 *
 * @returns how many there were
 */
export async function tagAllRows(tx: Database, tags: RowTags): Promise<number> {
  let count = 0;
  for (const table of Object.keys(TAGGED_COLUMNS) as TaggedTable[]) count += await tagTable(tx, tags, table);
  return count;
}

async function tagTable<T extends TaggedTable>(tx: Database, tags: RowTags, table: T): Promise<number> {
  const { key } = TAGGED_COLUMNS[table];
  let count = 0;
  for (;;) {
    const { rows } = await sql<TaggedFields<T> & Record<string, unknown>>`
      select * from ${sql.table(table)} where tag is null limit ${ROWS_AT_ONCE}`.execute(tx);
    for (const row of rows) {
      const place = sql.join(
        key.map((column) => sql`${sql.ref(column)} = ${row[column]}`),
        sql` and `,
      );
      await sql`update ${sql.table(table)} set tag = ${tags.of(table, row)} where ${place}`.execute(tx);
    }
    count += rows.length;
    if (rows.length < ROWS_AT_ONCE) return count;
  }
}
