import { LINE_FEED, RETURN } from './signs.ts';

/**
 * Lines that end in a long piece of base64 or hex digits and go on in the next line: those of `base64` (76 columns), PEM (64),
 * `xxd -p` (60) and the like.
 */

/** Shorter pieces are the ends of ordinary lines. */
export const LEAST_DIGITS = 56;

/** So many bytes before a text tell of a line that it begins with the end of. */
export const CONTEXT_BYTES = 96;

/** The bytes of the line end at `at`, as far as the text has it; 0 where there is none. */
export function lengthOfLineEnd(text: Buffer, at: number): number {
  if (text[at] === LINE_FEED) return 1;
  if (text[at] !== RETURN) return 0;
  if (at + 1 === text.length) return 1;
  return text[at + 1] === LINE_FEED ? 2 : 0;
}

/** @param before the bytes that stood before the text, some of them */
export function endsInDigits(text: Buffer, before: Buffer, end: number): boolean {
  return digitsBefore(text, before, end) === LEAST_DIGITS;
}

/** At most `LEAST_DIGITS`. */
function digitsBefore(text: Buffer, before: Buffer, end: number): number {
  let count = 0;
  for (; count < LEAST_DIGITS; count++) {
    const at = end - 1 - count;
    const byte = at >= 0 ? text[at] : before[before.length + at];
    if (byte === undefined || IS_DIGIT[byte] === 0) break;
  }
  return count;
}

const IS_DIGIT = new Uint8Array(256);
for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  IS_DIGIT[digit.charCodeAt(0)] = 1;
