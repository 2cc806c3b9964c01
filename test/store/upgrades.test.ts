import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { parseWireName } from '../../src/protocol/names.ts';
import { examine } from '../../src/site/doctor.ts';
import { type Installation, openInstallation } from '../../src/site/installation.ts';
import { readSettings } from '../../src/site/settings.ts';
import { migrationProvider } from '../../src/store/migrations.ts';
import { POSTGRES_TYPES } from '../../src/store/postgres.ts';
import { SQLITE_TYPES } from '../../src/store/sqlite.ts';
import { sqliteDialect } from '../../src/store/sqlite-dialect.ts';
import type { Database } from '../../src/store/store.ts';
import { TAGGED_COLUMNS, type TaggedTable, tagsOf } from '../../src/store/tagged-rows.ts';
import { createVault } from '../../src/vault/vault.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import {
  type DataSet,
  emptiedBetween,
  filledBetween,
  insertDataSet,
  makeDataSet,
  OWNER,
  type Row,
  type Rows,
} from './data-set.ts';
import { schemaOf } from './schema-dump.ts';

const MIGRATIONS = Object.keys(await migrationProvider(SQLITE_TYPES).getMigrations()).sort();
const NEWEST = MIGRATIONS.at(-1) as string;

for (const release of MIGRATIONS) {
  eachStore(`a database of ${release} with data in it comes to this release whole`, async (_t, database) => {
    const { data, settings } = placeOf(database);
    const before = connect(database, data);
    const expected = await freshSchema(database, before);
    await migrateTo(before, database, release);
    const made = await makeDataSet(data, release, MIGRATIONS);
    await insertDataSet(before, made);
    const old = await rowsOf(before, Object.keys(made.rows));
    await before.destroy();

    const installation = await openInstallation(settings, { create: false, clock: Date.now });
    try {
      const { db } = installation.store;
      const now = await rowsOf(db as Kysely<unknown>, Object.keys(made.rows));
      compareRows(now, old, release);
      await checkFilled(now, release, join(database.folder, 'newest'));
      await checkTags(db);
      await checkSecrets(installation, made);
      assert.deepEqual(await schemaOf(db as Kysely<unknown>), expected);
    } finally {
      await installation.close();
    }
    const findings = await examine({ ...readSettings({}, { HOME: data }), ...settings }, { clock: Date.now });
    const wrong = findings.filter(({ check, state }) => state !== 'fine' && check !== 'disk' && check !== 'public url');
    assert.deepEqual(wrong, []);
  });
}

eachStore('the data set has a value in every column of every table', async (_t, database) => {
  const { data } = placeOf(database);
  const db = connect(database, data);
  await emptySchema(db, database);
  await migrateTo(db, database, NEWEST);
  await insertDataSet(db, await makeDataSet(data, NEWEST, MIGRATIONS));
  const tables = (await db.introspection.getTables()).filter(({ isView }) => !isView);
  assert.ok(tables.length > 30);
  for (const { name, columns } of tables) {
    const [rows = []] = Object.values(await rowsOf(db, [name]));
    for (const column of columns) {
      const isThere = rows.some((row) => row[column.name] !== null);
      assert.ok(isThere, `no row of test/store/data-set.ts has a value in ${name}.${column.name}: add one there`);
    }
  }
  await db.destroy();
});

function placeOf({ folder, url }: TestDatabase) {
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  return { data, settings: { data, ...(url !== undefined && { database: url }) } };
}

function connect({ url }: TestDatabase, data: string): Kysely<unknown> {
  const dialect = url
    ? new PostgresDialect({ pool: new pg.Pool({ connectionString: url, types: NUMBERS }) })
    : sqliteDialect(openFile(join(data, 'panda.db')));
  return new Kysely({ dialect });
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
async function emptySchema(db: Kysely<unknown>, { url }: TestDatabase): Promise<void> {
  if (!url) return;
  await sql`drop schema public cascade`.execute(db);
  await sql`create schema public`.execute(db);
}

async function migrateTo(db: Kysely<unknown>, { url }: TestDatabase, release: string): Promise<void> {
  const provider = migrationProvider(url ? POSTGRES_TYPES : SQLITE_TYPES);
  const { error } = await new Migrator({ db, provider }).migrateTo(release);
  assert.equal(error, undefined);
}

const fresh = new Map<string, unknown>();

/** The tables of a database that this release made. The database is empty afterwards. */
async function freshSchema(database: TestDatabase, db: Kysely<unknown>): Promise<unknown> {
  const kind = database.url ? 'postgresql' : 'sqlite';
  if (!fresh.has(kind)) {
    const folder = join(database.folder, 'fresh');
    mkdirSync(folder);
    const made = database.url ? db : connect(database, folder);
    await emptySchema(made, database);
    await migrateTo(made, database, NEWEST);
    fresh.set(kind, await schemaOf(made));
    if (made !== db) await made.destroy();
  }
  await emptySchema(db, database);
  return fresh.get(kind);
}

async function rowsOf(db: Kysely<unknown>, tables: readonly string[]): Promise<Rows> {
  const all: Rows = {};
  for (const table of tables) {
    const { rows } = await sql<Row>`select * from ${sql.table(table)}`.execute(db);
    all[table] = rows.map((row) => ({ ...row })).sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  }
  return all;
}

/** The columns that a row is found by come first in every table. */
function textOf(row: Row): string {
  return JSON.stringify(Object.values(row).slice(0, 3));
}

/** Every row of before is there, with every value that it had. */
function compareRows(now: Rows, old: Rows, release: string): void {
  for (const [table, rows] of Object.entries(old)) {
    if (emptiedBetween(release, NEWEST).includes(table)) {
      assert.deepEqual(now[table], []);
      continue;
    }
    assert.equal(now[table]?.length, rows.length, table);
    for (const [number, row] of rows.entries()) {
      const found = { ...now[table]?.[number] } as Row;
      for (const [column, value] of Object.entries(row)) {
        // The name that it had before the rule that names stay.
        const name = table === 'secrets' && column === 'kind' ? 'hashed_as' : column;
        assert.deepEqual(found[name], value, `${table}.${column}`);
      }
    }
  }
}

/** Columns that came later and follow from the others have the values that a data set of this release has. */
async function checkFilled(now: Rows, release: string, folder: string): Promise<void> {
  const { rows } = await makeDataSet(folder, NEWEST, MIGRATIONS);
  const values = (list: readonly Row[] = [], column: string) =>
    list.map((row) => row[column]).filter((value) => value !== null && value !== undefined);
  for (const place of filledBetween(release, NEWEST)) {
    const [table = '', column = ''] = place.split('.');
    assert.deepEqual(values(now[table], column), values(rows[table], column), place);
  }
}

/** Each row that says who gets what is believed. */
async function checkTags(db: Database): Promise<void> {
  const tags = tagsOf(db);
  for (const table of Object.keys(TAGGED_COLUMNS) as TaggedTable[]) {
    const { rows } = await sql<never>`select * from ${sql.table(table)}`.execute(db);
    for (const row of rows) tags.check(table, row);
  }
}

async function checkSecrets({ store, rootKeys }: Installation, { secrets }: DataSet): Promise<void> {
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
