import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openSqlite } from '../../src/store/sqlite.ts';

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A store of its own, and a second connection to it such as another server has. */
export async function openStores(t: TestContext) {
  const path = join(temporaryFolder(t), 'panda.db');
  const store = await openSqlite(path);
  const replica = await openSqlite(path);
  t.after(() => Promise.all([store.close(), replica.close()]));
  return { store, replica };
}
