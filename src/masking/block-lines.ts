/**
 * Lines that end in a long piece of base64 or hex digits and go on in the next line: those of `base64` (76 columns), PEM (64),
 * `xxd -p` (60) and the like.
 */

/** Shorter pieces are the ends of ordinary lines. */
const LEAST_DIGITS = 56;

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** The first line end in `text` at or after `from` that such a piece stands before; `Infinity` when there is none. */
export function nextBlockLineEnd(text: Buffer, from: number): number {
  let at = text.indexOf(LINE_FEED, Math.max(from, LEAST_DIGITS));
  // The next such line end has its digits between.
  for (; at >= 0; at = text.indexOf(LINE_FEED, at + LEAST_DIGITS)) {
    const end = text[at - 1] === RETURN ? at - 1 : at;
    if (end >= from && endsInDigits(text, end)) return end;
  }
  return Number.POSITIVE_INFINITY;
}

/** The bytes of the line end at `at`; 0 where there is none, or the text ends before it is known. */
export function lengthOfLineEnd(text: Uint8Array, at: number): number {
  if (text[at] === LINE_FEED) return 1;
  return text[at] === RETURN && text[at + 1] === LINE_FEED ? 2 : 0;
}

export function endsInDigits(text: Uint8Array, end: number): boolean {
  if (end < LEAST_DIGITS) return false;
  // Words are short: digits that lie apart from each other tell soonest.
  for (let first = 1; first <= STEP; first++) {
    for (let at = end - first; at >= end - LEAST_DIGITS; at -= STEP)
      if (IS_DIGIT[text[at] as number] === 0) return false;
  }
  return true;
}

const STEP = 7;

const IS_DIGIT = new Uint8Array(256);
for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  IS_DIGIT[digit.charCodeAt(0)] = 1;
