import { MIN_MASKED_CHARS } from '../protocol/limits.ts';

/**
 * A piece of a secret in one of its encodings: the bytes that a log may hold, one byte per character (latin1). A line end in it
 * matches an escape for one: no pattern goes over a line end of the log.
 */
export type Pattern = string & { readonly __brand: 'Pattern' };

/** A thing to look for: a text, or the bytes of a file that is no text. */
export type Part = string | Uint8Array;

/**
 * A family of encodings: what programs of one kind make of a part. Escapes of single characters are none of them: the search
 * reads those (`spellings.ts`) in all patterns.
 */
export type Form = (part: Part) => Pattern[];

/** As it is: a text, or bytes and, as nothing goes over a line end, the pieces between them. */
export function asItIs(part: Part): Pattern[] {
  if (typeof part === 'string') return [pattern(part)];
  const whole = bytesOf(part).toString('latin1');
  return [whole, ...whole.split(/[\r\n]+/).filter((piece) => piece.length >= MIN_BINARY_BYTES)] as Pattern[];
}

/** So many bytes of no text are in no log by chance. */
const MIN_BINARY_BYTES = 8;

/**
 * A text whose blanks, quotes, backslashes and characters outside ASCII are written in a way that changes no other character: blanks
 * that an unquoted `echo` collapsed and a form's `+`, quotes that SQL, YAML, CSV and shells double or leave and enter again; and
 * what a URL makes of it, which has no tabs and line ends, and slashes for backslashes.
 */
export function rewritten(part: Part): Pattern[] {
  if (typeof part !== 'string') return [];
  const signs = SIGNS_OF_TEMPLATES.test(part) ? patternsOf(part, withSignsOfTemplates(part)) : [];
  if (HAS_ONE_SPELLING.test(part)) return signs;
  const bytes = pattern(part);
  const texts = [
    part.trim().replace(/[ \t\r\n]+/g, ' '),
    part.replace(/[\t\r\n]/g, ''),
    part.replace(/[\t\r\n]/g, '').replaceAll('\\', '/'),
    part.replace(/[^ -~]/gu, (char) => `$'${char}'`),
    part.replace(/[^ -~]+/gu, (chars) => `'$'${chars}''`),
    part.replaceAll("'", `'\\''`).replace(/[^ -~]+/gu, (chars) => `'$'${chars}''`),
    inMailHeader(bytes),
    part.replace(/[^ -~\x80-\uffff]/g, inSyslog),
  ];
  return [...signs, ...patternsOf(part, texts), ...rewrittenInLines(part)];
}

/** Those of {@link rewritten} in which the lines of a text stay lines. */
export function rewrittenInLines(part: Part): Pattern[] {
  if (typeof part !== 'string' || HAS_ONE_SPELLING.test(part)) return [];
  const bytes = pattern(part);
  const texts = [
    part.normalize('NFC'),
    part.normalize('NFD'),
    part.replaceAll(' ', '+'),
    part.replaceAll("'", "''"),
    part.replaceAll('"', '""'),
    part.replace(/['"]/g, '$&$&'),
    part.replaceAll("'", `'\\''`),
    part.replaceAll("'", `'"'"'`),
    asShownByCat(bytes, ''),
    asShownByCat(bytes, '\t'),
    quotedPrintable(bytes),
    ...withoutWhatTheLocaleLacks(part),
  ];
  return [...patternsOf(part, texts), ...inLatin1(part), ...readAsLatin1(part)];
}

/** Of those that are written otherwise than `part`. */
function patternsOf(part: string, texts: readonly string[]): Pattern[] {
  return texts.filter((text) => text !== part && text.length >= MIN_MASKED_CHARS).map(pattern);
}

/** Signs that are doubled where they would be of a variable, git's quotes, and PowerShell's backtick before what ends a string or is a variable. */
function withSignsOfTemplates(text: string): string[] {
  return [
    text.replaceAll('$', '$$$$'),
    text.replaceAll('%', '%%'),
    text.replace(/[$%]/g, '$&$&'),
    text.replaceAll("'", `'\\''`).replaceAll('!', `'\\!'`),
    text.replace(/[$"`]/g, '`$&').replace(/[\0\t\n\r]/g, (sign) => `\`${POWERSHELL_NAMES.get(sign)}`),
  ];
}

const SIGNS_OF_TEMPLATES = /[!$%`"\0\t\n\r]/;
const POWERSHELL_NAMES = new Map(Object.entries({ '\0': '0', '\t': 't', '\n': 'n', '\r': 'r' }));

/** rsyslog's `#011`. */
function inSyslog(sign: string): string {
  return `#${sign.charCodeAt(0).toString(8).padStart(3, '0')}`;
}

/** Nothing that any of these writes otherwise. */
const HAS_ONE_SPELLING = /^[!#-&(-<>-[\]-~]*$/;

/** `cat -v` and `cat -A`, `less`, and the terminal's echo: `M-C` for a byte above ASCII, `^I` for a control character. */
function asShownByCat(bytes: string, kept: string): string {
  return bytes.replace(/[^\n -~]/g, (sign) => {
    const byte = sign.charCodeAt(0);
    if (kept.includes(sign)) return sign;
    const low = byte & 0x7f;
    const shown = low < 0x20 || low === 0x7f ? `^${String.fromCharCode(low ^ 0x40)}` : String.fromCharCode(low);
    return byte < 0x80 ? shown : `M-${shown}`;
  });
}

/** RFC 2045, 6.7; without the breaks of long lines. */
function quotedPrintable(bytes: string): string {
  return bytes.replace(/[^\t\n -<>-~]/g, inEqualsHex);
}

/** RFC 2047, 4.2. */
function inMailHeader(bytes: string): string {
  return bytes.replace(/[^ A-Za-z0-9!*+/-]/g, inEqualsHex).replaceAll(' ', '_');
}

function inEqualsHex(sign: string): string {
  return `=${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** `?` or U+FFFD for each character outside ASCII, or for each of its bytes, or a point for these, where enough is left to tell. */
function withoutWhatTheLocaleLacks(text: string): string[] {
  if ((text.match(/[!-~]/g) ?? []).length < MIN_MASKED_CHARS || !/[^\0-\x7f]/.test(text)) return [];
  const forEachByte = (sign: string) => text.replace(/[^\0-\x7f]/gu, (char) => sign.repeat(Buffer.byteLength(char)));
  const signs = ['?', '\ufffd'].flatMap((sign) => [
    text.replace(/[^\0-\x7f]/gu, sign),
    text.replace(/[^\0-\x7f]/g, sign),
    forEachByte(sign),
  ]);
  return [...signs, forEachByte('.')];
}

/** With `?` for what Latin-1 lacks. */
function inLatin1(text: string): Pattern[] {
  return /[\x80-\xff]/.test(text) ? [text.replace(/[^\0-\xff]/gu, '?') as Pattern] : [];
}

/** UTF-8 that was read as Latin-1 and written as UTF-8 again. */
function readAsLatin1(text: string): Pattern[] {
  return /[^\0-\x7f]/.test(text) ? [pattern(pattern(text))] : [];
}

/** UTF-16 in both orders of bytes. */
export function inUtf16(part: Part): Pattern[] {
  if (typeof part !== 'string') return [];
  const little = Buffer.from(part, 'utf16le');
  return [little.toString('latin1'), Buffer.from(little).swap16().toString('latin1')] as Pattern[];
}

/** The hex digits of the bytes, UTF-8 for a text, in lower and upper case. */
export function hexEncoded(part: Part): Pattern[] {
  const digits = bytesOf(part).toString('hex');
  return [digits, digits.toUpperCase()] as Pattern[];
}

/** Bytes one by one, as `hex(':')`, a Buffer of Node's, C and JSON show them. */
export function listed(part: Part): Pattern[] {
  const bytes = [...bytesOf(part)];
  const inHex = bytes.map((byte) => HEX[byte] as string);
  const capitals = inHex.map((digits) => digits.toUpperCase());
  return [
    inHex.join(':'),
    capitals.join(':'),
    inHex.join(' '),
    capitals.join(' '),
    ...[inHex, capitals].flatMap((list) => [', ', ','].map((comma) => `0x${list.join(`${comma}0x`)}`)),
    bytes.join(','),
    bytes.join(', '),
    bytes.join(' '),
  ] as Pattern[];
}

/** By byte: its two hex digits. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * Base64 and base64url (RFC 4648) of the bytes, UTF-8 for a text, wherever they stand in what was encoded. For each of the
 * three alignments that is the characters which depend on nothing before or after, and the same up to the padding of data
 * that end there.
 */
export function base64Encoded(part: Part): Pattern[] {
  return alignedBase64(bytesOf(part)).flatMap((aligned) => {
    const found = endsOf(aligned);
    if (!/[+/]/.test(aligned.text)) return found;
    return [...found, ...endsOf({ ...aligned, text: aligned.text.replaceAll('+', '-').replaceAll('/', '_') })];
  });
}

/** A text of base64, each beginning of which that ends as one may: with its padding, without, without the digit before it. */
function endsOf({ text, core }: AlignedBase64): Pattern[] {
  if (core === text.length) return [text as Pattern];
  return [text, text.slice(0, core + 1), text.slice(0, core)] as Pattern[];
}

/**
 * The bytes of a text that a dump may show instead: a document of JSON has it so, with and without `\\u` for what is not ASCII, and `od -a`
 * leaves out the highest bit. In a text that is no dump the search reads the escapes of JSON.
 */
export function dumped(part: Part): Pattern[] {
  const texts = jsonTextsOf(part).map(pattern);
  return [...texts, ...[asItIs(part)[0] as Pattern, ...texts].flatMap(inSevenBits)];
}

function inSevenBits(bytes: Pattern): Pattern[] {
  return IS_ASCII.test(bytes) ? [] : [Buffer.from(bytes, 'latin1').toString('ascii') as Pattern];
}

/** Base64, hex and base32 of a text in a document of JSON, where that has it otherwise. */
export function encodedJson(part: Part): Pattern[] {
  return jsonTextsOf(part).flatMap((text) => [...base64Encoded(text), ...hexEncoded(text), ...base32Encoded(text)]);
}

function jsonTextsOf(part: Part): string[] {
  if (typeof part !== 'string' || SAME_IN_JSON.test(part)) return [];
  const text = JSON.stringify(part).slice(1, -1);
  const ascii = text.replace(/[^\0-\x7e]/g, unitInJson);
  const forHtml = text.replace(/[&<>\u2028\u2029]/g, unitInJson);
  return [...new Set([text, ascii, forHtml])].filter((each) => each !== part);
}

function unitInJson(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Nothing that JSON writes otherwise, Go's included, which is safe in HTML. */
const SAME_IN_JSON = /^[ !#-%'-;=?-[\]-~]*$/;

/** Base64 of base64, at the three alignments of both. */
export function base64Twice(part: Part): Pattern[] {
  return alignedBase64(bytesOf(part)).flatMap((inner) => {
    const outer = alignedBase64(Buffer.from(inner.text.slice(0, inner.core), 'latin1'));
    return outer.map(({ text, core }) => text.slice(0, core) as Pattern);
  });
}

interface AlignedBase64 {
  /** The digits that are of the bytes and of nothing before, with the padding of data that end there. */
  text: string;
  /** So many of them depend on nothing behind either. */
  core: number;
}

/** At the three alignments: with none, one and two of the bytes before that share digits with the first ones. */
function alignedBase64(bytes: Uint8Array): AlignedBase64[] {
  const moved = Buffer.alloc(2 + bytes.length);
  moved.set(bytes, 2);
  return [0, 1, 2].map((before) => {
    const first = Math.ceil((before * 8) / 6);
    const text = moved.toString('base64', 2 - before).slice(first);
    return { text, core: Math.floor(((before + bytes.length) * 8) / 6) - first };
  });
}

const BASE32_DIGITS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567');

/** Base32 (RFC 4648) at its five alignments. */
export function base32Encoded(part: Part): Pattern[] {
  const bytes = bytesOf(part);
  return [0, 1, 2, 3, 4].map((before) => {
    const text = Buffer.alloc(Math.floor(((before + bytes.length) * 8) / 5));
    let length = Math.floor((before * 8) / 5);
    let bits = (before * 8) % 5;
    let value = 0;
    for (const byte of bytes) {
      value = ((value << 8) | byte) & 0xfff;
      for (bits += 8; bits >= 5; bits -= 5) text[length++] = BASE32_DIGITS[(value >> (bits - 5)) & 31] as number;
    }
    return text.toString('latin1', Math.ceil((before * 8) / 5)) as Pattern;
  });
}

function bytesOf(part: Part): Buffer {
  return typeof part === 'string' ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
}

function pattern(text: string): Pattern {
  if (IS_ASCII.test(text)) return text as Pattern;
  return Buffer.from(text).toString('latin1') as Pattern;
}

const IS_ASCII = /^[\0-\x7f]*$/;
