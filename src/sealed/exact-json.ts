/**
 * JSON that can be written in one way only. A reader checks a value and builds it anew with its fields in their order; text is taken
 * when writing what was read gives the same bytes, so that no two texts mean the same.
 */
export type Read<T> = (value: unknown) => T;

/** The type that a reader reads. */
export type Readout<R> = R extends Read<infer T> ? T : never;

/** The text is not what its reader wants. It holds nothing of the text. */
export class NotExact extends Error {}

export function integer(min: number, max: number): Read<number> {
  return (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
      throw new NotExact('integer');
    return value as number;
  };
}

export const flag: Read<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new NotExact('flag');
  return value;
};

/** Well-formed Unicode of at most so many UTF-16 units, which a pattern may restrict further. */
export function text(maxChars: number, pattern?: RegExp): Read<string> {
  return (value) => {
    if (typeof value !== 'string' || value.length > maxChars || !value.isWellFormed()) throw new NotExact('text');
    if (pattern && !pattern.test(value)) throw new NotExact('text');
    return value;
  };
}

export function list<T>(each: Read<T>, most: number): Read<T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > most) throw new NotExact('list');
    return value.map(each);
  };
}

export function orNull<T>(read: Read<T>): Read<T | null> {
  return (value) => (value === null ? null : read(value));
}

/** Exactly these fields, in this order. */
export function object<F extends Record<string, Read<unknown>>>(fields: F): Read<{ [N in keyof F]: Readout<F[N]> }> {
  const entries = Object.entries(fields);
  return (value) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new NotExact('object');
    const given = value as Record<string, unknown>;
    if (Object.keys(given).length !== entries.length) throw new NotExact('object');
    const built = entries.map(([name, read]) => {
      if (!Object.hasOwn(given, name)) throw new NotExact('object');
      return [name, read(given[name])];
    });
    return Object.fromEntries(built);
  };
}

/** A value with a rule that its fields have together. */
export function where<T>(read: Read<T>, holds: (value: T) => boolean): Read<T> {
  return (value) => {
    const built = read(value);
    if (!holds(built)) throw new NotExact('rule');
    return built;
  };
}

/** @throws {NotExact} also when it is not its own writing: spaces, another order, doubled fields, escapes, `1.0` */
export function readExact<T>(bytes: Uint8Array, read: Read<T>): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new NotExact('json');
  }
  const value = read(parsed);
  if (!writeExact(value, read).equals(bytes)) throw new NotExact('spelling');
  return value;
}

/** @throws {NotExact} when the value is not what its reader takes */
export function writeExact<T>(value: T, read: Read<T>): Buffer {
  return Buffer.from(JSON.stringify(read(value)), 'utf8');
}
