import { type Kysely, SqliteAdapter, sql } from 'kysely';

/** The tables, indexes and rules of a database as it describes them itself, in an order that does not depend on how they came. */
export async function schemaOf(db: Kysely<unknown>): Promise<Record<string, unknown>[]> {
  const rows = [];
  for (const dump of isSqlite(db) ? SQLITE : POSTGRES) rows.push(...(await dump.execute(db)).rows);
  return rows.map((row) => ({ ...row }));
}

export function isSqlite(db: Kysely<unknown>): boolean {
  return db.getExecutor().adapter instanceof SqliteAdapter;
}

type Dump = ReturnType<typeof sql<Record<string, unknown>>>;

const SQLITE: Dump[] = [
  sql`select type, name, tbl_name, sql from sqlite_schema where name not like 'sqlite_%' order by type, name`,
];

const POSTGRES: Dump[] = [
  sql`select table_name, column_name, ordinal_position, data_type, is_nullable, column_default, is_identity
    from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position`,
  sql`select indexname, indexdef from pg_indexes where schemaname = 'public' order by indexname`,
  sql`select conrelid::regclass::text as on_table, conname, pg_get_constraintdef(oid) as definition
    from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2`,
];
