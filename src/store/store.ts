import { type Kysely, sql, type Transaction } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, Migrator } from 'kysely/migration';
import { Misconfigured, Unavailable } from '../protocol/errors.ts';
import { VERSION } from '../protocol/version.ts';
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
   * For looks from outside, at readiness and for metrics: on connections apart from those of requests. On PostgreSQL each statement is
   * answered or refused within `PROBE_SECONDS`, and opening a connection takes no longer.
   */
  readonly probes: Database;
  /**
   * Runs `work` in a transaction and answers when it is durable. `work` may be run a second time, after a deadlock, beside one that
   * threw or on the room that a full disk's reserve gave up, so it must do nothing outside the transaction. On SQLite, calls that arrive together share one
   * transaction: one that throws undoes only itself.
   *
   * @param scope `owner`: the work begins by locking the row of this owner, and reads and writes no other owner's rows. On PostgreSQL such
   * works of several owners share a transaction where they arrive together
   */
  write<T>(work: (tx: Transaction<Schema>) => Promise<T>, scope?: { owner?: string }): Promise<T>;
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

/** Told after each commit: how many writes became durable, and the seconds that it took. */
export type OnCommit = (writes: number, seconds: number) => void;

/**
 * True when the database has every table of this release, and maybe those of a newer one, and its contents were not moved away.
 *
 * @throws what the database does
 */
export async function hasOwnTables(db: Database): Promise<boolean> {
  const there = new Set(await notedMigrations(db));
  if ([...there].some((name) => name.startsWith(MOVED))) return false;
  const names = Object.keys(await migrationProvider(NO_TYPES).getMigrations());
  return names.every((name) => there.has(name));
}

/** Their names do not depend on the kind of database. */
const NO_TYPES: ColumnTypes = { bytes: '', int: '', identity: '', startIdsAt: () => '' };

/**
 * Brings the tables to this release's shape, whole or not at all. Replicas that start together wait for each other.
 *
 * @throws {Misconfigured} when a newer release has changed them, or a migration fails
 * @throws {Unavailable} when others keep a table locked, or the database is away
 */
export async function migrate(db: Database, types: ColumnTypes): Promise<void> {
  const migrator = new Migrator({ db, provider: migrationProvider(types) });
  const known = (await migrator.getMigrations()).map(({ name }) => name);
  // Before anything is written, and within the lock of the migrator once more.
  await refuseNewer(db, known);
  const { error, results } = await migrator.migrateToLatest();
  if (!error) return;
  await refuseNewer(db, known);
  if (error instanceof Unavailable || isRetriable(error)) throw error;
  const failed = results?.find((result) => result.status === 'Error')?.migrationName;
  const reason = error instanceof Error ? error.message : String(error);
  throw new Misconfigured(
    `the database could not be brought to this release's tables${failed ? ` (migration ${failed})` : ''}, and is as it was: ${reason}`,
  );
}

/** PostgreSQL's codes for a transaction that lost against another and may simply be run again. */
const RETRIABLE = new Set(['40001', '40P01']);

export function isRetriable(error: unknown): boolean {
  return RETRIABLE.has((error as { code?: string }).code ?? '');
}

/** Where a database notes its migrations. */
export const MIGRATIONS_TABLE = DEFAULT_MIGRATION_TABLE;

/**
 * Names among those of the migrations, with the ids of the installation and of the move behind: so that no program takes a database whose contents were moved to
 * another one, or did not all come yet, in this release or an earlier one.
 */
export const MOVED = '9999-moved-';
export const MOVING = '9999-moving-';

/** An older program does not know what the newer tables mean, and would write rows without it. */
async function refuseNewer(db: Database, known: readonly string[]): Promise<void> {
  const unknown = (await doneMigrations(db)).filter((name) => !known.includes(name)).sort();
  if (unknown.length === 0) return;
  refuseMovedAway(unknown);
  if (unknown.some((name) => name.startsWith(MOVING))) {
    throw new Misconfigured(
      'a move into this database is under way or was broken off: run the same "panda-secrets migrate-store" again, or use the database that it is from',
    );
  }
  throw new Misconfigured(
    `the database is of a newer release than this one (${VERSION}): its tables have ${unknown.join(', ')}, and this release knows them up ` +
      `to ${known.at(-1)}. Install the newer release here too, or restore the backup that was made before the upgrade`,
  );
}

/**
 * For a server that has noted itself where a move looks for servers: one that opened the database before a move ended finds out here.
 *
 * @throws {Misconfigured} when the contents were moved to another database
 */
export async function refuseMoved(db: Database): Promise<void> {
  refuseMovedAway(await notedMigrations(db));
}

function refuseMovedAway(names: readonly string[]): void {
  if (!names.some((name) => name.startsWith(MOVED))) return;
  throw new Misconfigured(
    'the contents of this database were moved to another one ("panda-secrets migrate-store"): name that one, with --database or ' +
      'PANDA_SECRETS_DATABASE where it is PostgreSQL, and without where it is SQLite',
  );
}

async function doneMigrations(db: Database): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === MIGRATIONS_TABLE)) return [];
  return notedMigrations(db);
}

async function notedMigrations(db: Database): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(MIGRATIONS_TABLE)}`.execute(db);
  return rows.map(({ name }) => name);
}
