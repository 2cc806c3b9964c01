import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from 'node:crypto';
import { DecryptionFailed, UnknownFormat } from '../protocol/errors.ts';

/**
 * The one format of everything that is encrypted at rest (values, names, wrapped data keys):
 *
 *     version  1 byte   BOX_FORMAT
 *     nonce   12 bytes  random, fresh for each box
 *     body     n bytes  AES-256-GCM
 *     tag     16 bytes
 *
 * The version stands outside the tag; the associated data of each use repeats it.
 */
export const BOX_FORMAT = 1;

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;
/** The length of a box beyond what is in it. */
export const BOX_OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES;
const OPTIONS = { authTagLength: TAG_BYTES };

/** Encrypts `plaintext` under a 256-bit key, bound to `associatedData`. Random nonces: at most 2^32 boxes per key (NIST SP 800-38D). */
export function sealBox(key: KeyObject, associatedData: Uint8Array, plaintext: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES, BOX_FORMAT);
  randomFillSync(head, 1);
  const cipher = createCipheriv(CIPHER, key, head.subarray(1), OPTIONS);
  cipher.setAAD(associatedData);
  const body = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([head, body, cipher.getAuthTag()]);
}

/**
 * Opens what {@link sealBox} made, whole or not at all.
 *
 * @param what names the content in an error message: 'a secret', 'a data key'
 * @throws {UnknownFormat} when the first byte is of a version that this release does not know
 * @throws {DecryptionFailed} when the box was cut or changed, or belongs to another key or other associated data
 */
export function openBox(key: KeyObject, associatedData: Uint8Array, box: Uint8Array, what: string): Buffer {
  if (box.length > 0 && box[0] !== BOX_FORMAT) {
    throw new UnknownFormat(
      `${what} is stored in format ${box[0]}; this release knows format ${BOX_FORMAT}: update it`,
    );
  }
  if (box.length < BOX_OVERHEAD_BYTES) throw new DecryptionFailed(`${what} does not open: its ciphertext is cut short`);
  const tagStart = box.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, box.subarray(1, HEAD_BYTES), OPTIONS);
  decipher.setAAD(associatedData);
  decipher.setAuthTag(box.subarray(tagStart));
  const plaintext = decipher.update(box.subarray(HEAD_BYTES, tagStart));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new DecryptionFailed(
      `${what} does not open: it was changed, moved from another place, or sealed to another key`,
    );
  }
  return plaintext;
}
