import { hexDigit, LINE_FEED, RETURN, SPACE } from './signs.ts';

/** The bytes that one line of a dump shows, in one reading: a line may have several. */
export interface DumpLine {
  /** The lines of a dump are read in the same way one after another. */
  as: Reading;
  bytes: number[];
  /** By byte: where its digits begin and end in the line. Those of bytes that were written as one number are one. */
  starts: number[];
  ends: number[];
  /** Where the column begins that shows the same bytes as text; -1 when there is none. */
  textColumn: number;
}

/** Bytes in order, words as a processor has them (the lowest byte first), numbers to other bases, characters, or text by itself. */
export type Reading = 'bytes' | 'words' | 'octal' | 'decimal' | 'binary' | 'characters' | 'text';

/** No dump has longer lines. */
export const MOST_DUMP_COLUMNS = 200;

const LOOK_BYTES = 24;
const LEAST_OFFSET_DIGITS = 4;
const LONG_OFFSET_DIGITS = 6;
const MOST_NUMBER_DIGITS = 20;
const ZERO = 0x30;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const SMALL_X = 0x78;

/** `00000010:` of xxd, `0000:` of curl, `0000 -` of OpenSSL, `0000020` of od. */
const OFFSET = /^([0-9a-f]{4,16})(:| -)?(?= )/i;
const FRAMED_TEXT = / {2}([|>]).{1,64}[|<]\s*$/;
const OD_NAMES =
  'nul|soh|stx|etx|eot|enq|ack|bel|bs|ht|nl|vt|ff|cr|so|si|dle|dc1|dc2|dc3|dc4|nak|syn|etb|can|em|sub|esc|fs|gs|rs|us|sp|del';
const CHARACTER = String.raw` {3}[ -~]| {2}\\[0abfnrtv]| [0-3][0-7]{2}| {2}\*\*| {1,2}(?:${OD_NAMES})`;
const CHARACTER_FIELDS = new RegExp(String.raw`^(?:${CHARACTER})+ *\r?$`);
const LEAST_BYTES_ALONE = 4;
const ESCAPES: Record<string, number> = { 0: 0, a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };
const NAMED = new Map(OD_NAMES.split('|').map((name, at, { length }) => [name, at === length - 1 ? 0x7f : at]));

const UNFINISHED = [
  /^0[0-9a-f]{0,15}(?::| -?)?$/i,
  /^0[0-9a-f]{3,15}(?::| -)? /i,
  /^ [ 0-9a-fx,-]*$/i,
  new RegExp(String.raw`^(?:${CHARACTER})*(?: {1,3}(?:[0-3][0-7]?|\\|\*)?| {1,2}[a-z]{1,2})?$`),
];

/** By the first bytes of the line at `at`: `00000`, `0000:`, `  0x`, ` 0a `, `  104,`. A line that the text cuts short does so too. */
export function looksLikeDump(text: Buffer, at: number): boolean {
  if (at + LOOK_BYTES > text.length) return true;
  if (text[at] === ZERO) {
    let end = at;
    while (end < at + LONG_OFFSET_DIGITS && hexDigit(text[end]) >= 0) end++;
    if (end === at + LONG_OFFSET_DIGITS) return true;
    return end === at + LEAST_OFFSET_DIGITS && (text[end] === SPACE || text[end] === COLON);
  }
  if (text[at] !== SPACE) return false;
  let first = at;
  while (first < at + LOOK_BYTES - 4 && text[first] === SPACE) first++;
  if (text[first] === ZERO && text[first + 1] === SMALL_X) return true;
  // `od -A n -c`: a character in the last of four columns.
  if (text[at + 4] === SPACE && text[at + 3] !== SPACE) {
    if (text[at + 1] === SPACE || isOctalField(text, at)) return true;
  }
  if (text[first] === MINUS) first++;
  let end = first;
  while (end < first + MOST_NUMBER_DIGITS && hexDigit(text[end]) >= 0) end++;
  const after = text[end];
  return end > first && (after === SPACE || after === LINE_FEED || after === RETURN || after === COMMA);
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
 * Reads a line of `xxd` (also `-b`, `-e`, `-i`), `od` in any of its types, `hexdump` (also `-C`, `-c`), `curl --trace`, OpenSSL, a list of
 * numbers that goes over lines, and of what writes like them.
 *
 * @param line one character for each byte, without its end
 * @param continues the line before was of a dump
 * @returns nothing for any other line
 */
export function readDumpLine(line: string, continues = false): DumpLine[] {
  if (line.length > MOST_DUMP_COLUMNS) return [];
  const [all, offset, sign] = OFFSET.exec(line) ?? ['', undefined, undefined];
  if (offset === undefined && !line.startsWith(' ')) return [];
  const from = all.length;
  const isCurls = offset?.length === LEAST_OFFSET_DIGITS && sign === ':';
  const found: (DumpLine | undefined)[] = [];
  if (CHARACTER_FIELDS.test(line.slice(from))) found.push(fromCharacters(line, from));
  if (isCurls) found.push(fromText(line, from + 1));
  for (const [as, read] of NUMBERS) {
    if (isCurls) found.push(withText(as, read, line, from, [curlsGap(from)]));
    else if (offset === undefined) found.push(readFields(as, read, line, from, line.length));
    else found.push(withText(as, read, line, from, sign === undefined ? [] : gapsOf(line, from)));
  }
  const dumps = found
    .filter((dump) => dump !== undefined)
    .filter((dump) => continues || dump.as !== 'words' || hasWords(dump));
  // Without an offset only a longer line, one that goes on after it, and one of a list are sure to be of a dump.
  return offset !== undefined || continues || /,\s*$/.test(line)
    ? dumps
    : dumps.filter(({ bytes }) => bytes.length >= LEAST_BYTES_ALONE);
}

function hasWords({ starts, ends }: DumpLine): boolean {
  return starts.some((start, at) => (ends[at] as number) - start > 2);
}

/** Its text begins behind one blank, and sixteen bytes with a blank each. */
function curlsGap(from: number): Gap {
  return { start: from + 48, end: from + 49 };
}

/** Blanks that text may begin behind, or with. */
interface Gap {
  start: number;
  end: number;
}

function gapsOf(line: string, from: number): Gap[] {
  const found = line.slice(from).matchAll(/(?<=\S) {2,}(?=\S)/g);
  return Array.from(found, ({ index, 0: blanks }) => ({
    start: from + index,
    end: from + index + blanks.length,
  }));
}

/** With the column of text that has as many characters as the numbers before it show bytes. */
function withText(as: Reading, read: ReadNumber, line: string, from: number, gaps: Gap[]): DumpLine | undefined {
  const framed = FRAMED_TEXT.exec(line);
  if (framed) return readFields(as, read, line, from, framed.index, framed.index + 3);
  const end = line.replace(/\r$/, '').length;
  for (const gap of gaps) {
    const dump = readFields(as, read, line, from, gap.start);
    if (dump === undefined) return undefined;
    const column = end - dump.bytes.length;
    if (column > gap.start && column <= gap.end) return { ...dump, textColumn: column };
  }
  const [first] = gaps;
  return (
    readFields(as, read, line, from, line.length) ?? (first && readFields(as, read, line, from, first.start, first.end))
  );
}

interface NumberField {
  digits: string;
  start: number;
  end: number;
  /** From the end of the number before it. */
  width: number;
}

/** The bytes of one field, in order; `undefined` where it is no such number. */
type ReadNumber = (field: NumberField) => number[] | undefined;

const NUMBERS: readonly (readonly [Reading, ReadNumber])[] = [
  ['bytes', ({ digits }) => bytesOfHex(digits.replace(/^0x/i, ''))],
  ['words', ({ digits }) => bytesOfHex(digits)?.reverse()],
  [
    'octal',
    ({ digits }) =>
      OCTAL.test(digits) ? littleEndian(BigInt(`0o${digits}`), OCTAL_BYTES.get(digits.length)) : undefined,
  ],
  [
    'decimal',
    ({ digits, width }) =>
      /^-?\d{1,20}$/.test(digits) ? littleEndian(BigInt(digits), bytesOfWidth(width)) : undefined,
  ],
  ['binary', ({ digits }) => (/^[01]{8}$/.test(digits) ? [Number.parseInt(digits, 2)] : undefined)],
];

const OCTAL = /^(?:[0-3][0-7]{2}|[01][0-7]{5}|[0-3][0-7]{10}|[01][0-7]{21})$/;
const OCTAL_BYTES = new Map([
  [3, 1],
  [6, 2],
  [11, 4],
  [22, 8],
]);

/** Of `od -t u1` and `d1`, `u2`, `d2` and `hexdump -d`, `u4` and `d4`, and `u8`. */
function bytesOfWidth(width: number): number {
  if (width <= 5) return 1;
  if (width <= 8) return 2;
  return width <= 12 ? 4 : 8;
}

function bytesOfHex(digits: string): number[] | undefined {
  return /^(?:[0-9a-f]{2}){1,32}$/i.test(digits) ? [...Buffer.from(digits, 'hex')] : undefined;
}

function littleEndian(value: bigint, size = 1): number[] | undefined {
  const bits = 8 * size;
  if (BigInt.asUintN(bits, value) !== value && BigInt.asIntN(bits, value) !== value) return undefined;
  return Array.from({ length: size }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));
}

/** @param textColumn where the same bytes are shown as text, -1 for nowhere */
function readFields(
  as: Reading,
  read: ReadNumber,
  line: string,
  from: number,
  to: number,
  textColumn = -1,
): DumpLine | undefined {
  const dump: DumpLine = { as, bytes: [], starts: [], ends: [], textColumn };
  let before = from;
  for (const { 0: shown, index } of line.slice(from, to).matchAll(/(?:(?<=\s)-)?[^\s,-]+,?/g)) {
    const digits = shown.replace(/,$/, '');
    const start = from + index;
    const end = start + digits.length;
    // In a list each number is a byte.
    const bytes = read({ digits, start, end, width: shown === digits ? end - before : 1 });
    if (bytes === undefined) return undefined;
    const isInOrder = as === 'bytes' && digits.length === 2 * bytes.length;
    for (const [at, byte] of bytes.entries()) {
      dump.bytes.push(byte);
      dump.starts.push(isInOrder ? start + 2 * at : start);
      dump.ends.push(isInOrder ? start + 2 * at + 2 : end);
    }
    before = end;
  }
  return dump.bytes.length > 0 ? dump : undefined;
}

/** A line of `curl --trace-ascii`, which breaks long ones. */
function fromText(line: string, from: number): DumpLine | undefined {
  const bytes = [...Buffer.from(line.slice(from).replace(/\r$/, ''), 'latin1')];
  const starts = bytes.map((_, at) => from + at);
  return bytes.length > 0
    ? { as: 'text', bytes, starts, ends: starts.map((start) => start + 1), textColumn: -1 }
    : undefined;
}

/** Four columns for each byte; a character of several bytes is followed by `**`. */
function fromCharacters(line: string, from: number): DumpLine {
  const dump: DumpLine = { as: 'characters', bytes: [], starts: [], ends: [], textColumn: -1 };
  for (let at = from; at + 4 <= line.length; at += 4) {
    const field = line.slice(at, at + 4);
    const shown = field.trim();
    const byte = /^\d{3}$/.test(shown)
      ? Number.parseInt(shown, 8)
      : field.startsWith('  \\')
        ? ESCAPES[shown[1] ?? '']
        : (NAMED.get(shown) ?? field.charCodeAt(3));
    dump.bytes.push(byte ?? 0);
    dump.starts.push(field[3] === ' ' ? at : at + 4 - shown.length);
    dump.ends.push(at + 4);
  }
  return dump;
}
