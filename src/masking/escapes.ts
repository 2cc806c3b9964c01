import { entityAt } from './entities.ts';
import { addNumber, addReading, CHARACTER, NOTHING, type Readings } from './readings.ts';
import {
  AMPERSAND,
  APOSTROPHE,
  BACKSLASH,
  hexDigit,
  isIntroducer,
  LINE_FEED,
  MOST_BACKSLASHES,
  PERCENT,
  QUOTE,
  RETURN,
  SMALL_U,
  SPACE,
} from './signs.ts';

/*
 * Readers of single escapes. Each adds the readings of what stands at `at`, of which `run` bytes are backslashes, and is true where that is
 * the sign of another escape: the text may have been encoded twice.
 */

/** One character in a shell's quotes, which end before it and begin anew after it, and a quote that is doubled. */
const QUOTED_QUOTES = [`'\\''`, `'"'"'`, `"'"`, `''`, `""`, `"\\""`].map((text) => ({
  bytes: Buffer.from(text),
  value: text === `""` || text === `"\\""` ? QUOTE : APOSTROPHE,
}));

export function readQuotes(text: Buffer, at: number, ended: boolean, out: Readings): void {
  for (const { bytes, value } of QUOTED_QUOTES) {
    let same = 0;
    while (same < bytes.length && text[at + same] === bytes[same]) same++;
    if (same === bytes.length) addReading(out, value, same);
    else if (at + same === text.length && !ended) out.cutShort = true;
  }
}

/** Sequences that set colours and clear lines of a terminal, ECMA-48 5.4, show nothing. */
export function readColour(text: Buffer, at: number, ended: boolean, out: Readings): void {
  const end = endOfColour(text, at);
  if (end > 0) addReading(out, NOTHING, end - at);
  else if (end < 0) out.cutShort ||= !ended;
}

/** Where a control sequence ends that begins at `at`; 0 where there is none, -1 where the text cuts it short. */
export function endOfColour(text: Buffer, at: number): number {
  const to = Math.min(text.length, at + MOST_COLOUR_BYTES);
  let end = at + 1;
  if (end < to && text[end++] !== BRACKET) return 0;
  while (end < to && (text[end] as number) >= 0x20 && (text[end] as number) < 0x40) end++;
  if (end >= to) return to === text.length ? -1 : 0;
  return (text[end] as number) >= 0x40 && (text[end] as number) < 0x7f ? end + 1 : 0;
}

const BRACKET = 0x5b;
const MOST_COLOUR_BYTES = 20;

/** `%41`, and JavaScript's `%u0041`. */
export function readPercent(text: Buffer, at: number, ended: boolean, out: Readings): boolean {
  if (text[at + 1] === SMALL_U) {
    const unit = hexNumber(text, at + 2, 4);
    if (unit >= 0) addUnit(text, at, 6, unit, out, PERCENT, ended);
    else if (!ended && isHexUpTo(text, at + 2, 4)) out.cutShort = true;
    return false;
  }
  const byte = hexNumber(text, at + 1, 2);
  if (byte >= 0) addNumber(out, byte, 3);
  else if (!ended && isHexUpTo(text, at + 1, 2)) out.cutShort = true;
  return isIntroducer(byte);
}

/** `&amp;`, `&#38;` and the like. */
export function readEntity(text: Buffer, at: number, ended: boolean, out: Readings): boolean {
  const entity = entityAt(text, at);
  if (entity === undefined) return false;
  if (entity.length === 0) {
    out.cutShort ||= !ended;
    return false;
  }
  addNumber(out, entity.point, entity.length);
  return isIntroducer(entity.point);
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
export function readBackslashes(text: Buffer, at: number, ended: boolean, out: Readings): boolean {
  let run = 1;
  while (run < MOST_BACKSLASHES && text[at + run] === BACKSLASH) run++;
  for (let length = 2; length <= run; length *= 2) addReading(out, BACKSLASH, length);
  const next = at + run;
  const byte = text[next];
  if (byte === undefined) {
    out.cutShort ||= !ended;
    return false;
  }
  if (byte === LINE_FEED || byte === RETURN) {
    readBrokenLine(text, at, run, ended, out);
    return false;
  }
  if (byte === AMPERSAND) readEscapedEntity(text, at, run, ended, out);
  if (byte !== BACKSLASH) addReading(out, byte, run + 1);
  const named = NAMED.get(byte);
  if (named !== undefined) addReading(out, named, run + 1);
  if (byte === 0x4d || byte === 0x43) readMeta(text, at, run, ended, out);
  if (hexDigit(byte) >= 0) readDigits(text, at, run, ended, out);
  if (byte === 0x75 || byte === 0x55) return readUnicode(text, at, run, ended, out);
  return (byte === 0x78 || byte === 0x58) && readHex(text, at, run, ended, out);
}

/** `\&quot;`: HTML made of JSON. */
function readEscapedEntity(text: Buffer, at: number, run: number, ended: boolean, out: Readings): void {
  const entity = entityAt(text, at + run);
  if (entity === undefined) return;
  if (entity.length > 0) addNumber(out, entity.point, run + entity.length);
  else out.cutShort ||= !ended;
}

/** `\u0041`, a pair of surrogates, `\u{41}`, `\U00000041`. */
export function readUnicode(text: Buffer, at: number, run: number, ended: boolean, out: Readings): boolean {
  const digits = at + run + 1;
  if (text[digits] === 0x7b) {
    readBraces(text, at, digits, ended, out);
    return false;
  }
  const wide = text[digits - 1] === 0x55;
  const number = hexNumber(text, digits, wide ? 8 : 4);
  if (number < 0) {
    if (!ended && isHexUpTo(text, digits, wide ? 8 : 4)) out.cutShort = true;
    return false;
  }
  if (wide) {
    addNumber(out, number, digits + 8 - at);
    return false;
  }
  addUnit(text, at, digits + 4 - at, number, out, BACKSLASH, ended);
  return isIntroducer(number);
}

/** A unit of UTF-16, with the other half of the character, which is written in the same way. */
function addUnit(
  text: Buffer,
  at: number,
  length: number,
  unit: number,
  out: Readings,
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
    addReading(out, CHARACTER | (0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff)), next + 5 - at);
  }
}

/** `\x41`, `\x{41}`; as many as two digits. */
export function readHex(text: Buffer, at: number, run: number, ended: boolean, out: Readings): boolean {
  const digits = at + run + 1;
  if (text[digits] === 0x7b) {
    readBraces(text, at, digits, ended, out);
    return false;
  }
  const byte = hexNumber(text, digits, 2);
  if (byte >= 0) {
    addNumber(out, byte, digits + 2 - at);
    return isIntroducer(byte);
  }
  const one = hexNumber(text, digits, 1);
  if (one >= 0) addReading(out, one, digits + 1 - at);
  if (!ended && isHexUpTo(text, digits, 2)) out.cutShort = true;
  return false;
}

function readBraces(text: Buffer, at: number, brace: number, ended: boolean, out: Readings): void {
  let end = brace + 1;
  let number = 0;
  for (; end < brace + 8 && hexDigit(text[end]) >= 0; end++) number = number * 16 + hexDigit(text[end]);
  if (text[end] === 0x7d && end > brace + 1) addNumber(out, number, end + 1 - at);
  else if (end === text.length && !ended) out.cutShort = true;
}

const QUESTION = 0x3f;

/** Zsh's `\M-C`, `\C-a` and, for DEL, `\C-?`. */
function readMeta(text: Buffer, at: number, run: number, ended: boolean, out: Readings): void {
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
      addReading(out, meta | (byte === QUESTION ? 0x7f : byte & 0x1f), next + 3 - at);
      return;
    }
    meta = 0x80;
    if (byte !== BACKSLASH) {
      addReading(out, meta | byte, next + 3 - at);
      return;
    }
    next += 3;
  }
}

/** Octal, decimal (Lua, DNS), two hex digits (LDAP), and up to six before a blank (CSS). */
function readDigits(text: Buffer, at: number, run: number, ended: boolean, out: Readings): void {
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

function readBrokenLine(text: Buffer, at: number, run: number, ended: boolean, out: Readings): void {
  if (run !== 1) return;
  const column = columnOf(text, out.before, at);
  if (column < LEAST_BROKEN_COLUMN || column > MOST_BROKEN_COLUMN) return;
  if (text[at + 1] === LINE_FEED) addReading(out, NOTHING, 2);
  else if (text[at + 2] === LINE_FEED) addReading(out, NOTHING, 3);
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
