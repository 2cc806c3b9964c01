import { createReadStream } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Find, Finder } from '../../masking/finder.ts';
import type { WireName } from '../../protocol/names.ts';
import type { OwnSecrets } from './own-secrets.ts';

/** A file that holds values of secrets. */
export interface Leak {
  path: string;
  /** Where the first one begins, from 1. */
  line: number;
  names: WireName[];
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Finds files that hold what a masker would hide: the values of secrets and their parts, in any form. A value that no masker
 * could hide (`isMaskable`) is not looked for: it would be found everywhere.
 *
 * @param paths relative to `directory`; what is no file is passed over
 */
export async function findLeaks(
  { names: all, finder }: OwnSecrets,
  directory: string,
  paths: readonly string[],
): Promise<Leak[]> {
  const leaks: Leak[] = [];
  for (const path of paths) {
    const file = join(directory, path);
    if (!(await lstat(file)).isFile()) continue;
    const finds = await findsIn(file, finder);
    if (finds.length === 0) continue;
    const names = new Set(finds.flatMap((find) => find.names));
    const first = finds.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY);
    leaks.push({ path, line: await lineAt(file, first), names: all.filter((name) => names.has(name)) });
  }
  return leaks;
}

async function findsIn(file: string, finder: Finder): Promise<Find[]> {
  const stream = finder.stream();
  const finds: Find[] = [];
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    for (const find of stream.write(chunk)) finds.push(find);
  }
  return [...finds, ...stream.end()];
}

/** The line, from 1, that the byte at `offset` stands on. */
async function lineAt(file: string, offset: number): Promise<number> {
  let line = 1;
  if (offset === 0) return line;
  for await (const chunk of createReadStream(file, { end: offset - 1 }) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) line += 1;
  }
  return line;
}
