import { MissingRootKey } from '../protocol/errors.ts';

/**
 * A 256-bit key that never leaves its provider (a key file, OpenBao Transit, PKCS#11) and encrypts nothing but data keys.
 */
export interface RootKey {
  /** Stored beside each wrapped key; unique among all root keys that the server ever had. */
  readonly id: string;
  /**
   * Encrypts a data key, bound to `context`. An implementer owes an authenticated cipher that also binds the root key's id,
   * and a first byte that is a version.
   *
   * @throws {Unavailable} when the provider cannot be reached
   */
  wrap(dataKey: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  /**
   * The data key that was wrapped under the same `context`.
   *
   * @throws {DecryptionFailed} when it was changed, or wrapped by another root key or under another context
   * @throws {UnknownFormat} when the first byte is of a version that the provider does not know
   * @throws {Unavailable} when the provider cannot be reached
   */
  unwrap(wrapped: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
}

/** The root keys that a server was given. */
export interface RootKeys {
  /** Wraps every new data key. */
  readonly active: RootKey;
  /** @throws {MissingRootKey} */
  get(id: string): RootKey;
}

/** Opened root keys of one place: a file, a key server, a token. */
export interface RootKeyProvider extends RootKeys {
  readonly keys: readonly RootKey[];
  /** Lets go of what it holds: connections, sessions, keys in memory. */
  close(): Promise<void>;
}

/** @throws {MissingRootKey} when `activeId` is not among `keys` */
export function rootKeysOf(keys: readonly RootKey[], activeId: string): RootKeys {
  const byId = new Map(keys.map((key) => [key.id, key]));
  function get(id: string): RootKey {
    const key = byId.get(id);
    if (!key) throw new MissingRootKey(id);
    return key;
  }
  return { active: get(activeId), get };
}
