import type { Pattern } from './forms.ts';

/**
 * Finds where a match may begin, looking at few bytes of a text (the idea of Wu and Manber, TR 94-17, Arizona 1994, with
 * steps of one length). Every match begins with the window of its pattern: the first bytes, as many as the shortest
 * pattern has, up to a limit. A window holds `stride` blocks of a few bytes, one after each byte: wherever it stands in a
 * text, it holds one of those that are looked at when only each `stride`-th block is. Where that is a block of some window,
 * the windows that it may lie in are looked up themselves.
 */
export interface BlockFilter {
  windowBytes: number;
  blockBytes: number;
  stride: number;
  windows: Bits;
  blocks: Bits;
  /** All neighbours of four bytes that a pattern has: a place where an escape may be of a secret is told by them. */
  grams: Bits;
  /** By two bytes: 1 where a pattern whose characters are escaped begins with them. */
  beginnings: Uint8Array;
}

/** Longer windows would add more entries to the table than they save steps. */
const MAX_WINDOW_BYTES = 32;

/**
 * @param patterns each of at least `MIN_MASKED_CHARS` bytes, as every form of a maskable part has
 * @param escapable those of them whose characters programs escape
 */
export function createBlockFilter(patterns: Iterable<Pattern>, escapable: Iterable<Pattern> = patterns): BlockFilter {
  const all = [...patterns];
  const windowBytes = all.reduce((least, { length }) => Math.min(least, length), MAX_WINDOW_BYTES);
  // Long blocks are seldom shared by chance, short ones leave longer steps.
  const blockBytes = Math.min(8, Math.max(4, windowBytes >> 1));
  const stride = windowBytes - blockBytes + 1;

  const views = [...new Set(all.map((pattern) => pattern.slice(0, windowBytes)))].map(viewOfLatin1);
  const windows = createBits(views.length);
  const blocks = createBits(views.length * stride);
  for (const view of views) {
    addBit(windows, hashOf(view, 0, windowBytes));
    for (let at = 0; at < stride; at++) addBit(blocks, hashOf(view, at, blockBytes));
  }
  let escapableBytes = 0;
  for (const { length } of escapable) escapableBytes += length;
  const grams = createBits(escapableBytes, BITS_PER_GRAM);
  for (const pattern of escapable) {
    let gram = 0;
    for (let at = 0; at < pattern.length; at++) {
      gram = (gram << 8) | pattern.charCodeAt(at);
      if (at >= 3) addBit(grams, hashOfGram(gram));
    }
  }
  const beginnings = new Uint8Array(0x10000);
  for (const pattern of escapable) beginnings[(pattern.charCodeAt(0) << 8) | pattern.charCodeAt(1)] = 1;
  return { windowBytes, blockBytes, stride, windows, blocks, grams, beginnings };
}

/** True when some pattern may have `byte` after the three bytes before `at`. */
export function mayContinue({ grams }: BlockFilter, text: Uint8Array, at: number, byte: number): boolean {
  const before = ((text[at - 3] as number) << 24) | ((text[at - 2] as number) << 16) | ((text[at - 1] as number) << 8);
  return hasBit(grams, hashOfGram(before | byte));
}

function hashOfGram(gram: number): number {
  return Math.imul(gram ^ (gram >>> 15), 0x9e3779b1);
}

/**
 * The first place in `text` at or after `from` where a match may begin: none begins before it. At the end of the text that
 * is where a match may begin that the text cuts short.
 */
export function nextCandidate(filter: BlockFilter, text: DataView, from: number): number {
  const { windowBytes, blockBytes, stride, windows, blocks } = filter;
  const lastBlock = text.byteLength - blockBytes;
  const lastWindow = text.byteLength - windowBytes;
  let at = from + stride - 1;
  for (; at <= lastBlock; at += stride) {
    if (!hasBit(blocks, hashOf(text, at, blockBytes))) continue;
    for (let start = at - stride + 1; start <= at; start++) {
      if (start > lastWindow || hasBit(windows, hashOf(text, start, windowBytes))) return start;
    }
  }
  return at - stride + 1;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function viewOfLatin1(text: string): DataView {
  return viewOf(Buffer.from(text, 'latin1'));
}

/** Of the first and the last four of `length` bytes: of all of them up to a length of eight. */
function hashOf(text: DataView, at: number, length: number): number {
  const first = text.getUint32(at, true);
  const last = text.getUint32(at + length - 4, true);
  return Math.imul(Math.imul(first, 0x85ebca6b) ^ last, 0x9e3779b1);
}

/** A set of hashes that may hold a few more than were added: one bit for each range of hashes. */
interface Bits {
  bytes: Uint8Array;
  /** Takes a hash of 32 bits to the number of its byte. */
  shift: number;
}

const BITS_PER_ENTRY = 32;
const BITS_PER_GRAM = 8;

function createBits(entries: number, bitsPerEntry = BITS_PER_ENTRY): Bits {
  const scale = Math.min(27, Math.max(16, Math.ceil(Math.log2(entries * bitsPerEntry + 1))));
  return { bytes: new Uint8Array(2 ** (scale - 3)), shift: 32 - (scale - 3) };
}

function addBit({ bytes, shift }: Bits, hash: number): void {
  bytes[hash >>> shift] = (bytes[hash >>> shift] as number) | (1 << ((hash >>> 4) & 7));
}

function hasBit({ bytes, shift }: Bits, hash: number): boolean {
  return (((bytes[hash >>> shift] as number) >>> ((hash >>> 4) & 7)) & 1) !== 0;
}
