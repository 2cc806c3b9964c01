import { stat } from 'node:fs/promises';

/** A text that changes with a file's content, or with the file; empty when it is not there. */
export async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found ? [found.ino, found.size, found.mtimeMs].join() : '';
}
