import { unlink } from 'node:fs/promises';
import { privateFile } from '../files/private-file.ts';
import { Misconfigured, UnknownFormat } from '../protocol/errors.ts';
import type { SigningKey, SigningKeySet } from './signing-keys.ts';

const FILE_FORMAT = 1;

/**
 * The signing keys that a release before this one kept in a file of the data folder; undefined where there is none. They move
 * into the database, and the file goes ({@link removeEarlierSigningKeys}).
 *
 * @throws {Misconfigured} when others can read it, or it is damaged @throws {UnknownFormat}
 */
export async function readEarlierSigningKeys(path: string): Promise<SigningKeySet | undefined> {
  return privateFile({
    path,
    name: 'signing key file',
    ifExposed: ', and run "panda-secrets signing-key rotate --forget-older" if someone may have read it',
    parse: (json) => parseFile(json, path),
  }).read();
}

export async function removeEarlierSigningKeys(path: string): Promise<void> {
  await unlink(path);
}

function parseFile(json: unknown, path: string): SigningKeySet {
  const { format, issuer, keys } = Object(json) as Record<string, unknown>;
  if (typeof format === 'number' && format !== FILE_FORMAT) {
    throw new UnknownFormat(`the signing key file ${path} has format ${format}; this release knows ${FILE_FORMAT}`);
  }
  const isOne = format === FILE_FORMAT && typeof issuer === 'string' && Array.isArray(keys) && keys.length > 0;
  if (isOne && keys.every(isSigningKey)) return { issuer, keys };
  throw new Misconfigured(`${path} is not a signing key file, or was damaged; put it back from its safe copy`);
}

function isSigningKey(value: unknown): value is SigningKey {
  const { kty, kid, n, e, d } = Object(value) as Record<string, unknown>;
  return kty === 'RSA' && [kid, n, e, d].every((member) => typeof member === 'string');
}
