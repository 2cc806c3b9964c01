import { constants } from 'node:fs';
import { access, lstat, mkdir, readlink, statfs, symlink } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';
import { removeTree } from './remove-tree.ts';

/** File systems that are memory (linux/magic.h): tmpfs and ramfs. */
const MEMORY_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const SHARED_MEMORY = '/dev/shm';
/** In the pilot's home: a link to its directory for secrets, made before it, so that whoever cleans up finds it. */
const RECORD = 'secrets-directory';
const PREFIX = 'panda-pilot-';

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
    throw new Misconfigured(`--secrets-dir: "${asked}" is no directory that can be written to`);
  return asked;
}

/** Makes a pilot's own directory (0700) in `folder`. */
export async function makeSecretsDirectory(folder: string, home: string, pilot: string): Promise<string> {
  const path = join(folder, PREFIX + pilot);
  await symlink(path, join(home, RECORD));
  await mkdir(path, { mode: 0o700 });
  return path;
}

/** Removes the directory that the pilot of this home made, if it made one and it is still ours. */
export async function removeSecretsDirectory(home: string): Promise<void> {
  const path = await readlink(join(home, RECORD)).catch(() => undefined);
  if (path === undefined || !basename(path).startsWith(PREFIX)) return;
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() && found.uid === process.getuid?.()) await removeTree(path);
}

async function isMemory(path: string): Promise<boolean> {
  return await statfs(path).then(
    ({ type }) => MEMORY_FILE_SYSTEMS.has(type),
    () => false,
  );
}

async function isUsable(path: string): Promise<boolean> {
  return await access(path, constants.W_OK | constants.X_OK | constants.R_OK).then(
    async () => (await lstat(path)).isDirectory(),
    () => false,
  );
}
