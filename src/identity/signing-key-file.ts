import { randomUUID } from 'node:crypto';
import { type FileHandle, link, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { Conflict, Misconfigured, UnknownFormat } from '../protocol/errors.ts';
import { SIGNING_KEYS_RECHECK_SECONDS } from '../protocol/limits.ts';

const FILE_FORMAT = 1;
const RSA_BITS = 2048;

/** What the file holds, as JSON. */
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
  const found = await readSigningKeyFile(path);
  if (found) return found.content;
  await createSigningKeyFile(path);
  return (await findSigningKeyFile(path)).content;
}

async function findSigningKeyFile(path: string) {
  const found = await readSigningKeyFile(path);
  if (!found) throw new Misconfigured(`the signing key file ${path} was removed while it was opened`);
  return found;
}

/**
 * Puts a new key in front: it signs from now on. The older ones stay, so that what they signed stays good, unless
 * `forgetOlder` says that they may be in other hands.
 *
 * @returns how many keys the file now has
 * @throws {Conflict} when another change of the file is under way
 * @throws as {@link openSigningKeyFile}
 */
export async function rotateSigningKey(path: string, { forgetOlder = false } = {}): Promise<number> {
  await openSigningKeyFile(path);
  const target = await realpath(path);
  const next = `${target}.new`;
  // Making this file, which must not be there, is also the lock: of two changes at once one's key would be lost.
  return writeWhole(target, next, async (handle) => {
    const { content, uid, gid } = await findSigningKeyFile(target);
    const keys = [await newSigningKey(), ...(forgetOlder ? [] : content.keys)];
    // Root changes it for the server, which must be able to read it afterwards.
    if (process.geteuid?.() !== uid) await handle.chown(uid, gid);
    await writeContent(handle, { ...content, keys });
    await rename(next, target);
    return keys.length;
  });
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
  let content = await openSigningKeyFile(path);
  let read = await stamp();
  let lookedAt = clock();

  async function lookAgain(): Promise<void> {
    lookedAt = clock();
    const found = await stamp();
    if (found === undefined || found === read) return;
    content = (await readSigningKeyFile(path).catch(() => undefined))?.content ?? content;
    read = found;
  }

  async function noOlderThan(seconds: number): Promise<SigningKeyFile> {
    if (clock() - lookedAt >= seconds * 1000) await lookAgain();
    return content;
  }

  return { current: () => noOlderThan(SIGNING_KEYS_RECHECK_SECONDS), latest: () => noOlderThan(1) };
}

async function createSigningKeyFile(path: string): Promise<void> {
  const content: SigningKeyFile = {
    format: FILE_FORMAT,
    issuer: `urn:panda-secrets:${randomUUID()}`,
    keys: [await newSigningKey()],
  };
  const temporary = `${path}.${randomUUID()}`;
  await writeWhole(path, temporary, async (handle) => {
    await writeContent(handle, content);
    // A link, unlike a rename, never replaces the file that another process made meanwhile.
    await link(temporary, path).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await unlink(temporary);
  });
}

/** Has `write` fill a new file beside `path` and put it in place, so that the file is always a whole one. */
async function writeWhole<T>(path: string, temporary: string, write: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(temporary, 'wx', 0o600).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
    throw new Conflict(`another change of ${path} is under way, or was interrupted: if none is, remove ${temporary}`);
  });
  let result: T;
  try {
    result = await write(handle);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return result;
}

async function writeContent(handle: FileHandle, content: SigningKeyFile): Promise<void> {
  await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`);
  await handle.sync();
}

async function newSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: RSA_BITS, extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'RS256', use: 'sig' };
}

async function readSigningKeyFile(
  path: string,
): Promise<{ content: SigningKeyFile; uid: number; gid: number } | undefined> {
  const handle = await open(path, 'r').catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Misconfigured(
      `the signing key file ${path} cannot be read (${error.code}): check its owner and its folder`,
    );
  });
  if (!handle) return undefined;
  try {
    const { mode, uid, gid } = await handle.stat();
    refuseIfShared(path, mode, uid);
    return { content: parseSigningKeyFile(await handle.readFile('utf8'), path), uid, gid };
  } finally {
    await handle.close();
  }
}

function refuseIfShared(path: string, mode: number, uid: number): void {
  const self = process.geteuid?.();
  // No such modes on Windows.
  if (self === undefined) return;
  if ((mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new Misconfigured(
      `others on this machine can use the signing key file ${path} (mode ${shown}): run "chmod 600 ${path}"; if someone may have read it, remove it instead: a new one is made, and all tokens must be made anew`,
    );
  }
  if (self !== 0 && uid !== 0 && uid !== self) {
    throw new Misconfigured(
      `the signing key file ${path} belongs to another user (uid ${uid}); it must be this server's own`,
    );
  }
}

/** The parser's own error would quote the text, which is keys: it goes nowhere. */
function parseSigningKeyFile(text: string, path: string): SigningKeyFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Misconfigured(`${path} is not a signing key file: it is not JSON`);
  }
  const { format, issuer, keys } = Object(parsed) as Record<string, unknown>;
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
