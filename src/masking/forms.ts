import { MIN_MASKED_CHARS } from '../protocol/limits.ts';
import { hasLineEnd } from './parts.ts';

/**
 * A piece of a secret in one of its encodings: the bytes that a log may hold, one byte per character (latin1). Never
 * with a line end.
 */
export type Pattern = string & { readonly __brand: 'Pattern' };

/** What is looked for: a text, or the bytes of a file that is no text. */
export type Part = string | Uint8Array;

/** A family of encodings: the ways in which programs of one kind write a part into a log. */
export type Form = (part: Part) => Pattern[];

/** A text as it is. Nothing for one with line ends, which reaches a log line by line, and for bytes. */
export function asItIs(part: Part): Pattern[] {
  return typeof part === 'string' && !hasLineEnd(part) ? [pattern(part)] : [];
}

/**
 * A text inside a JSON string, and inside a JSON string inside a JSON string: as JavaScript writes it, as Python does (all
 * but ASCII escaped, in either case of the hex digits), as Go does (`<`, `>` and `&` escaped), as PHP does (`/` escaped).
 */
export function jsonEscaped(part: Part): Pattern[] {
  if (typeof part !== 'string') return [];
  const plain = jsonEscape(part);
  const ascii = plain.replace(/[^ -~]/g, unicodeEscape);
  const once = [
    plain,
    ascii,
    ascii.replace(/\\u[0-9a-f]{4}/g, (unit) => `\\u${unit.slice(2).toUpperCase()}`),
    plain.replace(/[<>&\u2028\u2029]/g, unicodeEscape),
    plain.replaceAll('/', '\\/'),
    ascii.replaceAll('/', '\\/'),
  ];
  return [...once, ...once.map(jsonEscape)].map(pattern);
}

/** What Python shows by an escape: `repr` (str.isprintable), and `ascii` and `repr` of bytes. */
const UNPRINTABLE = /(?! )[\\\p{C}\p{Z}]/gu;
const NOT_ASCII = /[^ -[\]-~]/gu;

/**
 * In quotes as Python's `repr` and tracebacks show a text or its UTF-8 bytes, and bash's and dash's `set -x` a word. Both leave
 * double quotes as they are, so that a text with one and a backslash is in none of the other forms.
 */
export function quoted(part: Part): Pattern[] {
  if (typeof part !== 'string') return [];
  const inPython = [
    part.replace(UNPRINTABLE, pythonEscape),
    part.replace(NOT_ASCII, pythonEscape),
    bytesOf(part).toString('latin1').replace(NOT_ASCII, pythonEscape),
  ].flatMap((each) => [each, each.replaceAll("'", "\\'")]);
  const inShells = hasLineEnd(part) ? [] : [`'\\''`, `'"'"'`].map((quote) => part.replaceAll("'", quote));
  return [...inPython, ...inShells].map(pattern);
}

/**
 * Percent-encoded, with upper and lower case hex digits, as `encodeURIComponent`, RFC 3986, Python's `quote` and
 * `quote_plus`, and a submitted form (WHATWG URL, `application/x-www-form-urlencoded`) write it.
 */
export function urlEncoded(part: Part): Pattern[] {
  if (typeof part !== 'string') return [];
  const component = encodeURIComponent(part);
  const strict = component.replace(/[!'()*]/g, percentEscape);
  const variants = [
    component,
    strict,
    strict.replaceAll('%2F', '/'),
    strict.replaceAll('%20', '+'),
    component.replace(/[!'()~]/g, percentEscape).replaceAll('%20', '+'),
  ];
  return [...variants, ...variants.map((each) => each.replace(/%../g, (octet) => octet.toLowerCase()))].map(pattern);
}

/** The hex digits of the bytes, UTF-8 for a text, in lower and upper case. */
export function hexEncoded(part: Part): Pattern[] {
  const digits = bytesOf(part).toString('hex');
  return [digits, digits.toUpperCase()].map(pattern);
}

/** Columns at which `base64`, Python's `encodebytes` and MIME (RFC 2045) break lines, and PEM (RFC 7468). */
const WRAPPED_AT = [76, 64];

/**
 * Base64 and base64url (RFC 4648) of the bytes, UTF-8 for a text, wherever they stand in what was encoded. For each of the
 * three alignments that is the characters which depend on nothing before or after, and the same up to the padding of data
 * that end there; for data that begin there, also the lines into which base64 is usually broken.
 */
export function base64Encoded(part: Part): Pattern[] {
  const bytes = bytesOf(part);
  const found: string[] = [];
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const first = Math.ceil((before * 8) / 6);
    const core = text.slice(first, Math.floor(((before + bytes.length) * 8) / 6));
    found.push(core, text.slice(first).replace(/=+$/, ''), text.slice(first));
  }
  const urlSafe = found.map((each) => each.replaceAll('+', '-').replaceAll('/', '_'));
  const lines = WRAPPED_AT.flatMap((width) => wrapped(found[0] ?? '', width));
  return [...found, ...urlSafe, ...lines].map(pattern);
}

function wrapped(text: string, width: number): string[] {
  const lines = Array.from({ length: Math.ceil(text.length / width) }, (_, index) =>
    text.slice(index * width, (index + 1) * width),
  );
  return lines.filter((line) => line.length >= MIN_MASKED_CHARS);
}

function jsonEscape(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const PYTHON_ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function pythonEscape(char: string): string {
  const point = char.codePointAt(0) ?? 0;
  const digits = point.toString(16);
  if (point < 0x100) return PYTHON_ESCAPES[char] ?? `\\x${digits.padStart(2, '0')}`;
  return point < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

function bytesOf(part: Part): Buffer {
  return typeof part === 'string' ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
}

function percentEscape(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

function pattern(text: string): Pattern {
  return Buffer.from(text).toString('latin1') as Pattern;
}
