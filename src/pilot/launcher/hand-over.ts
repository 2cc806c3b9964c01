import { randomUUID } from 'node:crypto';
import { type FileHandle, link, lstat, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chooseSecretsFolder } from '../../payload/secrets-directory.ts';
import { Misconfigured, Refused } from '../../protocol/errors.ts';

/** Where a program that was given a descriptor by {@link withTokenFile} finds the file. */
export const TOKEN_DESCRIPTOR_PATH = '/proc/self/fd/3';

/**
 * Works with a token in a file in memory that has no name any more: nobody finds it, and nothing of it stays.
 *
 * @param work is given its descriptor
 * @throws {Refused} when it cannot be written
 */
export async function withTokenFile<T>(token: string, work: (descriptor: number) => Promise<T>): Promise<T> {
  const folder = (await chooseSecretsFolder(undefined)) ?? tmpdir();
  const file = await openNameless(folder, token).catch(notWritten(folder));
  try {
    return await work(file.fd);
  } finally {
    await file.close();
  }
}

async function openNameless(folder: string, token: string): Promise<FileHandle> {
  const path = join(folder, `panda-pilot-handed-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    await writeToken(file, token);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Puts a token into a private folder that nodes and launcher share, from which the pilot claims it: whole or not at all.
 *
 * @returns false when one lies there already
 * @throws {Refused} when others can use the folder, or nothing can be written there
 */
export async function putToken(path: string, token: string): Promise<boolean> {
  const folder = dirname(path);
  await checkTokenFolder(folder).catch(({ message }: Misconfigured) => {
    throw new Refused(message, null);
  });
  return await linkToken(path, token).catch(notWritten(folder));
}

async function linkToken(path: string, token: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await writeToken(file, token);
    await file.sync();
    // Unlike a rename it replaces nothing.
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
}

/** @throws {Misconfigured} unless nobody else can use the folder */
export async function checkTokenFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => undefined);
  if (found?.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0) return;
  throw new Misconfigured(
    `token_folder "${folder}" must be a folder of this user that nobody else can enter: mkdir -p "${folder}" && chmod 700 "${folder}"`,
  );
}

/** The next token may have room, and other pilots have theirs. */
function notWritten(folder: string): (error: NodeJS.ErrnoException) => never {
  return ({ code }) => {
    throw new Refused(`the token cannot be written into "${folder}" (${code})`, null);
  };
}

/** The end of the line says that all of it is there. */
async function writeToken(file: FileHandle, token: string): Promise<void> {
  await file.writeFile(`${token}\n`);
}
