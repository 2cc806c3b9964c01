import { createReadStream } from 'node:fs';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { createGunzip, createZstdDecompress, inflateRawSync } from 'node:zlib';
import { Unzip, UnzipInflate } from 'fflate';
import { Parser } from 'tar';
import { MAX_ARCHIVES_DEPTH } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import type { Finder } from './finder.ts';

/** The most that a search may take, over as many files as share it. */
export interface SearchBudget {
  /** Bytes, as they are and unpacked, that are still to be searched. */
  bytes: number;
  /** Aborted when the time is over. */
  signal: AbortSignal;
}

/** The secrets that a file holds. */
export interface SearchedFile {
  names: ReadonlySet<WireName>;
  /** The budget, or `MAX_ARCHIVES_DEPTH`, ended the search: there may be more. */
  isCut: boolean;
  /** It has parts that cannot be looked into: encrypted, broken, or packed in a way that is not known here. */
  isClosed: boolean;
}

const CHUNK_BYTES = 256 * 1024;
/** A piece of a zip file unpacks to a thousand times its size at most, in one go. */
const ZIP_PIECE_BYTES = 16 * 1024;
/** So much of a beginning tells a format. */
const HEAD_BYTES = 512;

/**
 * Looks for secrets in a regular file, and in what it holds where it is gzip, zstd, tar or zip, inside one another. Nothing is
 * written, and what is held at once is bounded, however much a file unpacks to.
 */
export async function searchFile(path: string, finder: Finder, budget: SearchBudget): Promise<SearchedFile> {
  const found: Found = { names: new Set(), isCut: false, isClosed: false, finder, budget };
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    await searchBytes(file, found, 0, false);
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    found.isCut = true;
  } finally {
    file.destroy();
  }
  const { names, isCut, isClosed } = found;
  return { names, isCut, isClosed };
}

interface Found {
  names: Set<WireName>;
  isCut: boolean;
  isClosed: boolean;
  finder: Finder;
  budget: SearchBudget;
}

class OutOfBudget extends Error {}

/** @param isSearched the bytes were searched as they are, in the archive around them */
async function searchBytes(
  bytes: AsyncIterable<Uint8Array>,
  found: Found,
  depth: number,
  isSearched: boolean,
): Promise<void> {
  const { budget, names } = found;
  const stream = isSearched ? undefined : found.finder.stream();
  const note = (finds: { names: WireName[] }[] = []) => {
    for (const find of finds) for (const name of find.names) names.add(name);
  };
  let head: Buffer | undefined = Buffer.alloc(0);
  let inner: Inner | undefined;
  const behind = watchBehind(found, depth);
  try {
    for await (const chunk of bytes) {
      budget.bytes -= chunk.length;
      if (budget.bytes < 0 || budget.signal.aborted) throw new OutOfBudget();
      note(stream?.write(chunk));
      let next: Uint8Array = chunk;
      if (head) {
        head = Buffer.concat([head, chunk]);
        if (head.length < HEAD_BYTES) continue;
        inner = open(head, found, depth);
        next = head;
        head = undefined;
      }
      await inner?.write(next);
      if (!inner || inner.mayEnd()) await behind.write(next);
    }
    note(stream?.end());
    if (head) {
      inner = open(head, found, depth);
      await inner?.write(head);
      if (!inner || inner.mayEnd()) await behind.write(head);
    }
    await inner?.end();
    await behind.end();
  } finally {
    inner?.close();
    behind.close();
  }
}

/** More are of bytes that were made for it. */
const MOST_BEGUN_BEHIND = 1000;
const BEGINNINGS: readonly (readonly [Buffer, (found: Found, depth: number) => Inner])[] = [
  [Buffer.from([0x1f, 0x8b, 8]), gunzipped],
  [Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), (found, depth) => unpacked(createZstdDecompress(), found, depth)],
  [Buffer.from([0x50, 0x4b, 3, 4]), unzipped],
];
const LONGEST_BEGINNING = 4;

/** Files that are packed behind other bytes: a script that unpacks itself, several files in one. A few bytes may look like one by chance. */
function watchBehind(found: Found, depth: number): Pick<Inner, 'write' | 'end' | 'close'> {
  const inside: Found = {
    ...found,
    get isCut() {
      return found.isCut;
    },
    set isCut(isCut) {
      found.isCut = isCut;
    },
  };
  let open: { inner: Inner; begins: Buffer }[] = [];
  let before: Buffer = Buffer.alloc(0);
  let isFirst = true;
  let begun = 0;
  const endThoseThatAreOver = async () => {
    const over = open.filter(({ inner }) => inner.isOver());
    open = open.filter(({ inner }) => !over.some((each) => each.inner === inner));
    for (const { inner } of over) await inner.end();
  };
  return {
    async write(bytes) {
      for (const { inner } of open) await inner.write(bytes);
      await endThoseThatAreOver();
      const text = Buffer.concat([before, bytes]);
      for (const [begins, unpack] of BEGINNINGS) {
        // The beginning of a file is read as its format.
        for (let at = text.indexOf(begins, isFirst ? 1 : 0); at >= 0; at = text.indexOf(begins, at + 1)) {
          // It was found with the bytes before.
          if (at + begins.length <= before.length) continue;
          await endThoseThatAreOver();
          // A further member, or a further file of the same zip.
          if (open.some((each) => each.begins === begins)) continue;
          begun += 1;
          if (depth >= MAX_ARCHIVES_DEPTH || begun > MOST_BEGUN_BEHIND) {
            found.isCut = true;
            break;
          }
          if (found.budget.signal.aborted) throw new OutOfBudget();
          const inner = unpack(inside, depth);
          open.push({ inner, begins });
          await inner.write(text.subarray(at));
        }
      }
      await endThoseThatAreOver();
      before = text.subarray(Math.max(0, text.length - LONGEST_BEGINNING + 1));
      isFirst = false;
    },
    async end() {
      for (const { inner } of open) await inner.end();
    },
    close() {
      for (const { inner } of open) inner.close();
    },
  };
}

/** Reads one format, and searches the files that it unpacks. A broken one ends it without an error: all before was searched. */
interface Inner {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  close(): void;
  /** Nothing more is read. */
  isOver(): boolean;
  /** The bytes that come may be of something else, behind it; false inside an archive, whose files are looked into by its reader. */
  mayEnd(): boolean;
}

/** By the first bytes, as `file` tells them. */
function open(head: Buffer, found: Found, depth: number): Inner | undefined {
  const begins = (...bytes: number[]) => bytes.every((byte, at) => head[at] === byte);
  const isKnown = begins(0x1f, 0x8b, 8) || begins(0x28, 0xb5, 0x2f, 0xfd) || begins(0x50, 0x4b, 3, 4) || isTar(head);
  if (isKnown && depth >= MAX_ARCHIVES_DEPTH) {
    found.isCut = true;
    return undefined;
  }
  if (begins(0x1f, 0x8b, 8)) return gunzipped(found, depth);
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return unpacked(createZstdDecompress(), found, depth);
  if (begins(0x50, 0x4b, 3, 4)) return unzipped(found, depth);
  if (isTar(head)) return untarred(found, depth);
  // bzip2, xz, 7z, rar, lz4
  const isOther =
    head.toString('latin1', 0, 3) === 'BZh' ||
    begins(0xfd, 0x37, 0x7a, 0x58, 0x5a) ||
    begins(0x37, 0x7a, 0xbc, 0xaf) ||
    begins(0x52, 0x61, 0x72, 0x21) ||
    begins(0x04, 0x22, 0x4d, 0x18);
  if (isOther) found.isClosed = true;
  return undefined;
}

function isTar(head: Buffer): boolean {
  return head.toString('latin1', 257, 262) === 'ustar';
}

function gunzipped(found: Found, depth: number): Inner {
  const decoder = createGunzip();
  const text = textOf(decoder, found);
  /** All that was read, as long as that is little. */
  let all: Buffer | undefined = Buffer.alloc(0);
  // Bytes behind the last member are an error, which takes with it what the piece before them unpacks to.
  decoder.prependOnceListener('error', () => {
    const first = all && firstMember(all);
    if (first) text.write(first);
  });
  const inner = feeding(decoder, searched(text, found, depth, false), found);
  return {
    ...inner,
    async write(bytes) {
      if (all) all = all.length + bytes.length > MOST_READ_AGAIN_BYTES ? undefined : Buffer.concat([all, bytes]);
      for (let at = 0; at < bytes.length; at += GZIP_PIECE_BYTES)
        await inner.write(bytes.subarray(at, at + GZIP_PIECE_BYTES));
    },
  };
}

const GZIP_PIECE_BYTES = 32 * 1024;
const MOST_READ_AGAIN_BYTES = 1024 * 1024;
const MOST_UNPACKED_AGAIN_BYTES = 64 * 1024 * 1024;

/** Of a file of gzip (RFC 1952, 2.3), whatever follows; nothing when it is broken. */
function firstMember(bytes: Buffer): Buffer | undefined {
  const flags = bytes[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
  for (const flag of [8, 16]) if (flags & flag) at = bytes.indexOf(0, at) + 1;
  if (flags & 2) at += 2;
  try {
    return inflateRawSync(bytes.subarray(at), { maxOutputLength: MOST_UNPACKED_AGAIN_BYTES });
  } catch {
    return undefined;
  }
}

function unpacked(decoder: Readable & Writable, found: Found, depth: number): Inner {
  return feeding(decoder, searched(textOf(decoder, found), found, depth, false), found);
}

/** All that a decoder unpacks before it ends or fails. */
function textOf(decoder: Readable & Writable, found: Found): PassThrough {
  const text = new PassThrough();
  decoder.on('data', (piece: Buffer) => {
    if (!text.write(piece)) decoder.pause();
  });
  text.on('drain', () => decoder.resume());
  decoder.on('error', () => {
    found.isClosed = true;
  });
  decoder.on('close', () => text.end());
  return text;
}

function searched(bytes: AsyncIterable<Uint8Array>, found: Found, depth: number, isSearched: boolean): Inside {
  const inside: Inside = { done: Promise.resolve(), isDone: false, failure: undefined };
  inside.done = searchBytes(bytes, found, depth + 1, isSearched)
    .catch((error: unknown) => {
      inside.failure = error;
    })
    .then(() => {
      inside.isDone = true;
    });
  return inside;
}

interface Inside {
  done: Promise<void>;
  isDone: boolean;
  failure: unknown;
}

/** Gives bytes to `target`, no faster than what comes out of it is searched. */
function feeding(target: Writable, inside: Inside, found: Found): Inner {
  let isOver = false;
  const closed = firstOf(target, ['close', 'error']);
  target.on('error', () => {
    isOver = true;
  });
  const check = () => {
    if (inside.failure instanceof OutOfBudget) throw inside.failure;
    if (inside.failure !== undefined) found.isClosed = true;
  };
  return {
    async write(bytes) {
      check();
      if (isOver || inside.failure !== undefined || target.destroyed) return;
      const written = new Promise<void>((resolve) => target.write(bytes, () => resolve()));
      await Promise.race([written, closed, inside.done]);
      check();
    },
    async end() {
      if (!isOver && !target.destroyed) target.end();
      await inside.done;
      check();
    },
    close: () => target.destroy(),
    isOver: () => isOver || target.destroyed || inside.isDone,
    mayEnd: () => isOver || target.destroyed || inside.isDone,
  };
}

/** The streams of `tar` are no `EventEmitter` to the compiler. */
interface Emitter {
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}

function firstOf(emitter: unknown, events: readonly string[]): Promise<void> {
  const source = emitter as Emitter;
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) source.off(event, done);
      resolve();
    };
    for (const event of events) source.on(event, done);
  });
}

/** The files of a tar were searched with the tar itself: of them only archives are looked into. */
function untarred(found: Found, depth: number): Inner {
  const parser = new Parser({ strict: false });
  let isOver = false;
  let failure: unknown;
  let last = Promise.resolve();
  let isAtEnd = false;
  parser.on('error', () => {
    isOver = true;
    found.isClosed = true;
  });
  parser.on('eof', () => {
    isAtEnd = true;
  });
  parser.on('entry', (entry) => {
    const inside = searched(entry as unknown as AsyncIterable<Uint8Array>, found, depth, true);
    const before = last;
    last = inside.done.then(async () => {
      failure ??= inside.failure;
      entry.resume();
      await before;
    });
  });
  const check = () => {
    if (failure instanceof OutOfBudget) throw failure;
    if (failure !== undefined) found.isClosed = true;
  };
  return {
    async write(bytes) {
      check();
      if (isOver) return;
      if (!parser.write(Buffer.from(bytes))) {
        await firstOf(parser, ['drain', 'error', 'end', 'close']);
      }
      check();
    },
    async end() {
      if (!isOver) {
        const ended = firstOf(parser, ['end', 'error', 'close']);
        parser.end();
        await ended;
      }
      await last;
      check();
    },
    close: () => {},
    isOver: () => isOver || isAtEnd,
    mayEnd: () => isOver || isAtEnd,
  };
}

function unzipped(found: Found, depth: number): Inner {
  const unzip = new Unzip();
  unzip.register(UnzipInflate);
  let current: Inner | undefined;
  /** The bytes that came out of the last piece, in order. */
  let waiting: (() => Promise<void>)[] = [];
  let isOver = false;
  unzip.onfile = (file) => {
    const target = new PassThrough();
    const entry = feeding(target, searched(target, found, depth, false), found);
    waiting.push(async () => {
      current = entry;
    });
    file.ondata = (error, data, isLast) => {
      if (error) found.isClosed = true;
      if (!error) waiting.push(() => entry.write(data));
      if (error || isLast) waiting.push(() => entry.end());
    };
    try {
      file.start();
    } catch {
      // Encrypted, or packed in another way.
      found.isClosed = true;
      waiting.push(() => entry.end());
    }
  };
  const carryOut = async () => {
    const steps = waiting;
    waiting = [];
    for (const step of steps) await step();
  };
  const push = async (bytes: Uint8Array, isLast: boolean) => {
    if (isOver) return;
    try {
      unzip.push(bytes, isLast);
    } catch {
      isOver = true;
      found.isClosed = true;
    }
    await carryOut();
    // Unpacking a zip file is not done beside everything else: others get their turn.
    await setImmediate();
    if (found.budget.signal.aborted) throw new OutOfBudget();
  };
  let isAtEnd = false;
  return {
    async write(bytes) {
      isAtEnd ||= Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(END_OF_ZIP);
      for (let at = 0; at < bytes.length; at += ZIP_PIECE_BYTES) {
        await push(bytes.slice(at, at + ZIP_PIECE_BYTES), false);
      }
    },
    async end() {
      await push(new Uint8Array(0), true);
      await current?.end();
    },
    close: () => current?.close(),
    isOver: () => isOver,
    mayEnd: () => isOver || isAtEnd,
  };
}

const END_OF_ZIP = Buffer.from([0x50, 0x4b, 5, 6]);
