import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../../files/make-folder.ts';
import { Misconfigured } from '../../protocol/errors.ts';
import type { StoredLogin } from './read-login.ts';

/**
 * Keeps a login: readable by the user alone, and put in place whole, so that who reads meanwhile finds the old one or the new.
 *
 * @throws {Misconfigured} when the folder cannot be written
 */
export async function writeLogin(file: string, login: StoredLogin): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  try {
    await makeFolder(dirname(file), 0o700);
    await writeWhole(temporary, JSON.stringify(login));
    await rename(temporary, file);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new Misconfigured(
      `the login cannot be kept in ${file} (${reason}): check that its folder is yours; PANDA_CONFIG_ROOT names it`,
    );
  }
}

export async function removeLogin(file: string): Promise<void> {
  await rm(file, { force: true });
}

/** A new file, or none. */
async function writeWhole(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}
