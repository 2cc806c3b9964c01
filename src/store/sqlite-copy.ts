import { closeSync, openSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { DecryptionFailed } from '../protocol/errors.ts';
import type { Schema } from './schema.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import type { Database } from './store.ts';

/** All pages in one step: in several ones the copy would begin anew whenever a server writes. */
const ALL_PAGES = 2 ** 31 - 1;

/**
 * Copies an SQLite database as of one moment, while others read and write it. The copy is made with mode 0600, and checked.
 *
 * @throws {DecryptionFailed} when the database is damaged
 */
export async function copySqlite(path: string, to: string): Promise<void> {
  closeSync(openSync(to, 'wx', 0o600));
  const source = new DatabaseSync(path, { readOnly: true });
  try {
    await backup(source, to, { rate: ALL_PAGES });
  } finally {
    source.close();
  }
  const copy = new DatabaseSync(to);
  try {
    const [verdict] = Object.values(copy.prepare('pragma integrity_check(1)').get() ?? {});
    if (verdict !== 'ok') throw new DecryptionFailed(`the database is damaged (${String(verdict).slice(0, 200)})`);
    // One file, without a log beside it.
    copy.exec('pragma journal_mode = delete');
  } finally {
    copy.close();
  }
}

/** Opens a copy to read it. */
export function openCopy(path: string): { db: Database; close(): Promise<void> } {
  const db = new Kysely<Schema>({ dialect: sqliteDialect(new DatabaseSync(path, { readOnly: true })) });
  return { db, close: () => db.destroy() };
}
