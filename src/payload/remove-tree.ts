import { randomUUID } from 'node:crypto';
import { chmod, lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Directories that may not be written to, or that are nested deeper than a path may be long. */
const OBSTACLES: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'ENOTEMPTY', 'ENAMETOOLONG']);

/**
 * Removes a directory and everything below it, also where a payload took its own permissions away (package managers do) or
 * nested directories deeper than any path can name. Follows no link. Nothing there is fine.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await remove(path);
  } catch (error) {
    if (!OBSTACLES.has((error as NodeJS.ErrnoException).code)) throw error;
    await flatten(path);
    await remove(path);
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}

/** Opens every directory below `root` and moves it to where its path is short. */
async function flatten(root: string): Promise<void> {
  const found = await lstat(root).catch(() => undefined);
  if (!found?.isDirectory()) return;
  await chmod(root, 0o700);
  const waiting = [root];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const path = join(directory, entry.name);
      const moved = join(root, randomUUID());
      await chmod(path, 0o700);
      await rename(path, moved);
      waiting.push(moved);
    }
  }
}
