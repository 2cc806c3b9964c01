import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { examine } from '../../src/site/doctor.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { readSettings } from '../../src/site/settings.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { emptiedBetween, filledBetween, insertDataSet, makeDataSet, type Row, type Rows } from './data-set.ts';
import {
  checkSecrets,
  checkTags,
  connect,
  emptySchema,
  MIGRATIONS,
  migrateTo,
  NEWEST,
  placeOf,
  rowsOf,
} from './raw-database.ts';
import { schemaOf } from './schema-dump.ts';

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
