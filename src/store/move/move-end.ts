import type { Database } from '../store.ts';
import type { RowTags } from '../tagged-rows.ts';

export type Value = string | number | Uint8Array | null;
export type Row = Record<string, Value>;

/** A table as both ends have it. */
export interface Table {
  name: string;
  /** In the order in which rows are compared. */
  columns: readonly string[];
  /** The columns of its primary key. */
  key: readonly string[];
  /** True where the database counts its ids by itself. */
  counts: boolean;
}

/** One end of a move: a database, whichever it is, on a connection of its own and without the limits of a request. */
export interface MoveEnd {
  /** The tables, each behind those that its rows refer to. */
  tables(): Promise<Table[]>;
  /** Begins a transaction that sees one moment; nobody else writes until it ends. */
  hold(tables: readonly Table[]): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** A table's rows by their key, the same order at both ends, in parts of a bounded size. */
  rows(table: Table): AsyncIterable<Row[]>;
  insert(table: Table, rows: readonly Row[]): Promise<void>;
  /** Deletes all rows. */
  empty(tables: readonly Table[]): Promise<void>;
  count(table: Table): Promise<number>;
  /** The last id that it gave; 0 for none. */
  lastId(table: Table): Promise<number>;
  setLastId(table: Table, id: number): Promise<void>;
  marks(): Promise<string[]>;
  mark(name: string): Promise<void>;
  unmark(name: string): Promise<void>;
  /** For the functions of rooms that read; its rows are believed by these tags. */
  read(tags: RowTags): Promise<Database>;
  close(): Promise<void>;
}

/** The most that a part holds. */
export const PART_ROWS = 1000;
export const PART_BYTES = 4 * 2 ** 20;

export function bytesOf(row: Row): number {
  let bytes = 0;
  for (const value of Object.values(row)) bytes += typeof value === 'number' || value === null ? 8 : value.length;
  return bytes;
}
