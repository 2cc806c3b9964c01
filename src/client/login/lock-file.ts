import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../files/make-folder.ts';
import { RENEWAL_LOCK_SECONDS } from '../../protocol/limits.ts';

const LOOK_AGAIN_MILLISECONDS = 50;

/**
 * Runs `work` while no other process that asks for the same lock does. The lock is a file that one process can make
 * (`O_EXCL`, which network file systems keep to as well); one that is older than `RENEWAL_LOCK_SECONDS` was left by a process
 * that died, so `work` must take less.
 */
export async function withLockFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  await makeFolder(dirname(file), 0o700);
  const mine = randomUUID();
  while (!(await isMade(file, mine))) {
    await removeStale(file);
    await sleep(LOOK_AGAIN_MILLISECONDS);
  }
  try {
    return await work();
  } finally {
    // Only while it is this process's: it may have been taken for dead.
    if ((await contentOf(file)) === mine) await rm(file, { force: true });
  }
}

async function isMade(file: string, content: string): Promise<boolean> {
  try {
    await writeFile(file, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Of several that find a stale lock, one takes it away: a rename succeeds once. Who was late and renamed the next one's new
 * lock puts it back.
 */
async function removeStale(file: string): Promise<void> {
  const found = await contentOf(file);
  if (found === undefined || !(await isStale(file))) return;
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  if ((await contentOf(aside)) !== found) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function isStale(file: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(file)).mtimeMs > RENEWAL_LOCK_SECONDS * 1000;
  } catch {
    return false;
  }
}

function contentOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
