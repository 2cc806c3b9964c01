import type { Pattern } from './forms.ts';

/**
 * Finds where a match may begin, looking at few bytes of a text (the idea of Wu and Manber, TR 94-17, Arizona 1994, with
 * steps of one length). Every match begins with the window of one of the patterns: its first bytes, as many as the
 * shortest pattern has, up to a limit. A window holds `stride` blocks of some bytes, so that one of any `stride` neighbouring
 * blocks of the text lies in it: it is enough to look at each `stride`-th block, and whether it is in some window is known
 * from a hash table of single bits.
 */
export interface BlockFilter {
  /**
   * The first place at or after `from` where a match may begin: none begins before it. At the end of the text it is where
   * a match may begin that the text cuts short.
   */
  next(text: DataView, from: number): number;
  /** A match that makes `next` stop begins at the place it names or at most this many bytes after it. */
  readonly reach: number;
}

/** Longer windows would add entries to the table faster than they save steps. */
const MAX_WINDOW_BYTES = 32;
const BITS_PER_ENTRY = 32;

export function createBlockFilter(patterns: Iterable<Pattern>): BlockFilter {
  const all = [...patterns];
  const windowBytes = all.reduce((least, { length }) => Math.min(least, length), MAX_WINDOW_BYTES);
  const windows = new Set(all.map((pattern) => pattern.slice(0, windowBytes)));
  const blockBytes = windowBytes >= 12 ? 8 : 4;
  const stride = windowBytes - blockBytes + 1;
  const scale = Math.min(24, Math.max(16, Math.ceil(Math.log2(windows.size * stride * BITS_PER_ENTRY + 1))));
  const shift = 32 - scale + 3;
  const table = new Uint8Array(2 ** (scale - 3));
  const hash = blockBytes === 8 ? hashOf8 : hashOf4;

  for (const window of windows) {
    const view = viewOf(Buffer.from(window, 'latin1'));
    for (let at = 0; at < stride; at++) {
      const hashed = hash(view, at);
      table[hashed >>> shift] = (table[hashed >>> shift] as number) | (1 << ((hashed >>> 4) & 7));
    }
  }
  const reach = stride - 1;

  // Two loops that differ in the block alone: called through a variable, a hash takes three times as long.
  function next4(text: DataView, from: number): number {
    const last = text.byteLength - 4;
    let at = from + reach;
    for (; at <= last; at += stride) {
      const hashed = hashOf4(text, at);
      if ((((table[hashed >>> shift] as number) >>> ((hashed >>> 4) & 7)) & 1) !== 0) break;
    }
    return at - reach;
  }

  function next8(text: DataView, from: number): number {
    const last = text.byteLength - 8;
    let at = from + reach;
    for (; at <= last; at += stride) {
      const hashed = hashOf8(text, at);
      if ((((table[hashed >>> shift] as number) >>> ((hashed >>> 4) & 7)) & 1) !== 0) break;
    }
    return at - reach;
  }

  return { next: blockBytes === 8 ? next8 : next4, reach };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hashOf4(text: DataView, at: number): number {
  return Math.imul(text.getUint32(at, true), 0x9e3779b1);
}

function hashOf8(text: DataView, at: number): number {
  return Math.imul(Math.imul(text.getUint32(at, true), 0x85ebca6b) ^ text.getUint32(at + 4, true), 0x9e3779b1);
}
