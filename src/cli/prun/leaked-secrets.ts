import { createReadStream } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { createAutomaton } from '../../masking/automaton.ts';
import { createBlockFilter } from '../../masking/block-filter.ts';
import { base64Encoded, hexEncoded, jsonEscaped, type Part, type Pattern, urlEncoded } from '../../masking/forms.ts';
import { createMaskStream, type MaskStream } from '../../masking/mask-stream.ts';
import { isMaskable } from '../../masking/parts.ts';
import { MIN_MASKED_CHARS } from '../../protocol/limits.ts';
import { splitWireName, type WireName } from '../../protocol/names.ts';
import type { Plaintext } from '../../protocol/plaintext.ts';

/** A file that holds values of secrets. */
export interface Leak {
  path: string;
  /** Where the first one begins, from 1. */
  line: number;
  names: WireName[];
}

/** Of a larger value that much is looked for, from its beginning: enough to know it by, and little to prepare. */
const KNOWN_BY_BYTES = 4096;
const ENCODED_BYTES = 256;
const CHUNK_BYTES = 1024 * 1024;

/**
 * Finds files that hold the value of a secret: as it is, JSON-escaped, URL-encoded, in base64 or in hex. A value that no masker
 * could hide (`isMaskable`) is not looked for: it would be found everywhere.
 *
 * @param paths relative to `directory`; what is no file is passed over
 */
export async function findLeaks(
  secrets: ReadonlyMap<WireName, Plaintext>,
  directory: string,
  paths: readonly string[],
): Promise<Leak[]> {
  const all: KnownSecret[] = [...secrets].map(([name, value]) => ({ name, patterns: patternsOf(name, value) }));
  const known = all.filter(({ patterns }) => patterns.length > 0);
  if (known.length === 0) return [];
  const search = searchFor(known);
  const leaks: Leak[] = [];
  for (const path of paths) {
    const file = join(directory, path);
    if (!(await lstat(file)).isFile()) continue;
    const line = await lineOfFirst(search, file);
    if (line !== undefined) leaks.push({ path, line, names: await namesIn(known, file) });
  }
  return leaks;
}

interface KnownSecret {
  name: WireName;
  patterns: Pattern[];
}

type Search = () => MaskStream;

/** What a masker changes in a file is what was looked for. */
function searchFor(secrets: readonly KnownSecret[]): Search {
  const patterns = [...new Set(secrets.flatMap((secret) => secret.patterns))];
  const automaton = createAutomaton(patterns);
  const filter = createBlockFilter(patterns);
  return () => createMaskStream(automaton, filter);
}

/** Those whose values are in the file, found by halves: of a thousand secrets one in ten searches. */
async function namesIn(secrets: readonly KnownSecret[], file: string): Promise<WireName[]> {
  if ((await lineOfFirst(searchFor(secrets), file)) === undefined) return [];
  if (secrets.length === 1) return secrets.map(({ name }) => name);
  const middle = Math.ceil(secrets.length / 2);
  return [...(await namesIn(secrets.slice(0, middle), file)), ...(await namesIn(secrets.slice(middle), file))];
}

/** The line on which the first find begins. */
async function lineOfFirst(search: Search, file: string): Promise<number | undefined> {
  const stream = search();
  let waiting: Uint8Array = new Uint8Array(0);
  let line = 1;

  /** Whether `shown` is what was read; if not, counts the lines up to the first difference. */
  const isUnchanged = (shown: Uint8Array): boolean => {
    const read = waiting.subarray(0, shown.length);
    const same = Buffer.compare(read, shown) === 0;
    line += linesIn(same ? read : read.subarray(0, firstDifference(read, shown)));
    waiting = waiting.subarray(shown.length);
    return same;
  };

  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    if (!isUnchanged(stream.write(chunk))) return line;
  }
  const rest = waiting.length;
  const last = stream.end();
  return isUnchanged(last) && last.length === rest ? undefined : line;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const at = b.findIndex((byte, index) => byte !== a[index]);
  return at < 0 ? b.length : at;
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1;
  return lines;
}

function patternsOf(name: WireName, value: Plaintext): Pattern[] {
  const sent = value.reveal();
  if (splitWireName(name).kind === 'string') return patternsOfText(sent);
  const content = Buffer.from(sent, 'base64');
  const text = asText(content);
  return text === undefined ? patternsOfBytes(content) : patternsOfText(text);
}

/** As it is and, as it may have been typed or read from a file, without the white space round it. */
function patternsOfText(text: string): Pattern[] {
  if (!isMaskable(text)) return [];
  return [...new Set([text, text.trim()])].flatMap((part) => {
    const piece = part.slice(0, ENCODED_BYTES).replace(/[\ud800-\udbff]$/, '');
    return [...patternsOfBytes(Buffer.from(part)), ...jsonEscaped(piece), ...urlEncoded(piece)];
  });
}

function patternsOfBytes(bytes: Uint8Array): Pattern[] {
  if (bytes.length < MIN_MASKED_CHARS) return [];
  const piece: Part = bytes.subarray(0, ENCODED_BYTES);
  const asItIs = Buffer.from(bytes.subarray(0, KNOWN_BY_BYTES)).toString('latin1') as Pattern;
  return [asItIs, ...base64Encoded(piece), ...hexEncoded(piece)];
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
