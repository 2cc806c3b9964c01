import type { Kysely, Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import { Misconfigured } from '../protocol/errors.ts';
import { type ColumnTypes, migrationProvider } from './migrations.ts';
import type { Schema } from './schema.ts';

/** A statement runs on this: the store itself, or a transaction that it handed out. */
export type Database = Kysely<Schema>;

/** The database, whichever it is. Made by `openSqlite` or `openPostgres`; `useTags` says which of its rows are believed. */
export interface Store {
  /** True where a statement can pass over rows that another transaction has locked, undefined where one transaction writes at a time. */
  readonly skipLocked: true | undefined;
  /** For statements that only read. A statement that writes goes through {@link Store.write}. */
  readonly db: Database;
  /**
   * Runs `work` in a transaction and answers when it is durable. `work` may be run a second time, after a deadlock or on the
   * room that a full disk's reserve gave up, so it must do nothing outside the transaction. On SQLite, calls that arrive together share one transaction, each behind a
   * savepoint of its own: one that throws undoes only itself.
   */
  write<T>(work: (tx: Transaction<Schema>) => Promise<T>): Promise<T>;
  /**
   * The same, for what makes the data grow and can wait: it is refused while the disk of an SQLite database is full. The reserve is for
   * `write`: for what deletes, ends a job, or lets somebody in who may want to delete.
   *
   * @throws {NoSpace}
   */
  grow: Store['write'];
  /**
   * Gives room that was freed inside the database back to the disk, a small part of it: on SQLite; PostgreSQL's own autovacuum uses freed room
   * again.
   *
   * @returns true when there is more
   */
  reclaim(): Promise<boolean>;
  /** Finishes what was begun and closes. */
  close(): Promise<void>;
}

/** Brings the tables to this release's shape. Replicas that start together wait for each other. */
export async function migrate(db: Database, types: ColumnTypes): Promise<void> {
  const { error, results } = await new Migrator({ db, provider: migrationProvider(types) }).migrateToLatest();
  if (error) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Misconfigured(
      `the database could not be brought to this release's tables${failed ? ` (migration ${failed})` : ''}: ${reason}`,
    );
  }
}
