import { constants } from 'node:fs';
import { access, lstat, mkdir, readdir, readlink, statfs, symlink } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';
import { isHeld, takeLock } from './process-lock.ts';
import { endProcesses } from './process-tree.ts';
import { removeTree } from './remove-tree.ts';

/** File systems that are memory (linux/magic.h): tmpfs and ramfs. */
const MEMORY_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
/** Of a directory's mode: others may add and remove entries; only their own (constants of chmod(2)). */
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const SHARED_MEMORY = '/dev/shm';
/** In the pilot's home: a link to its directory for secrets, made before it, so that the next pilot finds it. */
const RECORD = 'secrets-directory';
const PREFIX = 'panda-pilot-';
/** Of a pilot's directory; the folder of the pilots of one user has a name of the same beginning. */
const NAME = /^panda-pilot-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/**
 * The folder for secrets: the one that was asked for, otherwise `/dev/shm` where it is memory and may be written to.
 *
 * @param asked `--secrets-dir`: an absolute path, or `none` for the jobs' working directories
 * @returns `undefined` when the secrets are to be in the working directories
 * @throws {Misconfigured} when the one that was asked for cannot be used
 */
export async function chooseSecretsFolder(asked: string | undefined): Promise<string | undefined> {
  if (asked === 'none') return undefined;
  if (asked === undefined)
    return (await isMemory(SHARED_MEMORY)) && (await isUsable(SHARED_MEMORY)) ? SHARED_MEMORY : undefined;
  if (!isAbsolute(asked)) throw new Misconfigured(`--secrets-dir must be an absolute path or "none", not "${asked}"`);
  if (!(await isUsable(asked)))
    throw new Misconfigured(
      `--secrets-dir: "${asked}" is no directory that can be written to, or others can replace what is in it (chmod +t)`,
    );
  return asked;
}

/** Makes a pilot's own directory (0700) in `folder`, with a lock of its own: it may outlive the pilot's home. */
export async function makeSecretsDirectory(folder: string, home: string, pilot: string): Promise<string> {
  await symlink(join(folder, PREFIX + pilot), join(home, RECORD));
  return await makeLockedDirectory(folder, pilot);
}

/** Makes a directory (0700) in `folder` that is found by its name and lock when this process has ended without removing it. */
export async function makeLockedDirectory(folder: string, id: string): Promise<string> {
  const path = join(folder, PREFIX + id);
  await mkdir(path, { mode: 0o700 });
  await takeLock(path);
  return path;
}

/** Removes the directory that the pilot of this home made, if it made one and it is still ours. */
export async function removeSecretsDirectory(home: string): Promise<void> {
  const path = await readlink(join(home, RECORD)).catch(() => undefined);
  if (path === undefined || !basename(path).startsWith(PREFIX)) return;
  if (await isOurs(path)) await removeTree(path);
}

/** This user's directories, in `folder` and where pilots put them by default, whose pilots are no longer alive. */
async function abandonedSecrets(folder: string | undefined): Promise<{ pilot: string; path: string }[]> {
  const abandoned: { pilot: string; path: string }[] = [];
  for (const each of new Set([folder ?? SHARED_MEMORY, SHARED_MEMORY])) {
    for (const name of await readdir(each).catch(() => [])) {
      const pilot = NAME.exec(name)?.[1];
      const path = join(each, name);
      if (pilot !== undefined && (await isOurs(path)) && !(await isHeld(path))) abandoned.push({ pilot, path });
    }
  }
  return abandoned;
}

/**
 * Removes those (`abandonedSecrets`), after what is left of their payloads. What cannot be removed does not stop it.
 *
 * @returns the number of them
 */
export async function removeAbandonedSecrets(
  folder: string | undefined,
  onTrouble: (error: Error) => void,
): Promise<number> {
  let removed = 0;
  for (const { pilot, path } of await abandonedSecrets(folder)) {
    await endProcesses({ mark: `${pilot}.` }, 0);
    await removeTree(path).then(() => {
      removed += 1;
    }, onTrouble);
  }
  return removed;
}

async function isOurs(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}

async function isMemory(path: string): Promise<boolean> {
  return await statfs(path).then(
    ({ type }) => MEMORY_FILE_SYSTEMS.has(type),
    () => false,
  );
}

async function isUsable(path: string): Promise<boolean> {
  return await access(path, constants.W_OK | constants.X_OK | constants.R_OK).then(
    async () => {
      const found = await lstat(path);
      return found.isDirectory() && ((found.mode & OTHERS_WRITE) === 0 || (found.mode & STICKY) !== 0);
    },
    () => false,
  );
}
