import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';

/** The service manager gave this process a credential of that name. */
export function isCredentialThere(name: string): boolean {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  return folder !== undefined && existsSync(join(folder, name));
}

/** Where systemd puts a credential (`LoadCredential=`). @throws {Misconfigured} where it gave none @param use for messages: what it holds */
export function credentialPath(name: string, use: string): string {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  if (folder !== undefined) return join(folder, name);
  throw new Misconfigured(
    `${use} the credential "${name}", and no CREDENTIALS_DIRECTORY is set: LoadCredential= in the unit of systemd gives it, and ` +
      '"systemd-run -p LoadCredential=..." to a command',
  );
}

/** A credential's text: the folder is this service's alone, and the modes inside are systemd's own. @throws {Misconfigured} */
export async function readCredential(name: string, use: string): Promise<string> {
  return await readFile(credentialPath(name, use), 'utf8').catch((error) => {
    throw error instanceof Misconfigured
      ? error
      : new Misconfigured(`the credential "${name}" cannot be read (${error.code})`);
  });
}

/** @throws {Misconfigured} when it could lead out of the folder */
export function credentialName(text: string, where: string): string {
  if (/^[\w.-]+$/.test(text) && text !== '.' && text !== '..') return text;
  throw new Misconfigured(`${where}: a credential is named without a folder`);
}
