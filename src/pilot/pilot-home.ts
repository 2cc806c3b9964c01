import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolder } from '../files/make-folder.ts';
import { guardSecrets } from '../payload/guard.ts';
import { isHeld, keepLocks, takeLock } from '../payload/process-lock.ts';
import { endProcesses } from '../payload/process-tree.ts';
import { removeTree } from '../payload/remove-tree.ts';
import { makeSecretsDirectory, removeAbandonedSecrets, removeSecretsDirectory } from '../payload/secrets-directory.ts';
import { Misconfigured } from '../protocol/errors.ts';

const PREFIX = 'pilot-';

/** The directory of one running pilot, in the folder that the pilots of one user on a node share (`--workdir`). */
export interface PilotHome {
  /** Unique for each start of a pilot; what its payloads are marked with begins with it and a dot. */
  id: string;
  path: string;
  /** Holds secrets when the working directories do not. */
  secretsDirectory: string | undefined;
  /** Removes it with everything in it. */
  close(): Promise<void>;
}

/**
 * Makes a home (0700) in `folder`.
 *
 * @param secretsFolder where the pilot's directory for secrets goes, see `chooseSecretsFolder`
 * @param isolated true when secrets are in payloads' own memory, and nothing of them on the node
 * @throws {Misconfigured} when others than this user may look into `folder`
 */
export async function openPilotHome(
  folder: string,
  { secretsFolder, isolated }: { secretsFolder: string | undefined; isolated: boolean },
): Promise<PilotHome> {
  await preparePilotFolder(folder);
  const id = randomUUID();
  const path = join(resolve(folder), PREFIX + id);
  await mkdir(path, { mode: 0o700 });
  await takeLock(path);
  const secretsDirectory =
    isolated || secretsFolder === undefined ? undefined : await makeSecretsDirectory(secretsFolder, path, id);
  const locks = keepLocks([path, ...(secretsDirectory === undefined ? [] : [secretsDirectory])]);
  const guard = isolated ? undefined : guardSecrets(secretsDirectory ?? path);
  return {
    id,
    path,
    secretsDirectory,
    async close() {
      locks.stop();
      await removeHome(path);
      guard?.dismiss();
    },
  };
}

/**
 * Cleans up after the pilots in `folder`, and those of this user with secrets in `secretsFolder` or in the node's shared
 * memory, wherever their own folders are, that are no longer alive (killed, or the power failed): ends what is left of their payloads, then removes their secrets and directories. What cannot be removed does
 * not stop it.
 *
 * @returns the number of them
 */
export async function removeLeftovers(
  folder: string,
  secretsFolder: string | undefined,
  onTrouble: (error: Error) => void,
): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const home = join(resolve(folder), name);
    if (!name.startsWith(PREFIX) || (await isHeld(home))) continue;
    await endProcesses({ mark: `${name.slice(PREFIX.length)}.` }, 0);
    await removeHome(home).then(() => {
      removed += 1;
    }, onTrouble);
  }
  // A batch system takes a home away that is in its job's own directory for temporary files, and leaves these.
  return removed + (await removeAbandonedSecrets(secretsFolder, onTrouble));
}

async function removeHome(path: string): Promise<void> {
  await removeSecretsDirectory(path);
  await removeTree(path);
}

/** Makes the folder that homes are in. @throws {Misconfigured} when it cannot be, or others than this user may look into it */
export async function preparePilotFolder(folder: string): Promise<void> {
  await makeFolder(folder, 0o700).catch((error: NodeJS.ErrnoException) => {
    throw new Misconfigured(`--workdir: "${folder}" cannot be made (${error.code})`);
  });
  const found = await lstat(folder);
  const own = process.getuid?.();
  if (!found.isDirectory() || (own !== undefined && found.uid !== own) || (found.mode & 0o077) !== 0) {
    throw new Misconfigured(
      `"${folder}" must be a directory of your own that others may not enter (chmod 700), as jobs' secrets are kept in it`,
    );
  }
}
