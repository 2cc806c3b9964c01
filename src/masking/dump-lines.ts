import { hexDigit, LINE_FEED, RETURN, SPACE } from './signs.ts';

/** One line of a hex or octal dump, taken apart. */
export interface DumpLine {
  bytes: number[];
  /** By byte: where its digits begin and end in the line. Those of two bytes that were written as one number are one. */
  starts: number[];
  ends: number[];
  /** Where the column begins that shows the same bytes as text; -1 when there is none. */
  textColumn: number;
}

/** No dump has longer lines. */
export const MOST_DUMP_COLUMNS = 200;

const LOOK_BYTES = 16;
const LEAST_OFFSET_DIGITS = 6;
const ZERO = 0x30;
const SMALL_X = 0x78;

const OFFSET = /^[0-9a-fA-F]{6,16}(:?)(?= )/;
const TEXT_COLUMN = / {2}([|>]).{1,64}[|<]\s*$/;
const CHARACTER_FIELDS = /^(?: {3}[ -~]| {2}\\[0abfnrtv]| [0-3][0-7]{2}| {2}\*\*)+ *\r?$/;
const LISTED_IN_C = /^\s+(?:0x[0-9a-f]{2}(?:, |,?\r?$))+$/i;
const BYTES_ALONE = /^(?: [0-9a-f]{2})+\s*$/i;
const LEAST_BYTES_ALONE = 4;
const ESCAPES: Record<string, number> = { 0: 0, a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };

const UNFINISHED = [
  /^0[0-9a-fA-F]{0,15}:?$/,
  /^0[0-9a-fA-F]{5,15}:? [ 0-9a-zA-Z]?/,
  /^ {1,2}(?:0(?:x(?:[0-9a-f](?:[0-9a-f](?:,.*)?)?)?)?)?$/i,
  /^(?: [0-9a-f]{2})* [0-9a-f]?$|^(?: [0-9a-f]{2})+$/i,
  /^(?: {3}[ -~]| {2}\\[0abfnrtv]| [0-3][0-7]{2}| {2}\*\*)*(?: {1,3}(?:[0-3][0-7]?|\\|\*)?)?$/,
];

/** By the first bytes of the line at `at`: `00000`, `  0x`, ` 0a `. A line that the text cuts short does so too. */
export function looksLikeDump(text: Buffer, at: number): boolean {
  if (at + LOOK_BYTES > text.length) return true;
  if (text[at] === ZERO) {
    let end = at;
    while (end < at + LEAST_OFFSET_DIGITS && hexDigit(text[end]) >= 0) end++;
    return end === at + LEAST_OFFSET_DIGITS;
  }
  let first = at;
  while (first < at + LOOK_BYTES - 4 && text[first] === SPACE) first++;
  if (text[first] === ZERO && text[first + 1] === SMALL_X) return true;
  // `od -A n -c`: a character in the last of four columns.
  if (text[at] === SPACE && text[at + 4] === SPACE && text[at + 3] !== SPACE) {
    if (text[at + 1] === SPACE || isOctalField(text, at)) return true;
  }
  const after = text[first + 2];
  const ends = after === SPACE || after === LINE_FEED || after === RETURN;
  return first === at + 1 && ends && hexDigit(text[first]) >= 0 && hexDigit(text[first + 1]) >= 0;
}

function isOctalField(text: Buffer, at: number): boolean {
  const digits = [1, 2, 3].map((place) => (text[at + place] ?? 0) - ZERO);
  return digits.every((digit) => digit >= 0 && digit < 8);
}

/** True when an unfinished line may become one of a dump. */
export function mayBecomeDump(line: string): boolean {
  return line.length < MOST_DUMP_COLUMNS && UNFINISHED.some((form) => form.test(line));
}

/**
 * Reads a line of `xxd`, `xxd -i`, `od` (octal, `-x`, `-c`, `-t x1` to `x8`) or `hexdump` (also `-C`, `-c`), and of what writes like them.
 *
 * @param line one character for each byte, without its end
 * @param continues the line before was of a dump
 * @returns `undefined` for any other line
 */
export function readDumpLine(line: string, continues = false): DumpLine | undefined {
  if (line.length > MOST_DUMP_COLUMNS) return undefined;
  if (LISTED_IN_C.test(line)) return fromTokens(line, 0, line.length, /0x[0-9a-f]{2}/gi, -1);
  if (CHARACTER_FIELDS.test(line)) return longEnough(fromCharacters(line, 0), continues);
  if (BYTES_ALONE.test(line)) {
    return longEnough(fromTokens(line, 0, line.length, /\S+/g, -1), continues);
  }
  const offset = OFFSET.exec(line);
  if (!offset) return undefined;
  const from = offset[0].length;
  if (offset[1] === ':') {
    const gap = line.indexOf('  ', from);
    const end = gap < 0 ? line.length : gap;
    const dump = fromTokens(line, from, end, /\S+/g, -1);
    if (dump && gap >= 0) dump.textColumn = Math.max(gap + 2, line.replace(/\r$/, '').length - dump.bytes.length);
    return dump;
  }
  if (CHARACTER_FIELDS.test(line.slice(from))) return fromCharacters(line, from);
  const column = TEXT_COLUMN.exec(line);
  return fromTokens(line, from, column ? column.index : line.length, /\S+/g, column ? column.index + 3 : -1);
}

/** Without an offset only a longer line, and one that goes on after it, are sure to be of a dump. */
function longEnough(dump: DumpLine | undefined, continues: boolean): DumpLine | undefined {
  return dump && (continues || dump.bytes.length >= LEAST_BYTES_ALONE) ? dump : undefined;
}

function fromTokens(line: string, from: number, to: number, pattern: RegExp, textColumn: number): DumpLine | undefined {
  const found = [...line.slice(0, to).matchAll(pattern)].filter(({ index }) => index >= from);
  if (found.length === 0) return undefined;
  const dump: DumpLine = { bytes: [], starts: [], ends: [], textColumn };
  const add = (byte: number, start: number, end: number): void => {
    dump.bytes.push(byte);
    dump.starts.push(start);
    dump.ends.push(end);
  };
  const inOrder = line[from - 1] === ':';
  for (const { 0: token, index } of found) {
    if (/^0x[0-9a-f]{2}$/i.test(token)) add(Number.parseInt(token, 16), index, index + 4);
    else if (/^[0-3][0-7]{5}$/.test(token) && !inOrder) {
      const word = Number.parseInt(token, 8);
      add(word & 0xff, index, index + 6);
      add(word >> 8, index, index + 6);
    } else if (/^(?:[0-9a-f]{2}){1,16}$/i.test(token)) {
      const bytes = token.match(/../g) ?? [];
      // Words of two, four and eight bytes are as the processor has them, the lowest first.
      const swapped = !inOrder && (bytes.length === 2 || bytes.length === 4 || bytes.length === 8);
      for (const [at, digits] of bytes.entries()) {
        if (swapped) add(Number.parseInt(bytes.at(-1 - at) ?? '', 16), index, index + token.length);
        else add(Number.parseInt(digits, 16), index + 2 * at, index + 2 * at + 2);
      }
    } else return undefined;
  }
  return dump;
}

/** Four columns for each byte; a character of several bytes is followed by `**`. */
function fromCharacters(line: string, from: number): DumpLine {
  const dump: DumpLine = { bytes: [], starts: [], ends: [], textColumn: -1 };
  for (let at = from; at + 4 <= line.length; at += 4) {
    const field = line.slice(at, at + 4);
    const shown = field.trim();
    const byte = /^\d{3}$/.test(shown)
      ? Number.parseInt(shown, 8)
      : field.startsWith('  \\')
        ? ESCAPES[shown[1] ?? '']
        : field.charCodeAt(3);
    dump.bytes.push(byte ?? 0);
    dump.starts.push(field[3] === ' ' ? at : at + 4 - shown.length);
    dump.ends.push(at + 4);
  }
  return dump;
}
