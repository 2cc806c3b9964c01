import { createHmac, timingSafeEqual } from 'node:crypto';
import { DecryptionFailed, Unavailable, UnknownFormat } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import type { RootKey } from './root-keys.ts';

/**
 * Format of a data key that something outside of this process wrapped:
 *
 *     version      1 byte   2
 *     commitment  32 bytes  HMAC-SHA-256 under the data key, over the root key's id and the context
 *     ciphertext   n bytes  as the key server or token gave it
 *
 * The commitment stays here: a key that comes back is the one that went out, whoever answered, and whether or not they looked at the
 * context. The key has 256 random bits, which an HMAC does not give away.
 */
const FORMAT = 2;
const COMMITMENT_BYTES = 32;
const HEAD_BYTES = 1 + COMMITMENT_BYTES;

/** Encrypts and decrypts elsewhere. `context` is bound to the ciphertext where the other side can do that. */
export interface RemoteCipher {
  /** @throws {Unavailable} */
  encrypt(plaintext: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  /** @throws {DecryptionFailed} when the other side says that it is not its own @throws {Unavailable} */
  decrypt(ciphertext: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
}

/** A root key that never comes here. @param name of the other side in messages */
export function committedRootKey(id: string, name: string, cipher: RemoteCipher): RootKey {
  const bound = (context: Uint8Array) =>
    lengthPrefixed('panda-secrets wrapped key', Uint8Array.of(FORMAT), id, context);
  const commitTo = (key: Uint8Array, context: Uint8Array) =>
    createHmac('sha256', key)
      .update(lengthPrefixed('panda-secrets committed key', id, context))
      .digest();

  return {
    id,

    async wrap(dataKey, context) {
      const ciphertext = await cipher.encrypt(dataKey, bound(context));
      // Kept although nobody could open it, it would cost an owner all that they keep.
      const back = await cipher.decrypt(ciphertext, bound(context));
      const isSame = back.length === dataKey.length && timingSafeEqual(back, dataKey);
      back.fill(0);
      if (!isSame) {
        throw new Unavailable(
          `${name} does not give back what it encrypted: nothing was kept under the root key "${id}"`,
        );
      }
      return Buffer.concat([Uint8Array.of(FORMAT), commitTo(dataKey, context), ciphertext]);
    },

    async unwrap(wrapped, context) {
      if (wrapped.length > 0 && wrapped[0] !== FORMAT) {
        throw new UnknownFormat(
          `a data key is stored in format ${wrapped[0]}, and the root key "${id}" knows ${FORMAT}`,
        );
      }
      if (wrapped.length <= HEAD_BYTES) throw new DecryptionFailed('a data key does not open: it is cut short');
      const key = await cipher.decrypt(wrapped.subarray(HEAD_BYTES), bound(context));
      if (timingSafeEqual(commitTo(key, context), wrapped.subarray(1, HEAD_BYTES))) return key;
      key.fill(0);
      throw new DecryptionFailed(
        `a data key does not open: ${name} gave another key than the one that was wrapped, or its row was changed`,
      );
    },
  };
}
