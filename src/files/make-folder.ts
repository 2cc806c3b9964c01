import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, and those that it is in, where they are not there yet.
 *
 * Not `mkdir` with `recursive`, which tries for ever where a folder that is there lets nothing be made in it and says ENOENT:
 * `/proc`, and the folders of an automounter.
 *
 * @param mode of what is made
 * @throws as `mkdir` does; EEXIST when something else has the name
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' || (await isFolder(dirname(resolve(path))))) {
      if (await isFolder(path)) return;
      throw error;
    }
    await makeFolder(dirname(resolve(path)), mode);
    await makeFolder(path, mode);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
