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
  /** Wraps every new data key. @throws {MissingRootKey} when this server has not got the one that is active */
  readonly active: RootKey;
  /** @throws {MissingRootKey} here, or when the key is used */
  get(id: string): RootKey;
  /** Looks for keys that came, and for the one that is active now. */
  refresh(): Promise<void>;
}

/** Opened root keys of one place: a file, a key server, a token. */
export interface RootKeyProvider extends RootKeys {
  readonly keys: readonly RootKey[];
  /** Lets go of what it holds: connections, sessions, keys in memory. */
  close(): Promise<void>;
}

/** Reads a passphrase from whoever sits at the terminal. @param what it opens */
export type AskPassphrase = (what: string) => Promise<string>;

/** A kind of place that root keys are kept in, each named by a URI of its scheme. */
export interface RootKeyPlaces {
  /** The form of its URIs, for messages. */
  readonly form: string;
  /**
   * The one spelling of a place's URI: two URIs of the same place that say the same have the same one.
   *
   * @throws {Misconfigured} when it names no place
   */
  canonical(uri: string): string;
  /**
   * Opens what is there. `create`: the first key may be made where there is none.
   *
   * @throws {Misconfigured} when it cannot be used as it is; a message repeats neither a PIN nor a passphrase
   * @throws {Unavailable} when it cannot be reached now
   */
  open(uri: string, options: { create: boolean; ask?: AskPassphrase | undefined }): Promise<RootKeyProvider>;
  /** Makes a further key in the place, and the place where it is not there. @returns its id */
  add(uri: string, options: { ask?: AskPassphrase | undefined }): Promise<string>;
  /** Takes a key out of the place, where that is ours to do. @returns where it was put aside, or what to do to destroy it */
  retire(uri: string, id: string, options: { ask?: AskPassphrase | undefined }): Promise<string>;
  /** The file of this machine that has the keys; undefined where they are in none. @throws {Misconfigured} as `canonical` */
  fileOf(uri: string): string | undefined;
  /** Changes when what is there may have changed. */
  stamp(uri: string): Promise<string>;
}

/** @throws {MissingRootKey} when `activeId` is not among `keys` */
export function rootKeysOf(keys: readonly RootKey[], activeId: string): RootKeys {
  const byId = new Map(keys.map((key) => [key.id, key]));
  function get(id: string): RootKey {
    const key = byId.get(id);
    if (!key) throw new MissingRootKey(id);
    return key;
  }
  return { active: get(activeId), get, refresh: async () => {} };
}
