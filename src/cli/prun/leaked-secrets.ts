import { createReadStream } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { searchFile } from '../../masking/archive-search.ts';
import type { Find, Finder } from '../../masking/finder.ts';
import { LEAK_SEARCH_SECONDS, MAX_SEARCHED_BYTES } from '../../protocol/limits.ts';
import type { WireName } from '../../protocol/names.ts';
import type { OwnSecrets } from './own-secrets.ts';

/** A file that holds values of secrets. */
export interface Leak {
  path: string;
  /** Where the first one begins, from 1; `name` for the name of the file, `packed` for a file that is packed in it. */
  line: number | 'name' | 'packed';
  names: WireName[];
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Finds files that hold what a masker would hide, or have it in their names: the values of secrets and their parts, in any form, also in
 * archives. A value that no masker could hide (`isMaskable`) is not looked for: it would be found everywhere.
 *
 * @param paths relative to `directory`; what is no file is passed over
 * @returns beside them the files in which the search ended early, for their size, their depth or its time
 */
export async function findLeaks(
  { names: all, finder }: OwnSecrets,
  directory: string,
  paths: readonly string[],
): Promise<{ leaks: Leak[]; cut: string[] }> {
  const leaks: Leak[] = [];
  const cut: string[] = [];
  const budget = { bytes: MAX_SEARCHED_BYTES, signal: AbortSignal.timeout(LEAK_SEARCH_SECONDS * 1000) };
  const note = (path: string, line: Leak['line'], found: Iterable<WireName>) => {
    const names = new Set(found);
    leaks.push({ path, line, names: all.filter((name) => names.has(name)) });
  };
  for (const path of paths) {
    const file = join(directory, path);
    if (!(await lstat(file)).isFile()) continue;
    const { names, isCut } = await searchFile(file, finder, budget);
    if (isCut) cut.push(path);
    // For the line, and for what the search did not come to.
    const finds = names.size > 0 || isCut ? await findsIn(file, finder) : [];
    if (finds.length > 0) {
      const first = finds.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY);
      const found = [...names, ...finds.flatMap((find) => find.names)];
      note(path, await lineAt(file, first), found);
    } else if (names.size > 0) {
      note(path, 'packed', names);
    } else {
      const inName = namesIn(path, finder);
      if (inName.length > 0) note(path, 'name', inName);
    }
  }
  return { leaks, cut };
}

/** The secrets in a text. */
export function namesIn(text: string, finder: Finder): WireName[] {
  const stream = finder.stream();
  return [...stream.write(Buffer.from(text)), ...stream.end()].flatMap(({ names }) => names);
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
