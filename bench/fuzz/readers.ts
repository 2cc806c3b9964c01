import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { searchFile } from '../../src/masking/archive-search.ts';
import { createFinder } from '../../src/masking/finder.ts';
import { createMasker } from '../../src/masking/masker.ts';
import { unpackSandbox } from '../../src/pilot/sandbox.ts';
import { PandaError } from '../../src/protocol/errors.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import type { Fault } from './send.ts';

const SLOW_MILLISECONDS = 60_000;

/** Gives the masker and the reader of sandboxes what their formats allow, and what they do not, until `end`. */
export async function fuzzReaders(end: number, seed: number, onFault: (fault: Fault) => void): Promise<string> {
  let masked = 0;
  let unpacked = 0;
  for (let batch = 0; Date.now() < end; batch++) {
    for (const input of fc.sample(logs, { seed: seed + batch, numRuns: 20 })) {
      const what = mask(input);
      if (what) onFault({ what, input: JSON.stringify(input) });
      masked += 1;
    }
    for (const input of fc.sample(archives, { seed: seed + batch, numRuns: 20 })) {
      const what = await inTime(unpack(input));
      if (what) onFault({ what, input: Buffer.from(input).toString('base64').slice(0, 4000) });
      const searchFault = await inTime(search(input));
      if (searchFault) onFault({ what: searchFault, input: Buffer.from(input).toString('base64').slice(0, 4000) });
      unpacked += 1;
    }
  }
  return `${masked} logs masked, ${unpacked} archives unpacked and searched`;
}

async function inTime(read: Promise<string | undefined>): Promise<string | undefined> {
  const ended = new AbortController();
  const tooLong = setTimeout(SLOW_MILLISECONDS, 'the reader does not end', { signal: ended.signal });
  try {
    return await Promise.race([read, tooLong]);
  } finally {
    tooLong.catch(() => {});
    ended.abort();
  }
}

const ENCODINGS: Record<string, (secret: Buffer) => string> = {
  'as it is': (secret) => secret.toString(),
  base64: (secret) => secret.toString('base64').replace(/=+$/, ''),
  base64url: (secret) => secret.toString('base64url'),
  hex: (secret) => secret.toString('hex'),
  url: (secret) => encodeURIComponent(secret.toString()),
  json: (secret) => JSON.stringify(secret.toString()).slice(1, -1),
};

interface Log {
  secret: string;
  before: string;
  after: string;
  cuts: number[];
  form: string;
}

const logs = fc.record({
  secret: fc.string({ unit: fc.constantFrom(...'abcXYZ019+/=%\\"\'\n -_é'), minLength: 8, maxLength: 60 }),
  before: fc.string({ unit: 'binary', maxLength: 200 }),
  after: fc.string({ unit: 'binary', maxLength: 200 }),
  cuts: fc.array(fc.nat(500), { maxLength: 8 }),
  form: fc.constantFrom(...Object.keys(ENCODINGS)),
});

/** A secret that stands in a log, as it is or encoded as a whole, may not pass, wherever the log is cut. */
function mask({ secret, before, after, cuts, form }: Log): string | undefined {
  try {
    const masker = createMasker([{ name: wireName('A'), value: new Plaintext(secret) }]);
    // Of a value that is printed over several lines only some are looked for (docs/masking.md).
    if (masker.unmaskable.length > 0 || (form === 'as it is' && secret.includes('\n'))) return undefined;
    const encoded = ENCODINGS[form]?.(Buffer.from(secret)) ?? secret;
    const log = Buffer.from(`${before}${encoded}${after}`);
    const stream = masker.stream();
    const shown: Uint8Array[] = [];
    let from = 0;
    for (const to of [...cuts.sort((a, b) => a - b), log.length]) {
      shown.push(...stream.write(log.subarray(from, Math.max(from, to))).map((part) => Buffer.from(part)));
      from = Math.max(from, to);
    }
    shown.push(...stream.end());
    return Buffer.concat(shown).includes(encoded) ? 'a secret passed the masker' : undefined;
  } catch (error) {
    return `the masker threw ${error}`;
  }
}

const header = fc.record({
  name: fc.oneof(
    fc.string({ maxLength: 100 }),
    fc.constantFrom('../x', '/etc/x', 'a/../../x', 'a', 'a/b', 'a/b/c', 'A', '.', ''),
  ),
  mode: fc.constantFrom('0000644', '0000755', 'xxxxxxx', '7777777'),
  size: fc.oneof(
    fc.constantFrom('00000000000', '77777777777', '-0000000001', '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'),
    fc.nat(600).map((n) => n.toString(8).padStart(11, '0')),
  ),
  type: fc.constantFrom('0', '1', '2', '3', '5', 'g', 'x', 'L', 'K', 'Z'),
  link: fc.constantFrom('', 'a', '../../etc', '/etc/passwd'),
  data: fc.uint8Array({ maxLength: 600 }),
  isRight: fc.boolean(),
});

const tars = fc
  .record({ headers: fc.array(header, { maxLength: 6 }), hasEnd: fc.boolean(), cut: fc.option(fc.nat(4000)) })
  .map(({ headers, hasEnd, cut }) => {
    const whole = Buffer.concat([...headers.map(block), ...(hasEnd ? [Buffer.alloc(1024)] : [])]);
    return cut === null ? whole : whole.subarray(0, cut);
  });

const archives = fc.oneof(
  { weight: 3, arbitrary: tars },
  { weight: 3, arbitrary: tars.map((tar) => gzipSync(tar)) },
  fc.tuple(tars, fc.nat(1000), fc.nat(255)).map(([tar, at, byte]) => {
    const spoilt = gzipSync(tar);
    spoilt[at % spoilt.length] = byte;
    return spoilt;
  }),
  fc.uint8Array({ maxLength: 2000 }).map((bytes) => gzipSync(bytes)),
  fc.uint8Array({ maxLength: 500 }),
);

function block({
  name,
  mode,
  size,
  type,
  link,
  data,
  isRight,
}: {
  name: string;
  mode: string;
  size: string;
  type: string;
  link: string;
  data: Uint8Array;
  isRight: boolean;
}): Buffer {
  const head = Buffer.alloc(512);
  for (const [text, at, length] of [
    [name, 0, 100],
    [mode, 100, 8],
    [isRight ? data.length.toString(8).padStart(11, '0') : size, 124, 12],
    ['00000000000', 136, 12],
    ['        ', 148, 8],
    [type, 156, 1],
    [link, 157, 100],
    ['ustar\x0000', 257, 8],
  ] as const) {
    head.write(text, at, length, 'latin1');
  }
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return Buffer.concat([head, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

async function unpack(archive: Uint8Array): Promise<string | undefined> {
  const outer = await mkdtemp(join(tmpdir(), 'fuzz-sandbox-'));
  const inner = join(outer, 'in');
  await mkdir(inner);
  try {
    await unpackSandbox(Readable.from([Buffer.from(archive)]), inner).catch((error) => {
      if (!(error instanceof PandaError)) throw error;
    });
    const beside = (await readdir(outer)).filter((name) => name !== 'in');
    return beside.length > 0 ? `the sandbox wrote ${beside.join()} beside its folder` : undefined;
  } catch (error) {
    return `the sandbox reader threw ${error}`;
  } finally {
    // Files of an archive that was refused may still be on their way.
    await rm(outer, { recursive: true, force: true, maxRetries: 10 });
  }
}

const finder = createFinder([{ name: wireName('A'), value: new Plaintext('a value that no archive has') }]);

/** The search ends, whatever an archive says of itself, and takes its faults as such. */
async function search(archive: Uint8Array): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'fuzz-search-'));
  const path = join(folder, 'output');
  try {
    await writeFile(path, archive);
    await searchFile(path, finder, { bytes: 10_000_000, signal: AbortSignal.timeout(SLOW_MILLISECONDS) });
    return undefined;
  } catch (error) {
    return `the search of outputs threw ${error}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
