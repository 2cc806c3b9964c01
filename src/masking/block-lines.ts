/**
 * Lines that end in a long piece of base64 or hex digits and go on in the next line: those of `base64` (76 columns), PEM (64),
 * `xxd -p` (60) and the like.
 */

/** Shorter pieces are the ends of ordinary lines. */
const LEAST_DIGITS = 56;
/** Any piece of the least length has all of some group of so many digits that begins at a multiple of their number. */
const GROUP = LEAST_DIGITS >> 1;

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** The first line end in `text` at or after `from` that such a piece stands before; `Infinity` when there is none. */
export function nextBlockLineEnd(text: Uint8Array, from: number): number {
  let at = Math.max(0, from - LEAST_DIGITS);
  for (;;) {
    at = nextGroup(text, at);
    if (at + GROUP > text.length) return Number.POSITIVE_INFINITY;
    let end = at + GROUP;
    while (end < text.length && IS_DIGIT[text[end] as number] === 1) end++;
    if (end >= from && lengthOfLineEnd(text, end) > 0 && endsInDigits(text, end)) return end;
    at = end;
  }
}

/** The bytes of the line end at `at`; 0 where there is none, or the text ends before it is known. */
export function lengthOfLineEnd(text: Uint8Array, at: number): number {
  if (text[at] === LINE_FEED) return 1;
  return text[at] === RETURN && text[at + 1] === LINE_FEED ? 2 : 0;
}

export function endsInDigits(text: Uint8Array, end: number): boolean {
  if (end < LEAST_DIGITS) return false;
  for (let at = end - LEAST_DIGITS; at < end; at++) if (IS_DIGIT[text[at] as number] !== 1) return false;
  return true;
}

/** Words are short: digits that lie far from each other tell soonest. */
function nextGroup(text: Uint8Array, from: number): number {
  let at = from;
  for (const last = text.length - GROUP; at <= last; at += GROUP) {
    if (IS_DIGIT[text[at] as number] === 0) continue;
    if (IS_DIGIT[text[at + 14] as number] === 0) continue;
    if (IS_DIGIT[text[at + 7] as number] === 0) continue;
    if (IS_DIGIT[text[at + 21] as number] === 0) continue;
    let end = at + 1;
    while (end < at + GROUP && IS_DIGIT[text[end] as number] === 1) end++;
    if (end === at + GROUP) break;
  }
  return at;
}

const IS_DIGIT = new Uint8Array(256);
for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  IS_DIGIT[digit.charCodeAt(0)] = 1;
