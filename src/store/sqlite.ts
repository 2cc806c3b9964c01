import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite';
import { Kysely } from 'kysely';
import { Misconfigured } from '../protocol/errors.ts';
import { isFullDisk } from '../protocol/full-disk.ts';
import { KEPT_FREE_PAGES, KEPT_WAL_BYTES, MAX_REWRITTEN_BYTES, RECLAIMED_PAGES } from '../protocol/limits.ts';
import { groupCommit, type WriteTurn } from './group-commit.ts';
import type { ColumnTypes } from './migrations.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';
import type { Schema } from './schema.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { migrate, type OnCommit, type Store } from './store.ts';

/** The longest that a statement waits for another process (an administration command, say) that writes. */
const BUSY_MILLISECONDS = 10_000;

/** @internal */
export const SQLITE_TYPES: ColumnTypes = {
  bytes: 'blob',
  int: 'integer',
  identity: 'integer primary key autoincrement',
  startIdsAt: (table, first) => `insert into sqlite_sequence (name, seq) values ('${table}', ${first - 1})`,
};

/**
 * Opens the SQLite database at `path`, made with mode 0600 when it is not there, at this release's tables.
 * A full disk is met with the room of `reserve`. Two connections: one that writes, and one that only reads and so never sees what is not committed.
 *
 * @throws {Misconfigured} when the file cannot be used, and when its tables are newer than this release or cannot be migrated
 */
export async function openSqlite(
  path: string,
  reserve: Reserve = NO_RESERVE,
  { onCommit, turn }: { onCommit?: OnCommit | undefined; turn?: WriteTurn | undefined } = {},
): Promise<Store> {
  const options = { enableForeignKeyConstraints: true, timeout: BUSY_MILLISECONDS };
  const writing = openFile(path, options, reserve);
  const writer = new Kysely<Schema>({ dialect: sqliteDialect(writing) });
  try {
    await migrate(writer, SQLITE_TYPES);
    makeShrinkable(writing);
    keepUndoInMemory(writing);
  } catch (error) {
    await writer.destroy();
    throw error;
  }
  const db = new Kysely<Schema>({
    dialect: sqliteDialect(new DatabaseSync(path, { ...options, readOnly: true })),
  });
  const commits = groupCommit(writer, writing, { reserve, onCommit, turn });

  return {
    skipLocked: undefined,
    db,
    probes: db,
    write: commits.write,
    grow: commits.grow,
    reclaim: () => commits.write(async () => reclaim(writing)),
    async close() {
      await commits.drained();
      await db.destroy();
      await writer.destroy();
    },
  };
}

/** A part small enough that those who wait for the transaction notice nothing. */
function reclaim(database: DatabaseSync): boolean {
  const spare = pragma(database, 'freelist_count') - KEPT_FREE_PAGES;
  if (spare <= 0 || pragma(database, 'auto_vacuum') !== INCREMENTAL) return false;
  // A prepared statement would end after its first page.
  database.exec(`pragma incremental_vacuum(${Math.min(spare, RECLAIMED_PAGES)})`);
  return spare > RECLAIMED_PAGES;
}

function pragma(database: DatabaseSync, name: string): number {
  return Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0] as number;
}

/** SQLite's number of it. */
const INCREMENTAL = 2;

/**
 * Rewrites a database of an earlier release, which could not shrink, where that is soon done; a larger one stays as it is until its operator
 * does it. One that another process uses is left to the next start.
 */
function makeShrinkable(database: DatabaseSync): void {
  if (pragma(database, 'auto_vacuum') === INCREMENTAL) return;
  if (pragma(database, 'page_count') * pragma(database, 'page_size') > MAX_REWRITTEN_BYTES) return;
  try {
    database.exec('pragma auto_vacuum = incremental; vacuum');
  } catch (error) {
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY && !isFullDisk(error)) throw error;
  }
}

const SQLITE_BUSY = 5;

/**
 * A page that is changed behind a savepoint is copied first: by default into a file that is made for each transaction. Set last, as a
 * migration or a rewrite of the whole file would have its copies in memory too.
 */
function keepUndoInMemory(database: DatabaseSync): void {
  database.exec('pragma temp_store = memory');
}

function openFile(path: string, options: DatabaseSyncOptions, reserve: Reserve): DatabaseSync {
  try {
    closeSync(openSync(path, 'a', 0o600)); // SQLite gives its -wal and -shm files the mode of the main one.
    const database = new DatabaseSync(path, options);
    // Before the first table is made, or it has no effect. Where it is so already SQLite writes it once more, for which a full disk has no room.
    if (pragma(database, 'auto_vacuum') !== INCREMENTAL) database.exec('pragma auto_vacuum = incremental');
    database.exec(
      `pragma journal_mode = wal; pragma journal_size_limit = ${KEPT_WAL_BYTES}; pragma synchronous = full; pragma secure_delete = on`,
    );
    return database;
  } catch (error) {
    if (isFullDisk(error) && reserve.giveUp()) return openFile(path, options, reserve);
    const { code, errstr } = error as NodeJS.ErrnoException & { errstr?: string };
    throw new Misconfigured(
      `the database ${path} cannot be used (${errstr ?? code}): is it of this user, and did anything but panda-secrets write it?`,
    );
  }
}
