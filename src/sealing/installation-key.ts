import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { DecryptionFailed } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import type { BlobCipher } from '../store/blob-cipher.ts';
import type { RowTags } from '../store/tagged-rows.ts';
import { createBlobCipher } from './blob-cipher.ts';
import { openBox, sealBox } from './box.ts';
import { createRowTags } from './row-tags.ts';

const KEY_BYTES = 32;

/**
 * The key of an installation in memory: what keeps a database from being written by anything but this software. The database has
 * it wrapped under a root key; keys are derived from it, each with one use.
 */
export interface InstallationKey {
  readonly id: string;
  /** Tags of rows that say who gets what. */
  readonly tags: RowTags;
  /** Encrypts what a server keeps for itself, bound to its place. */
  seal(place: readonly string[], text: string): Buffer;
  /**
   * @param what names the content in an error message
   * @throws {DecryptionFailed} when it was changed, or belongs to another place @throws {UnknownFormat}
   */
  open(place: readonly string[], box: Uint8Array, what: string): string;
  /** The stand-in, in the database, for a text that somebody could guess: found by it, and useless without the key. */
  hash(text: string): string;
  /** For sandboxes, logs and outputs in a storage that is not this server's. */
  readonly blobs: BlobCipher;
}

/** Random bytes, to be wrapped by a root key under {@link installationKeyContext}. */
export function newInstallationKey(): Uint8Array {
  return randomBytes(KEY_BYTES);
}

/** The bytes that the wrapped key is bound to. */
export function installationKeyContext(id: string): Uint8Array {
  return lengthPrefixed('panda-secrets installation key', id);
}

/**
 * Derives the keys that are used (HKDF-SHA256). The caller may wipe `bytes` afterwards.
 *
 * @throws {DecryptionFailed} when `bytes` are not 32
 */
export function importInstallationKey({ id, bytes }: { id: string; bytes: Uint8Array }): InstallationKey {
  if (bytes.length !== KEY_BYTES) {
    throw new DecryptionFailed(`an installation key has ${KEY_BYTES} bytes; what was unwrapped has ${bytes.length}`);
  }
  const [tagKey, boxKey, hashKey] = ['row tags', 'own records', 'lookups'].map((use) => derive(bytes, use)) as [
    KeyObject,
    KeyObject,
    KeyObject,
  ];
  const placeOf = (place: readonly string[]) => lengthPrefixed('panda-secrets own record 1', ...place);
  return {
    id,
    tags: createRowTags(tagKey),
    seal: (place, text) => sealBox(boxKey, placeOf(place), Buffer.from(text, 'utf8')),
    open: (place, box, what) => openBox(boxKey, placeOf(place), box, what).toString('utf8'),
    hash: (text) => createHmac('sha256', hashKey).update(text).digest('hex'),
    blobs: createBlobCipher({
      content: derive(bytes, 'stored files'),
      ivs: derive(bytes, 'names of stored files: ivs'),
      names: derive(bytes, 'names of stored files'),
    }),
  };
}

function derive(bytes: Uint8Array, use: string): KeyObject {
  const derived = new Uint8Array(hkdfSync('sha256', bytes, '', `panda-secrets ${use}`, KEY_BYTES));
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}
