import { lstat, readFile, readlink, symlink, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Conflict } from '../protocol/errors.ts';
import type { SecretFile } from './job-secrets.ts';
import { isHeld } from './process-lock.ts';

/** The name of the folder in a command's own directory for secrets that its files are in: a link to one tells on which machine it is. */
export function filesFolder(directory: string): string {
  return join(directory, `on-${hostname()}`);
}

/**
 * Links into the current directory of a user to secrets' files. It is not ours as a job's is: what is there stays.
 *
 * @param folder see {@link filesFolder}; the files are in it
 * @throws {Conflict} when something else has the name of a file; a file with the same bytes, and a link that a command left behind, are fine
 */
export async function linkSecrets(
  files: readonly SecretFile[],
  folder: string,
  runDirectory: string,
): Promise<{ remove(): Promise<void> }> {
  const links: { path: string; target: string }[] = [];
  const remove = async () => {
    for (const { path, target } of links) {
      if ((await targetOf(path)) === target) await unlink(path).catch(() => {});
    }
  };
  try {
    for (const file of files) {
      const link = { path: join(runDirectory, file.name), target: join(folder, file.name) };
      if (await makeLink(link, file)) links.push(link);
    }
    return { remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** @returns false when the file itself is there */
async function makeLink({ path, target }: { path: string; target: string }, file: SecretFile): Promise<boolean> {
  for (;;) {
    try {
      await symlink(target, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const there = await targetOf(path);
    if (there === undefined && (await hasBytes(path, file.bytes))) return false;
    if (there === undefined) throw taken(file.name, 'is in this folder already, and is not the secret of that name');
    const left = LEFT_LINK.exec(there);
    if (!left) throw taken(file.name, 'is in this folder already, as a link to elsewhere');
    const [, directory = '', host = ''] = left;
    if (host !== hostname() || (await isHeld(directory))) {
      throw taken(
        file.name,
        `in this folder is of another "pbook run" (on ${host}); of one that was killed there, remove it`,
      );
    }
    await unlink(path).catch(() => {});
  }
}

/** A link that {@link linkSecrets} makes: the directory of its command, and the machine. */
const LEFT_LINK = /^(\/.*\/panda-pilot-[0-9a-f-]{36})\/on-([^/]+)\/[^/]+$/;

async function targetOf(path: string): Promise<string | undefined> {
  return await readlink(path).catch(() => undefined);
}

async function hasBytes(path: string, bytes: Uint8Array): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isFile() || found.size !== bytes.length) return false;
  return await readFile(path).then(
    (there) => there.equals(bytes),
    () => false,
  );
}

function taken(name: string, why: string): Conflict {
  return new Conflict(
    `${name} ${why}: start the command in a folder of its own, or add --noLinks (then PANDA_SECRETS_FILE says where the files are)`,
  );
}
