import { addBit, type Bits, createBits, hasBit } from './bits.ts';
import { createEscapeSieve, type EscapeSieve } from './escape-sieve.ts';
import type { Pattern } from './forms.ts';

/**
 * Finds where a match may begin, looking at few bytes of a text (the idea of Wu and Manber, TR 94-17, Arizona 1994, with
 * steps of one length). Of each `stride` bytes one block of four is looked at. Wherever a pattern stands in a text, one of these
 * is a block of its first bytes. Where that is a block of some pattern, the beginnings of patterns that it may lie in are looked
 * up themselves.
 *
 * A few of the shortest patterns would shorten the steps for all. They count as if they were longer by a byte before and
 * one behind: the blocks that stand over their ends are known with every such byte.
 */
export interface BlockFilter {
  /** A match of which so many bytes stand in the text as they are, or all of a shorter one, is found. */
  windowBytes: number;
  stride: number;
  blocks: Bits;
  /** Of the beginnings of all patterns, each `headBytes` long. */
  heads: Bits;
  headBytes: number;
  /** For an escape in a window, which hides it from the filter. */
  sieve: EscapeSieve;
}

const BLOCK_BYTES = 4;
/** Longer ones would add more entries to the table than they save steps. */
const MAX_HEAD_BYTES = 24;
/** Each of these adds 512 entries to the table. */
const MOST_LENGTHENED = 256;

/** @param patterns each of at least `MIN_MASKED_CHARS` bytes, as every form of a maskable part has */
export function createBlockFilter(patterns: readonly Pattern[]): BlockFilter {
  const headBytes = patterns.reduce((least, { length }) => Math.min(least, length), MAX_HEAD_BYTES);
  const short = new Set(patterns.filter(({ length }) => length < headBytes + 2));
  const isLengthened = short.size <= MOST_LENGTHENED;
  const stride = headBytes - BLOCK_BYTES + (isLengthened ? 3 : 1);
  const windowBytes = stride + BLOCK_BYTES - 1;

  const windows = windowsOf(patterns, windowBytes);
  const blocks = createBits(windows.length * stride + (isLengthened ? 512 * short.size : 0));
  const heads = createBits(windows.length);
  for (const window of windows) {
    let block = 0;
    let first = 0;
    for (let at = 0; at < window.length; at++) {
      block = (block >>> 8) | ((window[at] as number) << 24);
      if (at >= BLOCK_BYTES - 1) addBit(blocks, hashOfBlock(block));
      if (at === BLOCK_BYTES - 1) first = block;
      if (at === headBytes - 1) addBit(heads, hashOfHead(first, block));
    }
    if (window.length < windowBytes) addNeighbours(blocks, window.length === headBytes ? first : undefined, block);
  }
  return { windowBytes, stride, blocks, heads, headBytes, sieve: createEscapeSieve(windows) };
}

/** The beginnings of patterns, without those that begin as the one before them: what was encoded is there with each of its ends. */
function windowsOf(patterns: readonly Pattern[], windowBytes: number): Uint8Array[] {
  const room = new Uint8Array(patterns.length * windowBytes);
  const windows: Uint8Array[] = [];
  let start = 0;
  let before = 0;
  for (const pattern of patterns) {
    const length = Math.min(pattern.length, windowBytes);
    let isNew = start - before !== length;
    for (let at = 0; at < length; at++) {
      const byte = pattern.charCodeAt(at);
      isNew ||= room[before + at] !== byte;
      room[start + at] = byte;
    }
    if (!isNew) continue;
    windows.push(room.subarray(start, start + length));
    before = start;
    start += length;
  }
  return windows;
}

/** The blocks that end one byte behind the last block of a pattern and, for the shortest, those that begin a byte before the first. */
function addNeighbours(blocks: Bits, first: number | undefined, last: number): void {
  for (let byte = 0; byte < 256; byte++) {
    addBit(blocks, hashOfBlock((last >>> 8) | (byte << 24)));
    if (first !== undefined) addBit(blocks, hashOfBlock((first << 8) | byte));
  }
}

/**
 * The first place in `text` at or after `from` where a match may begin: none begins before it. At the end of the text that
 * is where a match may begin that the text cuts short.
 */
export function nextCandidate(filter: BlockFilter, text: DataView, from: number): number {
  const { stride, blocks } = filter;
  const lastBlock = text.byteLength - BLOCK_BYTES;
  let at = from + stride - 2;
  while (at <= lastBlock) {
    at = skipFours(blocks, text, at, stride, lastBlock - 3 * stride);
    for (const end = Math.min(lastBlock, at + 3 * stride); at <= end; at += stride) {
      if (!hasBit(blocks, hashOfBlock(text.getInt32(at, true)))) continue;
      const start = headNear(filter, text, at, from);
      if (start >= 0) return start;
    }
  }
  return Math.max(from, at - stride + 1);
}

/** Four blocks at a time, without a decision for each: that takes a third of the time. Returns the first of four that need a look. */
function skipFours({ words, shift }: Bits, text: DataView, from: number, stride: number, last: number): number {
  const bit = shift - 5;
  let at = from;
  for (; at <= last; at += 4 * stride) {
    const a = hashOfBlock(text.getInt32(at, true));
    const b = hashOfBlock(text.getInt32(at + stride, true));
    const c = hashOfBlock(text.getInt32(at + 2 * stride, true));
    const d = hashOfBlock(text.getInt32(at + 3 * stride, true));
    const hit =
      ((words[a >>> shift] as number) >> (a >>> bit)) |
      ((words[b >>> shift] as number) >> (b >>> bit)) |
      ((words[c >>> shift] as number) >> (c >>> bit)) |
      ((words[d >>> shift] as number) >> (d >>> bit));
    if ((hit & 1) !== 0) break;
  }
  return at;
}

/** Where the first pattern may begin of which a block stands at `at`, or -1. */
function headNear({ stride, heads, headBytes }: BlockFilter, text: DataView, at: number, from: number): number {
  const lastHead = text.byteLength - headBytes;
  const toLastBlock = headBytes - BLOCK_BYTES;
  for (let start = Math.max(from, at - stride + 1); start <= at + 1; start++) {
    if (start > lastHead) return start;
    if (hasBit(heads, hashOfHead(text.getInt32(start, true), text.getInt32(start + toLastBlock, true)))) return start;
  }
  return -1;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hashOfBlock(block: number): number {
  return Math.imul(block, 0x9e3779b1);
}

/** Of the first and the last block: of all bytes of a head of up to eight. */
function hashOfHead(first: number, last: number): number {
  return Math.imul(Math.imul(first, 0x85ebca6b) ^ last, 0x9e3779b1);
}
