import { lengthPrefixed } from '../protocol/length-prefixed.ts';

/** The server's root keys, as far as this room needs them: `sealing/root-keys.ts` says what they owe. */
export interface KeyWrapping {
  readonly active: WrappingKey;
  get(id: string): WrappingKey;
  refresh(): Promise<void>;
}

interface WrappingKey {
  readonly id: string;
  wrap(key: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  unwrap(wrapped: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
}

/** A key as the database has it: of no use without the root key, and only in the place that it was wrapped for. */
export interface WrappedKey {
  root_key_id: string;
  wrapped_key: Uint8Array;
}

/** The place that a key belongs to, in an order that stays: its use, its row's id, and the columns that nobody may change. */
export type Place = readonly [use: 'join token' | 'pilot session', ...fields: string[]];

/** For `keepWrapped` of the store. */
export async function wrapKey(active: WrappingKey, key: Uint8Array, place: Place): Promise<WrappedKey> {
  return { root_key_id: active.id, wrapped_key: await active.wrap(key, contextOf(place)) };
}

/**
 * @throws {DecryptionFailed} when the row was changed
 * @throws {MissingRootKey}
 */
export async function unwrapKey(rootKeys: KeyWrapping, wrapped: WrappedKey, place: Place): Promise<Uint8Array> {
  return rootKeys.get(wrapped.root_key_id).unwrap(wrapped.wrapped_key, contextOf(place));
}

/** The bytes that a key's wrapping is bound to. */
export function contextOf(place: Place): Uint8Array {
  return lengthPrefixed('panda-secrets identity 1', ...place);
}
