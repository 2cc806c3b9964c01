import { InvalidArgument } from './errors.ts';

/**
 * Text as Python writes it: PanDA's clients put it into a job's parameters. A command is as `urllib.parse.quote` has it, a map of
 * file names is a dictionary of strings as it prints, `{'out.txt': 'user.me.1._000001.out.txt'}`.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Percent-encodes everything but letters, digits, `_`, `.`, `-`, `~` and `/`.
 *
 * @throws {URIError} when `text` has a lone surrogate
 */
export function quote(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', '/');
}

/** Undoes {@link quote}. A `%` that starts no escape stays; bytes that are no UTF-8 become U+FFFD. */
export function unquote(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => {
    const bytes = Uint8Array.from(escapes.slice(1).split('%'), (digits) => Number.parseInt(digits, 16));
    return decoder.decode(bytes);
  });
}

/** Writes a map's entries in their order. Names with quotes or backslashes are escaped as Python's `repr` does. */
export function writeNameMap(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, value]) => `${writeString(name)}: ${writeString(value)}`).join(', ')}}`;
}

function writeString(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&').replaceAll('\n', '\\n')}'`;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' };
const STRING = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*/suy;

/**
 * Reads what {@link writeNameMap} or Python wrote.
 *
 * @throws {InvalidArgument} when it is anything else than a dictionary of strings
 */
export function readNameMap(text: string): Record<string, string> {
  const map: Record<string, string> = Object.create(null);
  const inner = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (inner === undefined) throw invalid(text);
  if (inner.trim() === '') return map;
  for (let at = 0; ; at++) {
    const name = readString(inner, at);
    if (inner.charAt(name.end) !== ':') throw invalid(text);
    const value = readString(inner, name.end + 1);
    map[name.value] = value.value;
    at = value.end;
    if (at >= inner.length) return map;
    if (inner.charAt(at) !== ',') throw invalid(text);
  }
}

function readString(text: string, start: number): { value: string; end: number } {
  STRING.lastIndex = start;
  const match = STRING.exec(text);
  if (!match) throw invalid(text);
  const raw = match[1] ?? match[2] ?? '';
  const value = raw.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gsu,
    (whole, x, u, long, sign) => {
      const digits = x ?? u ?? long;
      if (digits === undefined) return ESCAPES[sign] ?? whole;
      const point = Number.parseInt(digits, 16);
      if (point > 0x10ffff) throw invalid(text);
      return String.fromCodePoint(point);
    },
  );
  return { value, end: STRING.lastIndex };
}

function invalid(text: string): InvalidArgument {
  return new InvalidArgument(
    `jobParameters: -o must be like "{'out.txt': 'user.me.out.txt'}", not ${JSON.stringify(text.slice(0, 100))}`,
  );
}
