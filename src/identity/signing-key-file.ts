import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { type PrivateFile, privateFile } from '../files/private-file.ts';
import { Misconfigured, UnknownFormat } from '../protocol/errors.ts';
import { SIGNING_KEYS_RECHECK_SECONDS } from '../protocol/limits.ts';

const FILE_FORMAT = 1;
const RSA_BITS = 2048;

/** The file's content, as JSON. */
export interface SigningKeyFile {
  format: typeof FILE_FORMAT;
  /** The `iss` of this installation's tokens: `urn:panda-secrets:UUID`. */
  issuer: string;
  /** Private RS256 keys with `kid`, newest first: the first signs, all verify. */
  keys: SigningKey[];
}

export type SigningKey = JWK & { kid: string };

/**
 * The signing keys in a file that only the user of this process (or root) can read. A missing one is made, whole or not at
 * all; of several processes that start at once one makes it and all read it.
 *
 * @throws {Misconfigured} when others can read it or it is not a signing key file; the message says what to do
 * @throws {UnknownFormat} when a later release wrote it
 */
async function openSigningKeyFile(path: string): Promise<SigningKeyFile> {
  const file = signingKeyFile(path);
  const found = await file.read();
  if (found) return found;
  await file.create({
    format: FILE_FORMAT,
    issuer: `urn:panda-secrets:${randomUUID()}`,
    keys: [await newSigningKey()],
  });
  const made = await file.read();
  if (!made) throw new Misconfigured(`the signing key file ${path} was removed while it was opened`);
  return made;
}

function signingKeyFile(path: string): PrivateFile<SigningKeyFile> {
  return privateFile({
    path,
    name: 'signing key file',
    ifExposed: '; if someone may have read it, remove it instead: a new one is made, and all tokens must be made anew',
    parse: (json) => parseSigningKeyFile(json, path),
  });
}

/**
 * Puts a new key in front: it signs from now on. The older ones stay, so that what they signed stays good, unless
 * `forgetOlder` says that they may be in other hands.
 *
 * @returns the count of keys that the file has now
 * @throws {Conflict} when another change of the file is under way
 * @throws as {@link openSigningKeyFile}
 */
export async function rotateSigningKey(path: string, { forgetOlder = false } = {}): Promise<number> {
  await openSigningKeyFile(path);
  const added = await newSigningKey();
  const { keys } = await signingKeyFile(path).change((content) => ({
    ...content,
    keys: [added, ...(forgetOlder ? [] : content.keys)],
  }));
  return keys.length;
}

/** The content of a signing key file while a server runs. */
export interface SigningKeys {
  /** As it was at the latest `SIGNING_KEYS_RECHECK_SECONDS` ago; the same object while it did not change. */
  current(): Promise<SigningKeyFile>;
  /** Looks again now, but not oftener than once a second. */
  latest(): Promise<SigningKeyFile>;
}

/**
 * Reads a signing key file, and again after it was changed. One that cannot be read meanwhile is as it was. `clock` is in
 * milliseconds.
 *
 * @throws as {@link openSigningKeyFile}, at first
 */
export async function openSigningKeys(path: string, clock: () => number): Promise<SigningKeys> {
  const stamp = () =>
    stat(path).then(
      ({ mtimeMs, ino }) => `${mtimeMs} ${ino}`,
      () => undefined,
    );
  const file = signingKeyFile(path);
  let content = await openSigningKeyFile(path);
  let read = await stamp();
  let lookedAt = clock();

  async function lookAgain(): Promise<void> {
    lookedAt = clock();
    const found = await stamp();
    if (found === undefined || found === read) return;
    content = (await file.read().catch(() => undefined)) ?? content;
    read = found;
  }

  async function noOlderThan(seconds: number): Promise<SigningKeyFile> {
    if (clock() - lookedAt >= seconds * 1000) await lookAgain();
    return content;
  }

  return { current: () => noOlderThan(SIGNING_KEYS_RECHECK_SECONDS), latest: () => noOlderThan(1) };
}

async function newSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: RSA_BITS, extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'RS256', use: 'sig' };
}

function parseSigningKeyFile(json: unknown, path: string): SigningKeyFile {
  const { format, issuer, keys } = Object(json) as Record<string, unknown>;
  if (typeof format === 'number' && format !== FILE_FORMAT) {
    throw new UnknownFormat(`the signing key file ${path} has format ${format}; this release knows ${FILE_FORMAT}`);
  }
  if (
    format !== FILE_FORMAT ||
    typeof issuer !== 'string' ||
    !Array.isArray(keys) ||
    keys.length === 0 ||
    !keys.every(isSigningKey)
  ) {
    throw new Misconfigured(
      `${path} is not a signing key file, or was damaged; put it back from its safe copy, or remove it: a new one is made, and all tokens must be made anew`,
    );
  }
  return { format, issuer, keys };
}

function isSigningKey(value: unknown): value is SigningKey {
  const { kty, kid, n, e, d } = Object(value) as Record<string, unknown>;
  return kty === 'RSA' && [kid, n, e, d].every((member) => typeof member === 'string');
}
