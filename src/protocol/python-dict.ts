import { InvalidArgument } from './errors.ts';

/**
 * A map of file names as Python prints a dictionary of strings, `{'out.txt': 'user.me.1._000001.out.txt'}`: PanDA's clients
 * put one into a job's parameters.
 */

/** Writes the entries in their order. Names with quotes or backslashes are escaped as Python's `repr` does. */
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
