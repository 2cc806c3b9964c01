/**
 * Lines that end in a long piece of base64 or hex digits and go on in the next line: those of `base64` (76 columns), PEM (64),
 * `xxd -p` (60) and the like.
 */

/** Shorter pieces are the ends of ordinary lines. */
const LEAST_DIGITS = 56;

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** So many bytes before a text tell of a line that it begins with the end of. */
export const CONTEXT_BYTES = 96;

/** The first line end in `text` at or after `from` that such a piece stands before; `Infinity` when there is none. */
export function nextBlockLineEnd(text: Buffer, before: Uint8Array, from: number): number {
  let at = text.indexOf(LINE_FEED, Math.max(0, from));
  // The next such line end has its digits between.
  for (; at >= 0; at = text.indexOf(LINE_FEED, at + LEAST_DIGITS)) {
    const end = text[at - 1] === RETURN ? at - 1 : at;
    if (end >= from && endsInDigits(text, before, end)) return end;
  }
  const last = text.length - 1;
  return last >= from && text[last] === RETURN && endsInDigits(text, before, last) ? last : Number.POSITIVE_INFINITY;
}

/** The bytes of the line end at `at`, as far as the text has it; 0 where there is none. */
export function lengthOfLineEnd(text: Uint8Array, at: number): number {
  if (text[at] === LINE_FEED) return 1;
  if (text[at] !== RETURN) return 0;
  if (at + 1 === text.length) return 1;
  return text[at + 1] === LINE_FEED ? 2 : 0;
}

/** @param before the bytes that stood before the text, some of them */
export function endsInDigits(text: Uint8Array, before: Uint8Array, end: number): boolean {
  if (end < LEAST_DIGITS) {
    if (before.length < LEAST_DIGITS - end) return false;
    const joined = Buffer.concat([before, text.subarray(0, end)]);
    return endsInDigits(joined, NONE, joined.length);
  }
  // Words are short: digits that lie apart from each other tell soonest.
  for (let first = 1; first <= STEP; first++) {
    for (let at = end - first; at >= end - LEAST_DIGITS; at -= STEP)
      if (IS_DIGIT[text[at] as number] === 0) return false;
  }
  return true;
}

const NONE = new Uint8Array(0);
const STEP = 7;

const IS_DIGIT = new Uint8Array(256);
for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  IS_DIGIT[digit.charCodeAt(0)] = 1;
