import { lstat, mkdir, open, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SECRETS_DIRECTORY } from '../protocol/names.ts';
import type { SecretFile } from './job-secrets.ts';
import { removeTree } from './remove-tree.ts';

/**
 * The place of secrets' files:
 * - `payload`: in the payload's own memory, which `Isolation` puts over empty files in the working directory;
 * - `folder`: in a directory that is not there yet, outside the working directory;
 * - `work`: in the working directory.
 */
export type SecretsPlace = { kind: 'payload' } | { kind: 'folder'; path: string } | { kind: 'work' };

export interface PlacedSecrets {
  /** The directory that the files, or the empty ones, are in. */
  directory: string;
  /** Names of secrets that the sandbox had too; the sandbox's gave way. */
  replaced: string[];
  /** Names that the file system does not take. */
  refused: string[];
  /** Takes every file away again that was placed. Safe to repeat. */
  remove(): Promise<void>;
}

/** Its entries can be used by name and not listed: who packs or copies the whole working directory does not pack values. */
const UNLISTED = 0o311;

/**
 * Puts files (mode 0600) into a directory of their own, and links to them into a job's working directory. The directory is
 * `SECRETS_DIRECTORY` in the working directory, so that a container that is given that has the files; with a place
 * of kind `folder` it is there. Something of the sandbox's that has the name of a file gives way.
 *
 * @throws the error of the file system when one cannot be written; what was placed is removed then
 */
export async function placeSecrets(
  files: readonly SecretFile[],
  runDirectory: string,
  place: SecretsPlace,
): Promise<PlacedSecrets> {
  const realDirectory = await realpath(runDirectory);
  const within = join(realDirectory, SECRETS_DIRECTORY);
  const directory = place.kind === 'folder' ? place.path : within;
  const links: string[] = [];
  const replaced: string[] = [];
  const refused: string[] = [];

  const remove = async () => {
    if (place.kind === 'folder') await removeTree(directory);
    // The payload may have put a link to elsewhere in the place of its directory: nothing is removed through it.
    if ((await realpath(runDirectory).catch(() => undefined)) !== realDirectory) return;
    for (const path of [within, ...links]) await removeTree(path);
  };

  if (place.kind !== 'folder') await removeTree(within);
  await mkdir(directory, { mode: place.kind === 'folder' ? 0o700 : UNLISTED });
  try {
    for (const { name, bytes } of files) {
      const link = join(realDirectory, name);
      const isTaken = await lstat(link).then(
        () => true,
        () => false,
      );
      if (isTaken) {
        await removeTree(link);
        replaced.push(name);
      }
      try {
        await symlink(place.kind === 'folder' ? join(directory, name) : join(SECRETS_DIRECTORY, name), link);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENAMETOOLONG') throw error;
        refused.push(name);
        continue;
      }
      links.push(link);
      await writeSecretFile(join(directory, name), place.kind === 'payload' ? undefined : bytes);
    }
    return { directory, replaced, refused, remove };
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
}

/** Writes a file that is not there (mode 0600), empty where there are no bytes. */
export async function writeSecretFile(path: string, bytes: Uint8Array | undefined): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    if (bytes) await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}
