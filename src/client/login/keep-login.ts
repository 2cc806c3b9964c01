import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Misconfigured } from '../../protocol/errors.ts';
import type { StoredLogin } from './token-file.ts';

/**
 * Keeps a login: readable by the user alone, and put in place whole, so that who reads meanwhile finds the old one or the new.
 *
 * @throws {Misconfigured} when the folder cannot be written
 */
export async function writeLogin(file: string, login: StoredLogin): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    try {
      await using handle = await open(temporary, 'wx', 0o600);
      await handle.writeFile(JSON.stringify(login));
      await handle.sync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await rename(temporary, file);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new Misconfigured(
      `the login cannot be kept in ${file} (${reason}): is its folder yours? PANDA_CONFIG_ROOT names it`,
    );
  }
}

export async function removeLogin(file: string): Promise<void> {
  await rm(file, { force: true });
}
