import assert from 'node:assert/strict';
import { constants, DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Kysely, sql } from 'kysely';
import { sqliteDialect } from '../../src/store/sqlite-dialect.ts';

test('a statement that was compiled runs with another limit without being compiled again', async (t) => {
  const database = new DatabaseSync(':memory:');
  const db = new Kysely<{ numbers: { n: number } }>({ dialect: sqliteDialect(database) });
  t.after(() => db.destroy());
  database.exec('create table numbers (n integer primary key); insert into numbers values (1), (2), (3), (4)');
  const built = (limit: number) => db.selectFrom('numbers').select('n').orderBy('n').limit(limit).offset(1).execute();
  const written = async (limit: number) =>
    (
      await sql<{
        n: number;
      }>`select n from (select n from numbers order by n limit ${limit}) few order by n limit ${9}`.execute(db)
    ).rows;
  const compiled = t.mock.fn(() => constants.SQLITE_OK);
  database.setAuthorizer(compiled); // Asked as SQLite compiles a statement.
  await built(1);
  await written(1);
  assert.ok(compiled.mock.callCount() > 0);
  compiled.mock.resetCalls();

  assert.deepEqual(
    (await built(2)).map(({ n }) => n),
    [2, 3],
  );
  assert.deepEqual(
    (await written(3)).map(({ n }) => n),
    [1, 2, 3],
  );

  assert.equal(compiled.mock.callCount(), 0);
});
