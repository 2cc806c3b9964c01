import { DecryptionFailed } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { BOX_FORMAT, openBox, sealBox } from './box.ts';
import type { DataKey } from './data-key.ts';
import { ownBytes } from './own-bytes.ts';

/** Where a text stands, which it opens for alone. */
export interface TextPlace {
  /** The state of the owner's secrets. */
  revision: number;
  /** One kind of text, with all that it depends on beside the secrets. */
  use: string;
}

const FORMAT = Uint8Array.of(BOX_FORMAT);

/**
 * Encrypts a text made of an owner's values, for the memory of this process alone: under the random key of this copy of the data key, bound
 * to what it is for and to the state of the owner's secrets that it was made of.
 *
 * @param text is wiped
 * @returns bytes that may be remembered
 */
export function sealText(dataKey: DataKey, place: TextPlace, text: Buffer): Uint8Array {
  const sealed = sealBox(dataKey.memoryKey, binding(dataKey, place), text);
  text.fill(0);
  return ownBytes(sealed);
}

/** @returns the text, which the caller wipes; undefined when it has another place, or was sealed under a copy of the data key that was forgotten since */
export function openText(dataKey: DataKey, place: TextPlace, sealed: Uint8Array): Buffer | undefined {
  try {
    return openBox(dataKey.memoryKey, binding(dataKey, place), sealed, 'a remembered text');
  } catch (error) {
    if (error instanceof DecryptionFailed) return undefined;
    throw error;
  }
}

function binding({ context }: DataKey, { revision, use }: TextPlace): Buffer {
  return Buffer.concat([context, lengthPrefixed('panda-secrets remembered text', FORMAT, String(revision), use)]);
}
