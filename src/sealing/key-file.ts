import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { type FileHandle, link, open, realpath, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Conflict, Misconfigured, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { BOX_FORMAT, openBox, sealBox } from './box.ts';
import { type RootKey, type RootKeys, rootKeysOf } from './root-keys.ts';

const FILE_FORMAT = 1;
const KEY_BYTES = 32;

/** What the file holds, as JSON. Keys are base64url, oldest first. */
interface KeyFile {
  format: typeof FILE_FORMAT;
  active: string;
  keys: { id: string; key: string }[];
}

/**
 * The root keys of a file that only the user of this process (or root) can read.
 *
 * With `create` a missing file is made with one new key, whole or not at all, and is on the disk when this returns; of
 * several processes that start at once one makes it and all read it. Losing this file is losing every secret: ask for
 * `create` only where there is nothing yet that an older file wrapped.
 *
 * @throws {Misconfigured} when it is missing, others can read it, or it is not a key file; the message says what to do
 * @throws {UnknownFormat} when a later release wrote it
 */
export async function openKeyFile(path: string, options: { create: boolean }): Promise<RootKeys> {
  let file = await readKeyFile(path);
  if (!file && options.create) {
    await createKeyFile(path).catch((error) => {
      throw new Misconfigured(`the root key file ${path} cannot be made (${error.code}): check its folder`);
    });
    file = await readKeyFile(path);
  }
  if (!file) throw new Misconfigured(`there is no root key file at ${path}; put it back from its safe copy`);
  const keys = file.content.keys.map(({ id, key }) => fileRootKey(id, createSecretKey(key, 'base64url')));
  return rootKeysOf(keys, file.content.active);
}

/**
 * Adds a new root key to the file and makes it the active one; the others stay, so that what they wrapped still opens.
 * A running server uses it from its next start.
 *
 * @returns the new key's id
 * @throws {Conflict} when another change of the file is under way
 * @throws {Misconfigured} {@link openKeyFile}
 * @throws {UnknownFormat} {@link openKeyFile}
 */
export async function addRootKey(path: string): Promise<string> {
  const target = await realpath(path).catch(() => path);
  const next = `${target}.new`;
  // Making this file, which must not be there, is also the lock: of two changes at once one would be lost, and with it
  // whatever its key had wrapped.
  const handle = await open(next, 'wx', 0o600).catch((error) => {
    if (error.code === 'EEXIST') {
      throw new Conflict(`another change of ${path} is under way, or was interrupted: if none is, remove ${next}`);
    }
    throw new Misconfigured(`the root key file ${path} cannot be changed (${error.code}): check its folder`);
  });
  const added = newKey();
  try {
    const file = await readKeyFile(target);
    if (!file) throw new Misconfigured(`there is no root key file at ${path}`);
    if (process.geteuid?.() !== file.uid) await handle.chown(file.uid, file.gid);
    await writeDurably(handle, { ...file.content, active: added.id, keys: [...file.content.keys, added] });
    await rename(next, target);
  } catch (error) {
    await unlink(next);
    throw error;
  } finally {
    await handle.close();
  }
  await syncFolderOf(target);
  return added.id;
}

function fileRootKey(id: string, key: KeyObject): RootKey {
  const bind = (context: Uint8Array) =>
    lengthPrefixed('panda-secrets wrapped key', Uint8Array.of(BOX_FORMAT), id, context);
  return {
    id,
    wrap: async (dataKey, context) => sealBox(key, bind(context), dataKey),
    unwrap: async (wrapped, context) => openBox(key, bind(context), wrapped, 'a data key'),
  };
}

async function createKeyFile(path: string): Promise<void> {
  const key = newKey();
  const temporary = `${path}.${key.id}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await writeDurably(handle, { format: FILE_FORMAT, active: key.id, keys: [key] });
    // A link, unlike a rename, never replaces the file that another process made meanwhile.
    await link(temporary, path).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await handle.close();
    await unlink(temporary);
  }
  await syncFolderOf(path);
}

function newKey(): KeyFile['keys'][number] {
  return { id: `file-${randomBytes(8).toString('hex')}`, key: randomBytes(KEY_BYTES).toString('base64url') };
}

async function writeDurably(handle: FileHandle, content: KeyFile): Promise<void> {
  await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`);
  await handle.sync();
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function readKeyFile(path: string): Promise<{ content: KeyFile; uid: number; gid: number } | undefined> {
  const handle = await open(path, 'r').catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Misconfigured(`the root key file ${path} cannot be read (${error.code}): check its owner and its folder`);
  });
  if (!handle) return undefined;
  try {
    const { mode, uid, gid } = await handle.stat();
    refuseIfShared(path, mode, uid);
    return { content: parseKeyFile(await handle.readFile('utf8'), path), uid, gid };
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
      `others on this machine can use the root key file ${path} (mode ${shown}): run "chmod 600 ${path}", and add a new root key if someone may have read it`,
    );
  }
  if (self !== 0 && uid !== 0 && uid !== self) {
    throw new Misconfigured(
      `the root key file ${path} belongs to another user (uid ${uid}); it must be this server's own`,
    );
  }
}

/** The parser's own error would quote the text, which is keys: it goes nowhere. */
function parseKeyFile(text: string, path: string): KeyFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Misconfigured(`${path} is not a root key file: it is not JSON`);
  }
  const { format, active, keys } = Object(parsed) as Record<string, unknown>;
  if (typeof format === 'number' && format !== FILE_FORMAT) {
    throw new UnknownFormat(`the root key file ${path} has format ${format}; this release knows format ${FILE_FORMAT}`);
  }
  if (format !== FILE_FORMAT || typeof active !== 'string' || !Array.isArray(keys) || !keys.every(isKey)) {
    throw new Misconfigured(`${path} is not a root key file, or was damaged; put it back from its safe copy`);
  }
  const ids = new Set(keys.map(({ id }) => id));
  if (ids.size !== keys.length) throw new Misconfigured(`the root key file ${path} has one id twice`);
  if (!ids.has(active)) throw new Misconfigured(`the active key of the root key file ${path} is not in it`);
  return { format, active, keys };
}

function isKey(value: unknown): value is KeyFile['keys'][number] {
  const { id, key } = Object(value) as Record<string, unknown>;
  if (typeof id !== 'string' || id === '' || typeof key !== 'string') return false;
  const bytes = Buffer.from(key, 'base64url');
  return bytes.length === KEY_BYTES && bytes.toString('base64url') === key;
}
