import { open } from 'node:fs/promises';

/** Waits until the names in a folder are on the disk: a file that was made, renamed or removed there is so for good only then. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
