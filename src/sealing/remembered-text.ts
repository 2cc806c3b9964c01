import { DecryptionFailed } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { BOX_FORMAT, openBox, sealBox } from './box.ts';
import type { DataKey } from './data-key.ts';
import { ownBytes } from './own-bytes.ts';

const FORMAT = Uint8Array.of(BOX_FORMAT);

/**
 * Encrypts a text made of an owner's values, for the memory of this process alone: under the random key of this copy of the data key, bound
 * to the state of the owner's secrets that it was made of.
 *
 * @param text is wiped
 * @returns bytes that may be remembered
 */
export function sealText(dataKey: DataKey, revision: number, text: Buffer): Uint8Array {
  const sealed = sealBox(dataKey.memoryKey, binding(dataKey, revision), text);
  text.fill(0);
  return ownBytes(sealed);
}

/** @returns the text, which the caller wipes; undefined when it was sealed under a copy of the data key that was forgotten since */
export function openText(dataKey: DataKey, revision: number, sealed: Uint8Array): Buffer | undefined {
  try {
    return openBox(dataKey.memoryKey, binding(dataKey, revision), sealed, 'a remembered text');
  } catch (error) {
    if (error instanceof DecryptionFailed) return undefined;
    throw error;
  }
}

function binding({ context }: DataKey, revision: number): Buffer {
  return Buffer.concat([context, lengthPrefixed('panda-secrets remembered text', FORMAT, String(revision))]);
}
