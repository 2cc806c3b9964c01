import { addBit, type Bits, createBits, hasBit } from './bits.ts';
import { createEscapeSieve, type EscapeSieve } from './escape-sieve.ts';
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
  /** For an escape in a window, which hides it from the filter. */
  sieve: EscapeSieve;
}

/** Longer windows would add more entries to the table than they save steps. */
const MAX_WINDOW_BYTES = 32;

/** @param patterns each of at least `MIN_MASKED_CHARS` bytes, as every form of a maskable part has */
export function createBlockFilter(patterns: Iterable<Pattern>): BlockFilter {
  const all = [...patterns];
  const windowBytes = all.reduce((least, { length }) => Math.min(least, length), MAX_WINDOW_BYTES);
  // Long blocks are seldom shared by chance, short ones leave longer steps.
  const blockBytes = Math.min(8, Math.max(4, windowBytes >> 1));
  const stride = windowBytes - blockBytes + 1;

  const distinct = new Set(all.map((pattern) => pattern.slice(0, windowBytes)));
  const text = Buffer.from([...distinct].join(''), 'latin1');
  const view = viewOf(text);
  const windows = createBits(distinct.size);
  const blocks = createBits(distinct.size * stride);
  for (let start = 0; start < text.length; start += windowBytes) {
    addBit(windows, hashOf(view, start, windowBytes));
    for (let at = start; at < start + stride; at++) addBit(blocks, hashOf(view, at, blockBytes));
  }
  const sieve = createEscapeSieve(text, windowBytes, all);
  return { windowBytes, blockBytes, stride, windows, blocks, sieve };
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

/** Of the first and the last four of `length` bytes: of all of them up to a length of eight. */
function hashOf(text: DataView, at: number, length: number): number {
  const first = text.getUint32(at, true);
  const last = text.getUint32(at + length - 4, true);
  return Math.imul(Math.imul(first, 0x85ebca6b) ^ last, 0x9e3779b1);
}
