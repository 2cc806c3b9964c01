import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { parseWireName } from '../../src/protocol/names.ts';
import type { Installation } from '../../src/site/installation.ts';
import { migrationProvider } from '../../src/store/migrations.ts';
import { POSTGRES_TYPES } from '../../src/store/postgres.ts';
import { SQLITE_TYPES } from '../../src/store/sqlite.ts';
import { sqliteDialect } from '../../src/store/sqlite-dialect.ts';
import type { Database } from '../../src/store/store.ts';
import { TAGGED_COLUMNS, type TaggedTable, tagsOf } from '../../src/store/tagged-rows.ts';
import { createVault } from '../../src/vault/vault.ts';
import type { TestDatabase } from '../stores.ts';
import { type DataSet, OWNER, type Row, type Rows } from './data-set.ts';

/** The names of all migrations, in order. */
export const MIGRATIONS = Object.keys(await migrationProvider(SQLITE_TYPES).getMigrations()).sort();
export const NEWEST = MIGRATIONS.at(-1) as string;

export function placeOf({ folder, url }: TestDatabase) {
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  return { data, settings: { data, ...(url !== undefined && { database: url }) } };
}

export function connect({ url }: TestDatabase, data: string): Kysely<unknown> {
  if (!url) return new Kysely({ dialect: sqliteDialect(openFile(join(data, 'panda.db'))) });
  const pool = new pg.Pool({ connectionString: url, types: NUMBERS });
  // The database is dropped at the test's end.
  pool.on('error', () => {});
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}

function openFile(path: string): DatabaseSync {
  const file = new DatabaseSync(path);
  chmodSync(path, 0o600);
  return file;
}

const INT8 = 20;
const NUMBERS = {
  getTypeParser: ((type: number) => (type === INT8 ? Number : pg.types.getTypeParser(type))) as never,
};

/** A run of the tests starts from a database at this release's tables. */
export async function emptySchema(db: Kysely<unknown>, { url }: TestDatabase): Promise<void> {
  if (!url) return;
  await sql`drop schema public cascade`.execute(db);
  await sql`create schema public`.execute(db);
}

export async function migrateTo(db: Kysely<unknown>, { url }: TestDatabase, release: string): Promise<void> {
  const provider = migrationProvider(url ? POSTGRES_TYPES : SQLITE_TYPES);
  const { error } = await new Migrator({ db, provider }).migrateTo(release);
  assert.equal(error, undefined);
}

export async function rowsOf(db: Kysely<unknown>, tables: readonly string[]): Promise<Rows> {
  const all: Rows = {};
  for (const table of tables) {
    const { rows } = await sql<Row>`select * from ${sql.table(table)}`.execute(db);
    all[table] = rows.map(plainRow).sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  }
  return all;
}

/** Bytes are the same from either database. */
function plainRow(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, value instanceof Uint8Array ? new Uint8Array(value) : value]),
  );
}

/** The columns that a row is found by come first in every table. */
function textOf(row: Row): string {
  return JSON.stringify(Object.values(row).slice(0, 3));
}

/** Each row that says who gets what is believed. */
export async function checkTags(db: Database): Promise<void> {
  const tags = tagsOf(db);
  for (const table of Object.keys(TAGGED_COLUMNS) as TaggedTable[]) {
    const { rows } = await sql<never>`select * from ${sql.table(table)}`.execute(db);
    for (const row of rows) tags.check(table, row);
  }
}

export async function checkSecrets({ store, rootKeys }: Installation, { secrets }: DataSet): Promise<void> {
  const vault = createVault({ store, rootKeys, clock: Date.now });
  const owner = OWNER as OwnerId;
  const opened = await vault.get(owner);
  const byName = (list: readonly { name: string; value: string }[]) =>
    list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.deepEqual(
    byName(opened.map(({ name, value }) => ({ name, value: value.reveal() }))),
    byName(secrets.map(({ name, value }) => ({ name, value }))),
  );
  for (const { name, value, versions } of secrets) {
    for (let version = 1; version < versions; version++) {
      const before = await vault.version(owner, parseWireName(name), version);
      assert.equal(before.value.reveal(), `${value}, before`);
    }
  }
}
