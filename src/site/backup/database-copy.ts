import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeld, takeLock } from '../../payload/process-lock.ts';
import { copySqlite, openCopy } from '../../store/sqlite-copy.ts';
import type { Database } from '../../store/store.ts';
import { DATABASE } from './archive.ts';

/** An SQLite database as of one moment, in a file that has no name any more: nothing is left of it when this process ends, however it does. */
export interface DatabaseCopy {
  db: Database;
  size: number;
  content(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** A folder in the data folder while a copy is made. */
const COPY = /^backup-[0-9a-f-]{36}$/;

/**
 * Copies the database of a data folder, inside of that (mode 0700), while servers work.
 *
 * @throws {DecryptionFailed} when the database is damaged
 */
export async function copyDatabase(data: string): Promise<DatabaseCopy> {
  await removeAbandonedCopies(data);
  const folder = join(data, `backup-${randomUUID()}`);
  try {
    await mkdir(folder, { mode: 0o700 });
    await takeLock(folder);
    const path = join(folder, DATABASE);
    await copySqlite(join(data, 'panda.db'), path);
    const { db, close } = openCopy(path);
    const file = await open(path, 'r');
    return {
      db,
      size: (await file.stat()).size,
      content: () => file.createReadStream({ start: 0, autoClose: false }),
      async close() {
        await close();
        await file.close();
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The folders of copies whose process was killed while it made them. */
export async function abandonedCopies(data: string): Promise<string[]> {
  const folders = (await readdir(data)).filter((name) => COPY.test(name)).map((name) => join(data, name));
  const held = await Promise.all(folders.map((folder) => isHeld(folder)));
  return folders.filter((_folder, index) => !held[index]);
}

export async function removeAbandonedCopies(data: string): Promise<void> {
  for (const folder of await abandonedCopies(data)) await rm(folder, { recursive: true, force: true });
}
