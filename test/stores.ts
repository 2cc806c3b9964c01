import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSqlite } from '../src/store/sqlite.ts';
import type { Store } from '../src/store/store.ts';

/** An empty database of its own for one test. */
export interface TestDatabase {
  /** Opens it, a second time as another server would; closed after the test. */
  open(): Promise<Store>;
  /** A folder for the test's own files, removed after it. On SQLite it holds every byte of the database as well. */
  folder: string;
}

/** Declares `name` once for each kind of database that can run here. */
export function eachStore(name: string, body: (t: TestContext, database: TestDatabase) => Promise<void>): void {
  test(`${name} (SQLite)`, async (t) => body(t, sqliteDatabase(t)));
}

/** An empty SQLite database. */
export function sqliteDatabase(t: TestContext): TestDatabase {
  return testDatabase(t, (folder) => openSqlite(join(folder, 'panda.db')));
}

function testDatabase(t: TestContext, open: (folder: string) => Promise<Store>): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-test-'));
  const opened: Store[] = [];
  t.after(async () => {
    for (const store of opened) await store.close();
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    async open() {
      const store = await open(folder);
      opened.push(store);
      return store;
    },
  };
}
