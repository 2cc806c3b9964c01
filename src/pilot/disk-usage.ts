import type { Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** The unit that `stat` counts blocks in, whatever the file system's own is. */
const BLOCK_BYTES = 512;

/**
 * The bytes of disk that everything below the directories takes: sparse files as far as they are filled, a file with several
 * names once. What vanishes or cannot be looked into meanwhile is passed over, no link is followed.
 */
export async function diskUsage(directories: readonly string[]): Promise<number> {
  const waiting = [...directories];
  const linked = new Set<string>();
  let bytes = 0;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for await (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name);
      const found = await lstat(path).catch(() => undefined);
      if (!found) continue;
      if (found.isDirectory()) waiting.push(path);
      const file = `${found.dev}:${found.ino}`;
      if (found.nlink > 1 && !found.isDirectory()) {
        if (linked.has(file)) continue;
        linked.add(file);
      }
      bytes += found.blocks * BLOCK_BYTES;
    }
  }
  return bytes;
}

async function* entriesOf(directory: string): AsyncIterable<Dirent> {
  try {
    yield* await opendir(directory);
  } catch {
    // It is gone, or the payload closed it.
  }
}
