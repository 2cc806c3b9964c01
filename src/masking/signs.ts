/** A place after the end of any text: a small integer, which costs less than `Infinity`. */
export const NOWHERE = 0x3fffffff;

/** Bytes that mean something where escapes are read. */
export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const RETURN = 0x0d;
export const ESCAPE = 0x1b;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const PERCENT = 0x25;
export const AMPERSAND = 0x26;
export const APOSTROPHE = 0x27;
export const PLUS = 0x2b;
export const BACKSLASH = 0x5c;
export const SMALL_U = 0x75;

/** Bytes that begin an escape wherever they stand, in any secret: a search looks at each of them. */
export const INTRODUCERS = [BACKSLASH, PERCENT, AMPERSAND] as const;

export function isIntroducer(byte: number): boolean {
  return byte === BACKSLASH || byte === PERCENT || byte === AMPERSAND;
}

/** By byte: an escape may begin there, or a line ends. */
export const KIND = new Uint8Array(256);
export const ORDINARY = 0;
export const MAY_SPELL = 1;
export const LINE_END = 2;
for (const sign of [...INTRODUCERS, ESCAPE, PLUS, APOSTROPHE, QUOTE]) KIND[sign] = MAY_SPELL;
KIND[LINE_FEED] = LINE_END;
KIND[RETURN] = LINE_END;

/** Of JSON in JSON in JSON in JSON. */
export const MOST_BACKSLASHES = 15;

/** The value of a hex digit, or -1. */
export function hexDigit(byte: number | undefined): number {
  return byte === undefined ? -1 : (HEX_DIGITS[byte] as number);
}

const HEX_DIGITS = Int8Array.from({ length: 256 }, (_, byte) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase()),
);

/** The first byte of a code point in UTF-8. */
export function leadByteOf(point: number): number {
  if (point < 0x80) return point;
  if (point < 0x800) return 0xc0 | (point >> 6);
  return point < 0x10000 ? 0xe0 | (point >> 12) : 0xf0 | (point >> 18);
}
