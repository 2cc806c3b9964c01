import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { importInstallationKey } from '../src/sealing/installation-key.ts';
import { openPostgres } from '../src/store/postgres.ts';
import { openSqlite } from '../src/store/sqlite.ts';
import type { Store } from '../src/store/store.ts';
import { useTags } from '../src/store/tagged-rows.ts';
import { databaseAt, execute } from './database-template.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

/** An empty database of its own for one test. */
export interface TestDatabase {
  /** Opens it, a second time as another server would; closed after the test. */
  open(): Promise<Store>;
  /** A folder for the test's own files, removed after it. On SQLite it holds every byte of the database as well. */
  folder: string;
  /** Where it is, for a server's settings; not on SQLite. */
  url?: string;
}

/**
 * Declares `name` once for each kind of database: SQLite, and a real PostgreSQL. That is the one that
 * `PANDA_TEST_DATABASE_URL` names (its user must be allowed to create databases), or else one that the first such test of
 * this process starts; where it cannot start the test is skipped and says why.
 */
export function eachStore(name: string, body: (t: TestContext, database: TestDatabase) => Promise<void>): void {
  test(`${name} (SQLite)`, (t) => body(t, sqliteDatabase(t)));
  onPostgres(name, body);
}

/** The half of {@link eachStore} for PostgreSQL. */
export function onPostgres(name: string, body: (t: TestContext, database: TestDatabase) => Promise<void>): void {
  test(`${name} (PostgreSQL)`, async (t) => {
    let url: string;
    try {
      url = await postgresUrl();
    } catch (error) {
      t.skip(`PostgreSQL cannot be started here: ${(error as Error).message.trim().replaceAll('\n', ' ')}`);
      return;
    }
    await body(t, await postgresDatabase(t, url));
  });
}

/** The store, on which `act` happens once, between what a call has read and its first write. */
export function interrupted(store: Store, act: () => Promise<unknown>): Store {
  let pending: (() => Promise<unknown>) | undefined = act;
  const after =
    (how: 'write' | 'grow'): Store['write'] =>
    async (...args) => {
      const first = pending;
      pending = undefined;
      await first?.();
      return store[how](...args);
    };
  return { ...store, write: after('write'), grow: after('grow') };
}

/** The store, on which every work is undone and run once more, as it is beside one that fails. */
export function undoneOnce(store: Store): Store {
  const twice =
    (how: 'write' | 'grow'): Store['write'] =>
    async (work) => {
      const undone = new Error('undone');
      const first = store[how](async (tx) => {
        await work(tx);
        throw undone;
      });
      await first.catch((error) => {
        if (error !== undone) throw error;
      });
      return store[how](work);
    };
  return { ...store, write: twice('write'), grow: twice('grow') };
}

/** An empty SQLite database. */
export function sqliteDatabase(t: TestContext): TestDatabase {
  return testDatabase(t, (folder) => openSqlite(join(folder, 'panda.db')));
}

/** A new database on the PostgreSQL at `server`, dropped after the test. */
async function postgresDatabase(t: TestContext, server: string): Promise<TestDatabase> {
  const name = `panda_secrets_test_${randomBytes(6).toString('hex')}`;
  const template = process.env['PANDA_TEST_DATABASE_TEMPLATE'];
  await execute(server, `create database ${name}${template ? ` template ${template} strategy file_copy` : ''}`);
  const url = databaseAt(server, name);
  return testDatabase(
    t,
    () => openPostgres(url),
    // A server that the test started may still be connected.
    { url, drop: () => execute(server, `drop database ${name} with (force)`) },
  );
}

function testDatabase(
  t: TestContext,
  open: (folder: string) => Promise<Store>,
  { url, drop = async () => {} }: { url?: string; drop?: () => Promise<void> } = {},
): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-test-'));
  const opened: Store[] = [];
  t.after(async () => {
    for (const store of opened) await store.close();
    await drop();
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    ...(url !== undefined && { url }),
    async open() {
      const store = await open(folder);
      await useTags(store, TEST_KEY.tags);
      opened.push(store);
      return store;
    },
  };
}

/** The key of every test's installation, where a test opens a database without a server. */
export const TEST_KEY = importInstallationKey({ id: 'test', bytes: Buffer.alloc(32, 7) });

let embedded: Promise<EmbeddedPostgres> | undefined;

async function postgresUrl(): Promise<string> {
  const given = process.env['PANDA_TEST_DATABASE_URL'];
  if (given) return given;
  if (!embedded) {
    embedded = startEmbeddedPostgres();
    embedded.catch(() => {});
  }
  return (await embedded).url;
}

// One for the process: stopped when all its tests have ended.
after(async () => {
  await (await embedded?.catch(() => undefined))?.stop();
});
