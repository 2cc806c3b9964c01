import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { type PrivateFile, privateFile } from '../files/private-file.ts';
import { Misconfigured, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { BOX_FORMAT, openBox, sealBox } from './box.ts';
import { type RootKey, type RootKeyProvider, rootKeysOf } from './root-keys.ts';

const FILE_FORMAT = 1;
const KEY_BYTES = 32;

/** The file's content, as JSON. Keys are base64url, oldest first. */
export interface KeyFile {
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
export async function openKeyFile(path: string, options: { create: boolean }): Promise<RootKeyProvider> {
  const file = keyFile(path);
  let content = await file.read();
  if (!content && options.create) {
    await file.create(newKeyFile());
    content = await file.read();
  }
  if (!content) throw noKeyFile(path);
  return providerOf(content);
}

/**
 * Adds a new root key to the file and makes it the one that a first start would use; the others stay, so that what they wrapped still
 * opens. Running servers find it within `ROOT_KEYS_RECHECK_SECONDS`.
 *
 * @returns the new key's id
 * @throws {Conflict} when another change of the file is under way
 * @throws {Misconfigured} {@link openKeyFile}
 * @throws {UnknownFormat} {@link openKeyFile}
 */
export async function addRootKey(path: string): Promise<string> {
  const { active } = await keyFile(path).change(withNewKey);
  return active;
}

/**
 * Puts a key aside, into a key file of its own beside this one: a database of before that is restored still needs it. Killed at
 * any moment, it is in one of the two files at least.
 *
 * @returns the path of that file
 * @throws {Misconfigured} {@link openKeyFile}, and when it is not in the file
 */
export async function retireRootKey(path: string, id: string): Promise<string> {
  const file = keyFile(path);
  const content = await file.read();
  if (!content) throw noKeyFile(path);
  const aside = asidePath(path, id);
  await keyFile(aside).create(onlyKey(content, id));
  if (content.keys.length === 1) await unlink(path);
  else await file.change((now) => withoutKey(now, id));
  return aside;
}

function keyFile(path: string): PrivateFile<KeyFile> {
  return privateFile({
    path,
    name: 'root key file',
    ifExposed: ', and add a new root key if someone may have read it',
    parse: (json) => parseKeyFile(json, path),
  });
}

export function providerOf({ keys: content, active }: KeyFile): RootKeyProvider {
  const keys = content.map(({ id, key }) => fileRootKey(id, createSecretKey(key, 'base64url')));
  return { ...rootKeysOf(keys, active), keys, close: async () => {} };
}

export function noKeyFile(path: string): Misconfigured {
  return new Misconfigured(
    `there is no root key file at ${path}; put it back from its safe copy, or copy it from another server of this installation; ` +
      'a command gets the one that systemd gives the server (LoadCredential=) with "systemd-run -p LoadCredential=..."',
  );
}

export function newKeyFile(): KeyFile {
  const key = newKey();
  return { format: FILE_FORMAT, active: key.id, keys: [key] };
}

export function withNewKey(content: KeyFile): KeyFile {
  const added = newKey();
  return { ...content, active: added.id, keys: [...content.keys, added] };
}

/** A file with one of the keys. @throws {Misconfigured} when it is not there */
export function onlyKey(content: KeyFile, id: string): KeyFile {
  const key = content.keys.find((one) => one.id === id);
  if (!key) throw new Misconfigured(`the root key "${id}" is not in its file any more`);
  return { ...content, active: id, keys: [key] };
}

/** The file without a key, of several. */
export function withoutKey(content: KeyFile, id: string): KeyFile {
  const keys = content.keys.filter((one) => one.id !== id);
  return { ...content, active: keys.at(-1)?.id ?? content.active, keys };
}

/** The file that a key is put aside to. */
export function asidePath(path: string, id: string): string {
  return `${path}.retired-${id}`;
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

function newKey(): KeyFile['keys'][number] {
  return { id: `file-${randomBytes(8).toString('hex')}`, key: randomBytes(KEY_BYTES).toString('base64url') };
}

/** @throws {Misconfigured} when it is not the content of a key file @throws {UnknownFormat} when a later release wrote it */
export function parseKeyFile(json: unknown, path: string): KeyFile {
  const { format, active, keys } = Object(json) as Record<string, unknown>;
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
