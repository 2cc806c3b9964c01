import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { type ColumnTypes, migrationProvider } from '../../src/store/migrations.ts';
import { POSTGRES_TYPES } from '../../src/store/postgres.ts';
import { SQLITE_TYPES } from '../../src/store/sqlite.ts';

type Frozen = Record<string, { sqlite: string; postgresql: string }>;

const FROZEN: Frozen = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'store', 'migrations.json'), 'utf8'),
);

/** Those after it leave what running servers of the release before use: docs/decisions/0036-migrations-only-add.md says why. */
const LAST_UNRULED = '0019-ended-batch-jobs';

test('no migration that is released has changed', async () => {
  const digests: Frozen = {};
  for (const [name, { sqlite, postgresql }] of Object.entries(await statementsOf())) {
    digests[name] = { sqlite: digestOf(sqlite), postgresql: digestOf(postgresql) };
  }
  for (const [name, frozen] of Object.entries(FROZEN)) {
    assert.deepEqual(
      digests[name],
      frozen,
      `the migration ${name} is changed, renamed or gone: databases have had it as it was, and none of them runs it again. ` +
        'Put it back, and make the change in a new migration behind the last one',
    );
  }
  const added = Object.keys(digests).filter((name) => !(name in FROZEN));
  assert.deepEqual(
    added,
    [],
    `freeze what is new: write into test/vectors/store/migrations.json ${JSON.stringify(Object.fromEntries(added.map((name) => [name, digests[name]])))}`,
  );
});

test('a migration only adds, so that servers of the release before go on', async () => {
  for (const [name, { sqlite, postgresql }] of Object.entries(await statementsOf())) {
    if (name <= LAST_UNRULED) continue;
    for (const statements of [sqlite, postgresql]) assert.deepEqual(thoseThatTakeAway(statements), [], name);
  }
});

test('what takes something from a running server is told from what adds', () => {
  const adds = [
    'create table t (id text primary key)',
    'create unique index t_x on t (x)',
    'create index old_x on old (x)',
    'alter table old add column x bigint',
    'alter table old add column y bigint not null default 0',
    'update old set x = 1',
    'select "id" from "old"',
  ];
  assert.deepEqual(thoseThatTakeAway(adds), []);
  const takes = [
    'drop table old',
    'drop index old_x',
    'alter table old rename column a to b',
    'alter table old drop column a',
    'alter table old alter column a type bigint',
    'alter table old add column z bigint not null',
    'alter table old add column o text references owners (id)',
    'alter table old add column u text unique',
    'create unique index old_u on old (u)',
    'delete from old',
  ];
  assert.deepEqual(thoseThatTakeAway(takes), takes);
});

const OWN_TABLE = /^(?:alter table|insert into|delete from|update) "?(\w+)/i;
const ADDS = [
  /^create table \w/i,
  /^create index \w/i,
  // Without a rule that rows of an older server could break.
  /^alter table \w+ add column \w+ (?:(?!not null|references|unique|check|primary).)*$/is,
  /^alter table \w+ add column \w+ \w+ not null default (?:(?!references|unique|check|primary).)*$/is,
  /^(?:update|select) /i,
];

/** Statements that a server of the release before might not survive, unless their table is made by the same migration. */
function thoseThatTakeAway(statements: readonly string[]): string[] {
  const made = new Set<string>();
  return statements.filter((statement) => {
    const [, table] = /^create table (\w+)/i.exec(statement) ?? [];
    if (table) made.add(table);
    const [, on = ''] = /^create unique index \w+ on (\w+)/i.exec(statement) ?? OWN_TABLE.exec(statement) ?? [];
    const [, counted = ''] = /^insert into sqlite_sequence .*'(\w+)'/is.exec(statement) ?? [];
    return !made.has(on) && !made.has(counted) && !ADDS.some((form) => form.test(statement.trim()));
  });
}

/** The statements of each migration, as they run on an empty database. */
async function statementsOf(): Promise<Record<string, { sqlite: string[]; postgresql: string[] }>> {
  const [sqlite, postgresql] = await Promise.all([SQLITE_TYPES, POSTGRES_TYPES].map(statementsFor));
  return Object.fromEntries(
    Object.entries(sqlite as Record<string, string[]>).map(([name, own]) => [
      name,
      { sqlite: own, postgresql: (postgresql as Record<string, string[]>)[name] as string[] },
    ]),
  );
}

async function statementsFor(types: ColumnTypes): Promise<Record<string, string[]>> {
  const ran: Record<string, string[]> = {};
  for (const [name, migration] of Object.entries(await migrationProvider(types).getMigrations())) {
    const statements: string[] = [];
    const db = new Kysely<unknown>({
      dialect: {
        createAdapter: () => new PostgresAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (of) => new PostgresIntrospector(of),
        createQueryCompiler: () => new PostgresQueryCompiler(),
      },
      log: ({ query }) => void statements.push(query.sql),
    });
    await migration.up(db);
    ran[name] = statements;
  }
  return ran;
}

/** Of the words: how a statement is broken into lines says nothing. */
function digestOf(statements: readonly string[]): string {
  const text = statements.map((statement) => statement.replaceAll(/\s+/g, ' ').trim()).join(';\n');
  return createHash('sha256').update(text).digest('hex');
}
