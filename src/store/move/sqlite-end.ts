import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { Misconfigured } from '../../protocol/errors.ts';
import type { Schema } from '../schema.ts';
import { sqliteDialect } from '../sqlite-dialect.ts';
import { MIGRATIONS_TABLE } from '../store.ts';
import { useTags } from '../tagged-rows.ts';
import { bytesOf, type MoveEnd, PART_BYTES, PART_ROWS, type Row, type Table } from './move-end.ts';

/** The longest that it waits for a command that writes. */
const BUSY_MILLISECONDS = 10_000;
const BUSY = 5;

/** The SQLite database at `path`, which is there. */
export function sqliteEnd(path: string): MoveEnd {
  const database = new DatabaseSync(path, { timeout: BUSY_MILLISECONDS, enableForeignKeyConstraints: true });
  try {
    database.exec('pragma synchronous = full; pragma secure_delete = on');
  } catch (error) {
    database.close();
    throw error;
  }
  const inserts = new Map<string, StatementSync>();

  return {
    async tables() {
      const made = database
        .prepare(
          "select name, sql from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not like 'kysely_%' order by name",
        )
        .all();
      const found = made.map(({ name, sql }) => tableOf(database, String(name), String(sql)));
      return inOrder(found);
    },

    async hold() {
      try {
        database.exec('begin immediate');
      } catch (error) {
        if ((error as { errcode?: number }).errcode !== BUSY) throw error;
        throw new Misconfigured(
          `something else writes ${path}: stop the server and every command on it, and begin again`,
        );
      }
    },
    commit: async () => database.exec('commit'),
    async rollback() {
      if (database.isTransaction) database.exec('rollback');
    },

    async *rows({ name, columns, key }) {
      const statement = database.prepare(`select ${list(columns)} from "${name}" order by ${list(key)}`);
      let part: Row[] = [];
      let bytes = 0;
      for (const row of statement.iterate() as Iterable<Row>) {
        part.push(row);
        bytes += bytesOf(row);
        if (part.length < PART_ROWS && bytes < PART_BYTES) continue;
        yield part;
        part = [];
        bytes = 0;
      }
      if (part.length > 0) yield part;
    },

    async insert({ name, columns }, rows) {
      const known = inserts.get(name);
      const insert =
        known ??
        database.prepare(`insert into "${name}" (${list(columns)}) values (${columns.map(() => '?').join(', ')})`);
      inserts.set(name, insert);
      for (const row of rows) insert.run(...columns.map((column) => row[column] as SQLOutputValue));
    },

    async empty(tables) {
      for (const { name } of tables.toReversed()) database.exec(`delete from "${name}"`);
    },
    count: async ({ name }) => Number(database.prepare(`select count(*) as count from "${name}"`).get()?.['count']),

    async lastId({ name }) {
      return Number(database.prepare('select seq from sqlite_sequence where name = ?').get(name)?.['seq'] ?? 0);
    },
    async setLastId({ name }, id) {
      database.prepare('delete from sqlite_sequence where name = ?').run(name);
      database.prepare('insert into sqlite_sequence (name, seq) values (?, ?)').run(name, id);
    },

    async marks() {
      const there = database.prepare('select 1 from sqlite_schema where name = ?').get(MIGRATIONS_TABLE);
      if (!there) return [];
      const rows = database.prepare(`select name from ${MIGRATIONS_TABLE}`).all();
      return rows.map(({ name }) => String(name));
    },
    async mark(name) {
      database.prepare(`insert into ${MIGRATIONS_TABLE} (name, timestamp) values (?, ?)`).run(name, now());
    },
    async unmark(name) {
      database.prepare(`delete from ${MIGRATIONS_TABLE} where name = ?`).run(name);
    },

    async read(tags) {
      const db = new Kysely<Schema>({ dialect: sqliteDialect(database) });
      await useTags({ db, write: (work) => work(db as never) }, tags);
      return db;
    },
    close: async () => database.close(),
  };
}

function now(): string {
  return new Date().toISOString();
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function tableOf(database: DatabaseSync, name: string, sql: string) {
  const columns = database.prepare('select name, pk from pragma_table_info(?) order by name').all(name);
  const references = database.prepare('select "table" as name from pragma_foreign_key_list(?)').all(name);
  const key = columns.filter(({ pk }) => Number(pk) > 0).sort((a, b) => Number(a['pk']) - Number(b['pk']));
  return {
    name,
    columns: columns.map((column) => String(column['name'])),
    key: key.map((column) => String(column['name'])),
    counts: /\bautoincrement\b/i.test(sql),
    after: references.map((reference) => String(reference['name'])),
  };
}

/** Each behind those that it refers to. */
function inOrder(found: (Table & { after: string[] })[]): Table[] {
  const ordered = new Map<string, Table>();
  const add = ({ after, ...table }: Table & { after: string[] }) => {
    if (ordered.has(table.name)) return;
    for (const other of found) if (after.includes(other.name)) add(other);
    ordered.set(table.name, table);
  };
  for (const table of found) add(table);
  return [...ordered.values()];
}
