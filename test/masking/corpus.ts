import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One program that was given one secret; see the README beside the files. Bytes that are no UTF-8 are kept as base64. */
export interface CorpusCase {
  group: string;
  producer: string;
  version: string;
  command: string;
  secret: string;
  printed?: string;
  printedBase64?: string;
  left?: string;
  leftBase64?: string;
  /** The masker of this project leaves what it should not, and why. */
  gap?: string;
}

const FOLDER = join(import.meta.dirname, '../vectors/masking');

export function readCorpus(): CorpusCase[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const cases = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Omit<CorpusCase, 'group'>[];
      return cases.map((each) => ({ group: file.replace(/\.json$/, ''), ...each }));
    });
}

export function writeCorpus(cases: CorpusCase[]): void {
  for (const [group, members] of Map.groupBy(cases, (each) => each.group)) {
    const written = members.map(({ group: _, ...each }) => each);
    writeFileSync(join(FOLDER, `${group}.json`), `${JSON.stringify(written, null, 1)}\n`);
  }
}

export function bytesOf(each: CorpusCase, field: 'printed' | 'left'): Buffer {
  const text = each[field];
  return text === undefined ? Buffer.from(each[`${field}Base64`] ?? '', 'base64') : Buffer.from(text);
}

export function textOrBytes<Field extends 'printed' | 'left'>(field: Field, bytes: Uint8Array): Partial<CorpusCase> {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString();
  return Buffer.from(text).equals(buffer) ? { [field]: text } : { [`${field}Base64`]: buffer.toString('base64') };
}
