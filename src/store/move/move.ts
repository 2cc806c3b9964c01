import { createHash } from 'node:crypto';
import { Misconfigured, Tampered } from '../../protocol/errors.ts';
import { type RowTags, TAGGED_COLUMNS, type TaggedTable } from '../tagged-rows.ts';
import type { MoveEnd, Row, Table, Value } from './move-end.ts';

/** A table's rows as one end has them. */
export interface TableSum {
  table: string;
  rows: number;
  /** SHA-256 over every value of every row, in the order of their keys, hex. */
  sha256: string;
  /** The last id that the database gave, where it counts them. */
  lastId: number | undefined;
  /** Rows whose tag does not fit. */
  untrusted: number;
}

/** Told of each part: rows that were copied, or read back. */
export type Progress = (what: 'copied' | 'checked', rows: number) => void;

export interface Move {
  source: MoveEnd;
  target: MoveEnd;
  /** Of this move, on the target until its end. */
  mark: string;
  tags: RowTags;
  onProgress: Progress;
}

/**
 * Copies every row into an empty target in one transaction, and reads all back when that is durable. Killed at any moment, it left the source as it
 * was, and a target that is empty, or is marked so that nothing but another move of the same installation takes it.
 *
 * @param source is held, and stays so
 * @returns the sums of both ends, which are equal
 * @throws {Misconfigured} when the target is not empty, does not take a row, or has something else than was written
 */
export async function copyAll({ source, target, mark, tags, onProgress }: Move): Promise<TableSum[]> {
  const tables = await sameTables(source, target);
  const sums = await copy({ source, target, mark, tags, onProgress }, tables);
  await target.hold(tables);
  try {
    for (const [number, table] of tables.entries()) {
      const found = await sumOf(target, table, tags, (rows) => onProgress('checked', rows));
      const expected = sums[number];
      if (JSON.stringify(found) !== JSON.stringify(expected)) throw differs(table.name, expected, found);
    }
  } finally {
    await target.rollback();
  }
  return sums;
}

async function copy({ source, target, mark, tags, onProgress }: Move, tables: Table[]): Promise<TableSum[]> {
  await target.hold(tables);
  try {
    const marks = await target.marks();
    if (!marks.includes(mark)) {
      await refuseRows(target, tables);
      await target.mark(mark);
    }
    await target.empty(tables);
    const sums: TableSum[] = [];
    for (const table of tables) {
      const sum = await sumOf(
        source,
        table,
        tags,
        (rows) => onProgress('copied', rows),
        (rows) => target.insert(table, rows),
      );
      if (sum.lastId !== undefined) await target.setLastId(table, sum.lastId);
      sums.push(sum);
    }
    await target.commit();
    return sums;
  } catch (error) {
    await target.rollback().catch(() => {});
    throw error;
  }
}

/** Both ends are at this release's tables; SQLite is one of them, and says how they are keyed. */
async function sameTables(source: MoveEnd, target: MoveEnd): Promise<Table[]> {
  const [from, to] = [await source.tables(), await target.tables()];
  const names = (tables: readonly Table[]) =>
    JSON.stringify(tables.map(({ name, columns }) => [name, columns.toSorted()]).sort());
  if (names(from) !== names(to)) {
    throw new Misconfigured(
      'the two databases do not have the same tables: something else than this software made some of them',
    );
  }
  return from.some(({ key }) => key.length > 0) ? from : to;
}

/**
 * The tables of a database that nobody has used have one row: the head of the chain of the system, with nothing behind it.
 *
 * @throws {Misconfigured} when there is more
 */
export async function refuseRows(target: MoveEnd, tables: readonly Table[]): Promise<void> {
  for (const table of tables) {
    const count = await target.count(table);
    if (count <= (table.name === 'audit_heads' ? 1 : 0)) continue;
    throw new Misconfigured(
      `the target is not empty (${table.name} has ${count} rows): name an empty database, or put that one aside. Nothing was changed there`,
    );
  }
}

/** Reads a table to its end, and gives each part to `take`. */
async function sumOf(
  end: MoveEnd,
  table: Table,
  tags: RowTags,
  tell: (rows: number) => void,
  take?: (rows: readonly Row[]) => Promise<void>,
): Promise<TableSum> {
  const hash = createHash('sha256');
  const sum = { table: table.name, rows: 0, sha256: '', lastId: undefined as number | undefined, untrusted: 0 };
  for await (const part of end.rows(table)) {
    for (const row of part) {
      hash.update(`${JSON.stringify(table.columns.map((column) => plain(row[column] as Value)))}\n`);
      if (!isTrusted(tags, table.name, row)) sum.untrusted += 1;
    }
    await take?.(part);
    sum.rows += part.length;
    tell(part.length);
  }
  if (table.counts) sum.lastId = await end.lastId(table);
  sum.sha256 = hash.digest('hex');
  return sum;
}

/** Bytes, texts, numbers and nothing are told apart. */
function plain(value: Value): unknown {
  return value instanceof Uint8Array
    ? [Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')]
    : value;
}

function isTrusted(tags: RowTags, table: string, row: Row): boolean {
  if (!(table in TAGGED_COLUMNS)) return true;
  try {
    tags.check(table as TaggedTable, row as never);
    return true;
  } catch (error) {
    // A value of another kind than this software writes.
    if (error instanceof Tampered || error instanceof TypeError) return false;
    throw error;
  }
}

function differs(table: string, expected: TableSum | undefined, found: TableSum): Misconfigured {
  return new Misconfigured(
    `${table} is not in the target as it was written (${found.rows} rows of ${expected?.rows}): the move is not finished, and no server starts on ` +
      'the target. Look for what else writes there, and begin again',
  );
}
