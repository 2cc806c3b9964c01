import { BACKSLASH, LINE_FEED, MOST_BACKSLASHES, RETURN } from './signs.ts';

/**
 * Lines that end in a long piece of base64 or hex digits and go on in the next line: those of `base64` (76 columns), PEM (64),
 * `xxd -p` (60) and the like.
 */

/** Shorter pieces are the ends of ordinary lines. */
export const LEAST_DIGITS = 56;

/** So many bytes before a text tell of a line that it begins with the end of. */
export const CONTEXT_BYTES = 256;

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

/** The bytes in the line before the digits that end at `end`; 0 where there are none, or more than is known. */
export function prefixOfBlock(text: Buffer, before: Buffer, end: number): number {
  let first = end;
  for (let byte = byteAt(text, before, first - 1); byte !== undefined && IS_DIGIT[byte] === 1; ) {
    first--;
    byte = byteAt(text, before, first - 1);
  }
  let start = first;
  for (let byte = byteAt(text, before, start - 1); byte !== LINE_FEED; byte = byteAt(text, before, start - 1)) {
    if (first - start === MOST_PREFIX_BYTES) return 0;
    // The stream begins there, or no more of it is known.
    if (byte === undefined) return before.length < CONTEXT_BYTES ? first - start : 0;
    start--;
  }
  return first - start;
}

export function hasLineEnd(text: Buffer, before: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = byteAt(text, before, at);
    if (byte === LINE_FEED || byte === RETURN) return true;
  }
  return false;
}

function byteAt(text: Buffer, before: Buffer, at: number): number | undefined {
  return at >= 0 ? text[at] : before[before.length + at];
}

/** The time of a log, signs of a quotation. */
const MOST_PREFIX_BYTES = 120;

/** True for an escape that may be of a line end behind a line of a block: `\n`, `%0A`, `&#10;`. */
export function isEscapedBlockEnd(text: Buffer, before: Buffer, at: number): boolean {
  let next = at + 1;
  while (next < at + MOST_BACKSLASHES && text[next] === BACKSLASH) next++;
  if (MAY_END_LINE[text[next] as number] !== 1) return false;
  return (
    endsInDigits(text, before, at) || (ENDS_RETURN[text[at - 1] as number] === 1 && isBehindReturn(text, before, at))
  );
}

/** Behind an escaped return. */
function isBehindReturn(text: Buffer, before: Buffer, at: number): boolean {
  const written = /(?:\\+r|%0D|&#(?:13|xD);)$/i.exec(text.toString('latin1', Math.max(0, at - 8), at))?.[0];
  return written !== undefined && endsInDigits(text, before, at - written.length);
}

const MAY_END_LINE = new Uint8Array(256);
const ENDS_RETURN = new Uint8Array(256);
for (const sign of 'nr0#') MAY_END_LINE[sign.charCodeAt(0)] = 1;
for (const sign of 'rDd;') ENDS_RETURN[sign.charCodeAt(0)] = 1;

/** At most `LEAST_DIGITS`. */
function digitsBefore(text: Buffer, before: Buffer, end: number): number {
  let count = 0;
  for (; count < LEAST_DIGITS; count++) {
    const at = end - 1 - count;
    const byte = byteAt(text, before, at);
    if (byte === undefined || IS_DIGIT[byte] === 0) break;
  }
  return count;
}

const IS_DIGIT = new Uint8Array(256);
for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  IS_DIGIT[digit.charCodeAt(0)] = 1;
