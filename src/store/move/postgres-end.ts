import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { Misconfigured } from '../../protocol/errors.ts';
import { connectionOf, reach } from '../postgres.ts';
import { postgresAddress } from '../postgres-address.ts';
import type { Schema } from '../schema.ts';
import { MIGRATIONS_TABLE } from '../store.ts';
import { useTags } from '../tagged-rows.ts';
import { type MoveEnd, PART_BYTES, PART_ROWS, type Row, type Table } from './move-end.ts';

const INT8 = 20;
/** The longest that it waits for a command that writes. */
const LOCK_MILLISECONDS = 10_000;
/** PostgreSQL's codes for a lock that did not come in that time, and for a character that it keeps in no text. */
const LOCKED = '55P03';
const NO_TEXT = '22021';

/** The PostgreSQL database that `url` names. @throws {Misconfigured} when it cannot be reached */
export async function postgresEnd(url: string): Promise<MoveEnd> {
  const address = postgresAddress(url);
  await reach(address);
  const client = new pg.Client({ ...connectionOf(address), types: SAFE_NUMBERS });
  client.on('error', () => {});
  await client.connect();
  await client.query(`set lock_timeout = ${LOCK_MILLISECONDS}`);
  let pool: pg.Pool | undefined;
  const types = new Map<string, Map<string, string>>();

  async function ask(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await client.query(text, values)).rows;
  }

  /** Of a table's columns, as PostgreSQL names them. */
  async function typesOf(table: string): Promise<Map<string, string>> {
    const known = types.get(table);
    if (known) return known;
    const rows = await ask(
      `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
        where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attname`,
      [table],
    );
    const found = new Map(rows.map(({ name, type }) => [String(name), String(type)]));
    types.set(table, found);
    return found;
  }

  /** So many that the largest ones fit into a part. */
  async function rowsAtOnce(table: Table): Promise<number> {
    const wide = [...(await typesOf(table.name))].filter(([, type]) => type === 'text' || type === 'bytea');
    if (wide.length === 0) return PART_ROWS;
    const size = wide.map(([column]) => `coalesce(octet_length("${column}"), 0)`).join(' + ');
    const [row] = await ask(`select coalesce(max(${size}), 0) as size from "${table.name}"`);
    return Math.max(1, Math.min(PART_ROWS, Math.floor(PART_BYTES / (Number(row?.['size']) + 1))));
  }

  return {
    async tables() {
      const rows = await ask(
        `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
          and relname not like 'kysely_%' order by relname`,
      );
      const tables = [];
      for (const { name } of rows) {
        const columns = [...(await typesOf(String(name))).keys()];
        tables.push({ name: String(name), columns, key: [], counts: false });
      }
      return tables;
    },

    async hold(tables) {
      await client.query('begin isolation level repeatable read');
      const names = [...tables.map(({ name }) => name), MIGRATIONS_TABLE];
      try {
        await client.query(`lock table ${list(names)} in exclusive mode`);
      } catch (error) {
        if ((error as pg.DatabaseError).code !== LOCKED) throw error;
        throw new Misconfigured(
          `something else uses PostgreSQL at ${address.shown}: stop the servers and every command on it, and begin again`,
        );
      }
    },
    commit: async () => void (await client.query('commit')),
    rollback: async () => void (await client.query('rollback')),

    async *rows(table) {
      const { name, columns, key } = table;
      const has = await typesOf(name);
      // By bytes, as SQLite compares them.
      const order = key.map((column) => `"${column}"${has.get(column) === 'text' ? ' collate "C"' : ''}`).join(', ');
      const atOnce = await rowsAtOnce(table);
      await client.query(`declare moved no scroll cursor for select ${list(columns)} from "${name}" order by ${order}`);
      for (;;) {
        const part = await ask(`fetch ${atOnce} from moved`);
        if (part.length > 0) yield part;
        if (part.length < atOnce) break;
      }
      await client.query('close moved');
    },

    async insert({ name, columns, key }, rows) {
      const has = await typesOf(name);
      const lists = columns.map((column, place) => `$${place + 1}::${has.get(column)}[]`);
      const values = columns.map((column) => rows.map((row) => row[column]));
      try {
        await client.query(
          `insert into "${name}" (${list(columns)}) select * from unnest(${lists.join(', ')})`,
          values,
        );
      } catch (error) {
        const { code } = error as pg.DatabaseError;
        if (code === undefined) throw error;
        throw notTaken(name, key, rows, code);
      }
    },

    empty: async (tables) => void (await client.query(`truncate ${list(tables.map(({ name }) => name))}`)),
    count: async ({ name }) => Number((await ask(`select count(*) as count from "${name}"`))[0]?.['count']),

    async lastId({ name }) {
      const [named] = await ask("select pg_get_serial_sequence($1, 'id') as name", [name]);
      const [row] = await ask(`select last_value, is_called::int as called from ${named?.['name']}`);
      return Number(row?.['last_value']) - (row?.['called'] === 1 ? 0 : 1);
    },
    async setLastId({ name }, id) {
      await ask("select setval(pg_get_serial_sequence($1, 'id'), $2, $3)", [name, Math.max(1, id), id > 0]);
    },

    async marks() {
      const [there] = await ask('select to_regclass($1) is not null as found', [MIGRATIONS_TABLE]);
      if (!there?.['found']) return [];
      return (await ask(`select name from ${MIGRATIONS_TABLE}`)).map(({ name }) => String(name));
    },
    async mark(name) {
      await ask(`insert into ${MIGRATIONS_TABLE} (name, timestamp) values ($1, $2)`, [name, new Date().toISOString()]);
    },
    async unmark(name) {
      await ask(`delete from ${MIGRATIONS_TABLE} where name = $1`, [name]);
    },

    async read(tags) {
      pool = new pg.Pool({ ...connectionOf(address), types: SAFE_NUMBERS, max: 1 });
      pool.on('error', () => {});
      const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
      await useTags({ db, write: (work) => work(db as never) }, tags);
      return db;
    },
    async close() {
      await pool?.end();
      await client.end();
    },
  };
}

const SAFE_NUMBERS = {
  getTypeParser: ((type: number, format?: 'text' | 'binary') =>
    type === INT8 ? safeNumber : pg.types.getTypeParser(type, format as 'text')) as typeof pg.types.getTypeParser,
};

function safeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  throw new Misconfigured(`the database has the number ${text}, which this software does not write`);
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function notTaken(table: string, key: readonly string[], rows: readonly Row[], code: string): Misconfigured {
  const bad = code === NO_TEXT && rows.find((row) => Object.values(row).some((value) => `${value}`.includes('\0')));
  const shown = (row: Row | undefined) => key.map((column) => String(row?.[column])).join(', ');
  const which = bad ? `row ${shown(bad)}` : `a row from ${shown(rows[0])} to ${shown(rows.at(-1))}`;
  const why = bad ? 'a text of it has a NUL character' : code;
  return new Misconfigured(
    `PostgreSQL does not take ${which} of ${table} (${why}): nothing was moved. Mend or delete that row first`,
  );
}
