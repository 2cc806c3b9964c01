import { entityAt } from './entities.ts';
import {
  AMPERSAND,
  APOSTROPHE,
  BACKSLASH,
  hexDigit,
  isIntroducer,
  LINE_FEED,
  MOST_BACKSLASHES,
  PERCENT,
  PLUS,
  QUOTE,
  RETURN,
  SMALL_U,
  SPACE,
} from './signs.ts';

/**
 * The ways in which the characters at one place of a text may be read, other than as they are: an escape stands for a byte, or for a
 * character of Unicode. One object is used again and again, so that a search makes no garbage.
 */
export interface Spellings {
  count: number;
  /** By reading: a byte, or {@link CHARACTER} and a code point, or {@link NOTHING}. */
  values: Int32Array;
  /** By reading: the bytes of the text that it takes. */
  lengths: Int32Array;
  /** More text may make another reading, or a longer one. */
  cutShort: boolean;
  /** The bytes that stood before the text, some of them. */
  before: Buffer;
  /** For what was encoded twice. */
  peeled: Peeled | undefined;
}

/** Characters of a text, decoded once. */
interface Peeled {
  bytes: Buffer;
  /** By character, and after the last: where it begins in the text. */
  places: Int32Array;
  /** The readings of one of them in the text, and of the first in `bytes`. */
  once: Spellings;
  again: Spellings;
}

/** Marks a code point among values, to be read as its bytes in UTF-8. */
export const CHARACTER = 0x1000000;
/** A value that stands for no character: a line that was broken. */
export const NOTHING = -1;

const MOST_READINGS = 64;
/** Longer than any escape that is read through another. */
const PEELED_CHARS = 12;
const MOST_PEELS = 3;

export function createSpellings(): Spellings {
  return {
    count: 0,
    values: new Int32Array(MOST_READINGS),
    lengths: new Int32Array(MOST_READINGS),
    cutShort: false,
    before: Buffer.alloc(0),
    peeled: undefined,
  };
}

/**
 * Collects in `out` the readings of what stands at `at`.
 *
 * @param ended no more text will come
 */
export function readSpellings(text: Buffer, at: number, ended: boolean, out: Spellings): void {
  out.count = 0;
  out.cutShort = false;
  read(text, at, ended, out, 0);
}

function read(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  switch (text[at]) {
    case BACKSLASH:
      readBackslashes(text, at, ended, out, peels);
      return;
    case PERCENT:
      readPercent(text, at, ended, out, peels);
      return;
    case AMPERSAND:
      readEntity(text, at, ended, out, peels);
      return;
    case PLUS:
      add(out, SPACE, 1);
      return;
    case APOSTROPHE:
    case QUOTE:
      readQuotes(text, at, ended, out);
      return;
    default:
  }
}

function add(out: Spellings, value: number, length: number): void {
  if (out.count === MOST_READINGS) return;
  out.values[out.count] = value;
  out.lengths[out.count] = length;
  out.count += 1;
}

/** A number below 256 that an escape gives is a byte for some programs and a character for others. */
function addNumber(out: Spellings, value: number, length: number): void {
  if (value < 0x100) add(out, value, length);
  if (value >= 0x80 && value <= 0x10ffff) add(out, CHARACTER | value, length);
}

/** One character in a shell's quotes, which end before it and begin anew after it, and a quote that is doubled. */
const QUOTED_QUOTES = [`'\\''`, `'"'"'`, `"'"`, `''`, `""`, `"\\""`].map((text) => ({
  bytes: Buffer.from(text),
  value: text === `""` || text === `"\\""` ? QUOTE : APOSTROPHE,
}));

function readQuotes(text: Buffer, at: number, ended: boolean, out: Spellings): void {
  for (const { bytes, value } of QUOTED_QUOTES) {
    let same = 0;
    while (same < bytes.length && text[at + same] === bytes[same]) same++;
    if (same === bytes.length) add(out, value, same);
    else if (at + same === text.length && !ended) out.cutShort = true;
  }
}

/** `%41`, and JavaScript's `%u0041`. */
function readPercent(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  if (text[at + 1] === SMALL_U) {
    const unit = hexNumber(text, at + 2, 4);
    if (unit >= 0) addUnit(text, at, 6, unit, out, PERCENT, ended);
    else if (!ended && isHexUpTo(text, at + 2, 4)) out.cutShort = true;
    return;
  }
  const byte = hexNumber(text, at + 1, 2);
  if (byte >= 0) {
    addNumber(out, byte, 3);
    if (isIntroducer(byte)) readPeeled(text, at, ended, out, peels);
  } else if (!ended && isHexUpTo(text, at + 1, 2)) out.cutShort = true;
}

function readEntity(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  const entity = entityAt(text, at);
  if (entity === undefined) return;
  if (entity.length === 0) {
    out.cutShort ||= !ended;
    return;
  }
  addNumber(out, entity.point, entity.length);
  if (isIntroducer(entity.point)) readPeeled(text, at, ended, out, peels);
}

/** Letters after a backslash that stand for another character than themselves. */
export const NAMED = new Map(
  Object.entries({ a: 7, b: 8, e: 27, E: 27, f: 12, n: 10, r: 13, t: 9, v: 11, Z: 26, s: 32 }).map(
    ([letter, value]) => [letter.charCodeAt(0), value] as const,
  ),
);

/**
 * One backslash escapes what follows; where a text was escaped again, and again, there are more of them. Two, four or eight may
 * also stand for one.
 */
function readBackslashes(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  let run = 1;
  while (run < MOST_BACKSLASHES && text[at + run] === BACKSLASH) run++;
  for (let length = 2; length <= run; length *= 2) add(out, BACKSLASH, length);
  const next = at + run;
  const byte = text[next];
  if (byte === undefined) {
    out.cutShort ||= !ended;
    return;
  }
  if (byte === LINE_FEED || byte === RETURN) {
    readBrokenLine(text, at, run, ended, out);
    return;
  }
  if (byte === AMPERSAND) readEscapedEntity(text, at, run, ended, out);
  if (byte !== BACKSLASH) add(out, byte, run + 1);
  const named = NAMED.get(byte);
  if (named !== undefined) add(out, named, run + 1);
  if (byte === 0x75 || byte === 0x55) readUnicode(text, at, run, ended, out, peels);
  else if (byte === 0x78 || byte === 0x58) readHex(text, at, run, ended, out, peels);
  else if (byte === 0x4d || byte === 0x43) readMeta(text, at, run, ended, out);
  if (hexDigit(byte) >= 0) readDigits(text, at, run, ended, out);
}

/** `\&quot;`: HTML made of JSON. */
function readEscapedEntity(text: Buffer, at: number, run: number, ended: boolean, out: Spellings): void {
  const entity = entityAt(text, at + run);
  if (entity === undefined) return;
  if (entity.length > 0) addNumber(out, entity.point, run + entity.length);
  else out.cutShort ||= !ended;
}

/** `\u0041`, a pair of surrogates, `\u{41}`, `\U00000041`. */
function readUnicode(text: Buffer, at: number, run: number, ended: boolean, out: Spellings, peels: number): void {
  const digits = at + run + 1;
  if (text[digits] === 0x7b) {
    readBraces(text, at, digits, ended, out);
    return;
  }
  const wide = text[digits - 1] === 0x55;
  const number = hexNumber(text, digits, wide ? 8 : 4);
  if (number < 0) {
    if (!ended && isHexUpTo(text, digits, wide ? 8 : 4)) out.cutShort = true;
    return;
  }
  if (wide) {
    addNumber(out, number, digits + 8 - at);
    return;
  }
  addUnit(text, at, digits + 4 - at, number, out, BACKSLASH, ended);
  if (isIntroducer(number)) readPeeled(text, at, ended, out, peels);
}

/** A unit of UTF-16, with the other half of the character, which is written in the same way. */
function addUnit(
  text: Buffer,
  at: number,
  length: number,
  unit: number,
  out: Spellings,
  introducer: number,
  ended: boolean,
): void {
  if (!isHighSurrogate(unit)) {
    addNumber(out, unit, length);
    return;
  }
  let next = at + length;
  while (text[next] === introducer) next++;
  if (next < text.length && text[next] !== 0x75) return;
  const low = hexNumber(text, next + 1, 4);
  if (low < 0 && !ended && isHexUpTo(text, next + 1, 4)) out.cutShort = true;
  if ((low & 0xfc00) === 0xdc00 && low >= 0) {
    add(out, CHARACTER | (0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff)), next + 5 - at);
  }
}

/** `\x41`, `\x{41}`; as many as two digits. */
function readHex(text: Buffer, at: number, run: number, ended: boolean, out: Spellings, peels: number): void {
  const digits = at + run + 1;
  if (text[digits] === 0x7b) {
    readBraces(text, at, digits, ended, out);
    return;
  }
  const byte = hexNumber(text, digits, 2);
  if (byte >= 0) {
    addNumber(out, byte, digits + 2 - at);
    if (isIntroducer(byte)) readPeeled(text, at, ended, out, peels);
    return;
  }
  const one = hexNumber(text, digits, 1);
  if (one >= 0) add(out, one, digits + 1 - at);
  if (!ended && isHexUpTo(text, digits, 2)) out.cutShort = true;
}

function readBraces(text: Buffer, at: number, brace: number, ended: boolean, out: Spellings): void {
  let end = brace + 1;
  let number = 0;
  for (; end < brace + 8 && hexDigit(text[end]) >= 0; end++) number = number * 16 + hexDigit(text[end]);
  if (text[end] === 0x7d && end > brace + 1) addNumber(out, number, end + 1 - at);
  else if (end === text.length && !ended) out.cutShort = true;
}

const QUESTION = 0x3f;

/** Zsh's `\M-C`, `\C-a` and, for DEL, `\C-?`. */
function readMeta(text: Buffer, at: number, run: number, ended: boolean, out: Spellings): void {
  let next = at + run;
  let meta = 0;
  for (;;) {
    if (text.length < next + 3) {
      out.cutShort ||= !ended;
      return;
    }
    if (text[next + 1] !== 0x2d) return;
    const byte = text[next + 2] as number;
    if (text[next] === 0x43) {
      add(out, meta | (byte === QUESTION ? 0x7f : byte & 0x1f), next + 3 - at);
      return;
    }
    meta = 0x80;
    if (byte !== BACKSLASH) {
      add(out, meta | byte, next + 3 - at);
      return;
    }
    next += 3;
  }
}

/** Octal, decimal (Lua, DNS), two hex digits (LDAP), and up to six before a blank (CSS). */
function readDigits(text: Buffer, at: number, run: number, ended: boolean, out: Spellings): void {
  const from = at + run;
  let octals = 0;
  let octal = 0;
  for (; octals < 3 && isOctal(text[from + octals]); octals++)
    octal = octal * 8 + (text[from + octals] as number) - 0x30;
  if (octals > 0) addNumber(out, octal & 0xff, run + octals);
  // `printf %b` and Java take a zero before three digits.
  if (octals === 3 && text[from] === 0x30 && isOctal(text[from + 3])) {
    addNumber(out, (octal * 8 + (text[from + 3] as number) - 0x30) & 0xff, run + 4);
  }
  let decimals = 0;
  let decimal = 0;
  for (; decimals < 3 && isDecimal(text[from + decimals]); decimals++) {
    decimal = decimal * 10 + (text[from + decimals] as number) - 0x30;
  }
  if (decimals > 0 && decimal !== octal && decimal < 0x100) addNumber(out, decimal, run + decimals);
  let hexes = 0;
  let hex = 0;
  for (; hexes < 6 && hexDigit(text[from + hexes]) >= 0; hexes++) {
    hex = hex * 16 + hexDigit(text[from + hexes]);
    if (hexes === 1) addNumber(out, hex, run + 2);
  }
  if (text[from + hexes] === SPACE) addNumber(out, hex, run + hexes + 1);
  if (from + Math.max(octals, decimals, hexes) === text.length && !ended) out.cutShort = true;
}

/** Columns at which `sed -n l` breaks a line, by default 69, less the escape that did not fit; and those who break at 80. */
const LEAST_BROKEN_COLUMN = 60;
const MOST_BROKEN_COLUMN = 80;

function readBrokenLine(text: Buffer, at: number, run: number, ended: boolean, out: Spellings): void {
  if (run !== 1) return;
  const column = columnOf(text, out.before, at);
  if (column < LEAST_BROKEN_COLUMN || column > MOST_BROKEN_COLUMN) return;
  if (text[at + 1] === LINE_FEED) add(out, NOTHING, 2);
  else if (text[at + 2] === LINE_FEED) add(out, NOTHING, 3);
  else if (at + 2 === text.length && !ended) out.cutShort = true;
}

function columnOf(text: Buffer, before: Buffer, at: number): number {
  let column = 0;
  for (; column <= MOST_BROKEN_COLUMN; column++) {
    const place = at - 1 - column;
    const byte = place >= 0 ? text[place] : before[before.length + place];
    if (byte === LINE_FEED || byte === undefined) break;
  }
  return column;
}

/**
 * An escape whose first sign is escaped itself: a text that was encoded twice. The next characters are decoded once, as that sign
 * was, and read again.
 */
function readPeeled(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  if (peels === MOST_PEELS) return;
  out.peeled ??= {
    bytes: Buffer.alloc(PEELED_CHARS),
    places: new Int32Array(PEELED_CHARS + 1),
    once: createSpellings(),
    again: createSpellings(),
  };
  const { bytes: peeled, places: ends, once, again: inner } = out.peeled;
  ends[0] = at;
  let count = 0;
  let next = at;
  let cut = false;
  while (count < PEELED_CHARS && next < text.length) {
    const length = peelOne(text, next, ended, once, peels);
    if (once.cutShort) {
      // A text that ends there may be an escape of the one that is decoded here.
      cut = true;
      break;
    }
    peeled[count++] = length === 0 ? (text[next] as number) : (once.values[0] as number);
    next += length === 0 ? 1 : length;
    ends[count] = next;
  }
  inner.count = 0;
  inner.cutShort = false;
  read(peeled.subarray(0, count), 0, !cut && (ended || next < text.length), inner, peels + 1);
  out.cutShort ||= inner.cutShort && !ended;
  for (let index = 0; index < inner.count; index++) {
    const length = ends[inner.lengths[index] as number] as number;
    if (inner.values[index] !== NOTHING) add(out, inner.values[index] as number, length - at);
  }
}

/** The length of an escape of ASCII at `at`, whose value is then the first; or 0. */
function peelOne(text: Buffer, at: number, ended: boolean, once: Spellings, peels: number): number {
  once.count = 0;
  once.cutShort = false;
  const byte = text[at];
  if (byte === PERCENT) readPercent(text, at, ended, once, MOST_PEELS);
  else if (byte === AMPERSAND) readEntity(text, at, ended, once, MOST_PEELS);
  else if (byte === BACKSLASH) {
    const kind = text[at + 1];
    if (kind === 0x75) readUnicode(text, at, 1, ended, once, MOST_PEELS);
    else if (kind === 0x78) readHex(text, at, 1, ended, once, MOST_PEELS);
    else if (kind === BACKSLASH || kind === QUOTE) add(once, kind, 2);
  }
  const value = once.values[0] as number;
  return once.count > 0 && value >= 0 && value < 0x80 && peels < MOST_PEELS ? (once.lengths[0] as number) : 0;
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isOctal(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x37;
}

function isDecimal(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** The number that `count` hex digits give, or -1. */
function hexNumber(text: Buffer, at: number, count: number): number {
  let number = 0;
  for (let index = 0; index < count; index++) {
    const digit = hexDigit(text[at + index]);
    if (digit < 0) return -1;
    number = number * 16 + digit;
  }
  return number;
}

/** True when the text ends within what may be `count` hex digits. */
function isHexUpTo(text: Buffer, at: number, count: number): boolean {
  let next = at;
  while (next < at + count && hexDigit(text[next]) >= 0) next++;
  return next >= text.length;
}
