import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite';
import { Kysely } from 'kysely';
import { Misconfigured } from '../protocol/errors.ts';
import { isFullDisk } from '../protocol/full-disk.ts';
import { groupCommit } from './group-commit.ts';
import type { ColumnTypes } from './migrations.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';
import type { Schema } from './schema.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { migrate, type Store } from './store.ts';

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
export async function openSqlite(path: string, reserve: Reserve = NO_RESERVE): Promise<Store> {
  const options = { enableForeignKeyConstraints: true, timeout: BUSY_MILLISECONDS };
  const writing = openFile(path, options, reserve);
  const writer = new Kysely<Schema>({ dialect: sqliteDialect(writing) });
  try {
    await migrate(writer, SQLITE_TYPES);
  } catch (error) {
    await writer.destroy();
    throw error;
  }
  const db = new Kysely<Schema>({
    dialect: sqliteDialect(new DatabaseSync(path, { ...options, readOnly: true })),
  });
  const commits = groupCommit(writer, writing, reserve);

  return {
    skipLocked: undefined,
    db,
    write: commits.write,
    grow: commits.grow,
    async close() {
      await commits.drained();
      await db.destroy();
      await writer.destroy();
    },
  };
}

function openFile(path: string, options: DatabaseSyncOptions, reserve: Reserve): DatabaseSync {
  try {
    closeSync(openSync(path, 'a', 0o600)); // SQLite gives its -wal and -shm files the mode of the main one.
    const database = new DatabaseSync(path, options);
    database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on');
    return database;
  } catch (error) {
    if (isFullDisk(error) && reserve.giveUp()) return openFile(path, options, reserve);
    const { code, errstr } = error as NodeJS.ErrnoException & { errstr?: string };
    throw new Misconfigured(
      `the database ${path} cannot be used (${errstr ?? code}): is it of this user, and did anything but panda-secrets write it?`,
    );
  }
}
