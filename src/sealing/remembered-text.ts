import { randomFillSync } from 'node:crypto';
import { DecryptionFailed } from '../protocol/errors.ts';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';
import { BOX_FORMAT, BOX_OVERHEAD_BYTES, openBox, sealBox } from './box.ts';
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

/*
 * Node's decipher leaves a copy of what it opened in memory that it has freed: it makes room for one byte more than there are, and
 * copies. So what is in the box is the text and a random pad of its length, XOR:
 *
 *     pad    n bytes
 *     box    of n bytes
 */

/**
 * Encrypts a text made of an owner's values, for the memory of this process alone: under the random key of this copy of the data key, bound
 * to what it is for and to the state of the owner's secrets that it was made of.
 *
 * @param text is wiped
 * @returns bytes that may be remembered
 */
export function sealText(dataKey: DataKey, place: TextPlace, text: Buffer): Uint8Array {
  const pad = randomFillSync(Buffer.alloc(text.length));
  addPad(text, pad);
  const sealed = Buffer.concat([pad, sealBox(dataKey.memoryKey, binding(dataKey, place), text)]);
  text.fill(0);
  return ownBytes(sealed);
}

/** @returns the text, which the caller wipes; undefined when it has another place, or was sealed under a copy of the data key that was forgotten since */
export function openText(dataKey: DataKey, place: TextPlace, sealed: Uint8Array): Buffer | undefined {
  const length = (sealed.length - BOX_OVERHEAD_BYTES) / 2;
  try {
    const text = openBox(dataKey.memoryKey, binding(dataKey, place), sealed.subarray(length), 'a remembered text');
    addPad(text, sealed.subarray(0, length));
    return text;
  } catch (error) {
    if (error instanceof DecryptionFailed) return undefined;
    throw error;
  }
}

function binding({ context }: DataKey, { revision, use }: TextPlace): Buffer {
  return Buffer.concat([context, lengthPrefixed('panda-secrets remembered text', FORMAT, String(revision), use)]);
}

/** XOR, in place; four bytes at a time where both lie so, as what came from a decipher and what is remembered do. */
function addPad(text: Uint8Array, pad: Uint8Array): void {
  const areAligned = text.byteOffset % 4 === 0 && pad.byteOffset % 4 === 0;
  const words = areAligned ? text.length >> 2 : 0;
  const textWords = new Uint32Array(text.buffer, areAligned ? text.byteOffset : 0, words);
  const padWords = new Uint32Array(pad.buffer, areAligned ? pad.byteOffset : 0, words);
  for (let n = 0; n < words; n++) textWords[n] = (textWords[n] as number) ^ (padWords[n] as number);
  for (let n = words * 4; n < text.length; n++) text[n] = (text[n] as number) ^ (pad[n] as number);
}
