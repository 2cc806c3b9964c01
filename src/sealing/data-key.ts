import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { DecryptionFailed } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import type { WireName } from '../protocol/names.ts';
import { ownBytes } from './own-bytes.ts';

const DATA_KEY_BYTES = 32;
const DERIVED_BYTES = 32;
/** Length of what {@link hashName} gives. */
export const NAME_HASH_BYTES = 32;

/**
 * One owner's data key in memory: two keys derived from it, each with one use, and one that is made for this copy of it. Each is made when it is
 * used first. The data key itself is used for nothing else.
 */
export interface DataKey {
  readonly id: string;
  readonly ownerId: string;
  /** AES-256-GCM, for values and names. */
  readonly valueKey: KeyObject;
  /** HMAC-SHA-256, for finding a name. */
  readonly nameKey: KeyObject;
  /** AES-256-GCM, for what is remembered of opened values: random, so that it opens nothing once this copy was forgotten. */
  readonly memoryKey: KeyObject;
  /** {@link dataKeyContext} of this key: a part of whatever is bound to its ciphertexts. */
  readonly context: Uint8Array;
}

/** 32 random bytes, to be wrapped by a root key. */
export function newDataKey(): Uint8Array {
  return randomBytes(DATA_KEY_BYTES);
}

/** The context that a wrapped data key is bound to: it unwraps as this key of this owner and as no other. */
export function dataKeyContext(key: { id: string; ownerId: string }): Uint8Array {
  return lengthPrefixed(key.ownerId, key.id);
}

/**
 * Derives the keys that are used (HKDF-SHA256, RFC 5869, one `info` for each use). The caller may wipe `bytes` afterwards.
 *
 * @throws {DecryptionFailed} when `bytes` are not 32: what was unwrapped was not a data key
 */
export function importDataKey(key: { id: string; ownerId: string; bytes: Uint8Array }): DataKey {
  const { id, ownerId, bytes } = key;
  if (bytes.length !== DATA_KEY_BYTES) {
    throw new DecryptionFailed(`a data key has ${DATA_KEY_BYTES} bytes; what was unwrapped has ${bytes.length}`);
  }
  return new UnwrappedKey({ id, ownerId }, createSecretKey(bytes));
}

/** Keys are objects of Node's, which leave their bytes to nobody when they are collected. */
class UnwrappedKey implements DataKey {
  readonly id: string;
  readonly ownerId: string;
  readonly context: Uint8Array;
  readonly #key: KeyObject;
  #valueKey: KeyObject | undefined;
  #nameKey: KeyObject | undefined;
  #memoryKey: KeyObject | undefined;

  constructor({ id, ownerId }: { id: string; ownerId: string }, key: KeyObject) {
    this.id = id;
    this.ownerId = ownerId;
    this.context = ownBytes(dataKeyContext({ id, ownerId }));
    this.#key = key;
  }

  get valueKey() {
    this.#valueKey ??= derive(this.#key, 'panda-secrets value key');
    return this.#valueKey;
  }

  get nameKey() {
    this.#nameKey ??= derive(this.#key, 'panda-secrets name key');
    return this.#nameKey;
  }

  get memoryKey() {
    this.#memoryKey ??= newMemoryKey();
    return this.#memoryKey;
  }
}

/** The keyed hash by which a secret is found: `NAME_HASH_BYTES` bytes, the same for the same name under the same data key only. */
export function hashName(dataKey: DataKey, name: WireName): Buffer {
  return createHmac('sha256', dataKey.nameKey).update(name, 'utf8').digest();
}

/**
 * The id of the secret with that name hash: a UUID (version 8, RFC 9562) made of it, so that a secret which was deleted and set
 * anew is the same to a task that names it.
 */
export function secretIdOf(nameHash: Uint8Array): string {
  const bytes = Buffer.from(nameHash.subarray(0, 16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function newMemoryKey(): KeyObject {
  const random = randomBytes(DATA_KEY_BYTES);
  const key = createSecretKey(random);
  random.fill(0);
  return key;
}

function derive(dataKey: KeyObject, info: string): KeyObject {
  const derived = new Uint8Array(hkdfSync('sha256', dataKey, '', info, DERIVED_BYTES));
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}
