import type { Automaton } from './automaton.ts';
import { endsInDigits, lengthOfLineEnd } from './block-lines.ts';
import { CHARACTER, createSpellings, NOTHING, readSpellings } from './spellings.ts';

/**
 * Follows patterns through a text that spells some of their characters by escapes, each in its own way. An escape may be read in
 * several ways (`\n`: a line end, or an n), so there are several places in the patterns at which the search may be: threads.
 */
export interface SpelledSearch {
  /** Whether `accepts` takes the first byte of any reading of the escape at `at`. */
  mayBegin(text: Uint8Array, at: number, ended: boolean, accepts: (byte: number) => boolean): boolean;
  /** Begins at an escape, with the state that the automaton is in before it. */
  enter(text: Uint8Array, at: number, state: number, ended: boolean): void;
  /** Begins at the end of a line in a block of base64 or hex, as {@link enter} does. */
  enterNextLine(text: Uint8Array, at: number, state: number): void;
  /** Follows all threads up to `until`. */
  advance(text: Uint8Array, until: number, ended: boolean): void;
  /** Where the first secret begins that the text may have begun to spell, or `Infinity`. */
  earliest(): number;
  /** Counts places from one that is `by` bytes later. */
  shift(by: number): void;
  reset(): void;
}

interface Thread {
  /** Of the automaton. */
  state: number;
  /** Up to here the text is read. */
  at: number;
  start: number;
  /** It came to the next line of a block, where blanks may stand first. */
  indented: boolean;
  /** Nothing from here on may be shown yet. */
  holds: number;
}

/** More come about where a secret repeats itself, and then the first of them cover what the others would find. */
const MOST_THREADS = 64;

export function createSpelledSearch(
  automaton: Automaton,
  found: (start: number, end: number, state: number) => void,
): SpelledSearch {
  const { childOf, fallbackOf, depths, longestEnding } = automaton;
  const spellings = createSpellings();
  let threads: Thread[] = [];
  /** Not after the place of any thread. */
  let next = Number.POSITIVE_INFINITY;

  function push(state: number, at: number, start: number): void {
    if (longestEnding[state] === depths[state]) found(start, at, state);
    put(state, at, start);
  }

  function put(state: number, at: number, start: number, indented = false, holds = start): void {
    for (const thread of threads) {
      if (thread.state !== state || thread.at !== at) continue;
      thread.start = Math.min(thread.start, start);
      thread.holds = Math.min(thread.holds, holds);
      return;
    }
    if (threads.length === MOST_THREADS) return;
    threads.push({ state, at, start, indented, holds });
    next = Math.min(next, at);
  }

  /** A finished line is shown but for what is almost surely of a secret; less is given up if that turns out to be of one. */
  function putInNextLine(text: Uint8Array, state: number, at: number, start: number): void {
    const next = at + lengthOfLineEnd(text, at);
    put(state, next, start, true, (depths[state] as number) < LEAST_HELD_DIGITS ? next : start);
  }

  function followSpellings(state: number, at: number, start: number): void {
    for (let index = 0; index < spellings.count; index++) {
      const after = stateAfter(state, spellings.values[index] as number);
      if (after !== 0) push(after, at + (spellings.lengths[index] as number), start);
    }
  }

  function stateAfter(state: number, value: number): number {
    if (value === NOTHING) return state;
    if (value < CHARACTER) return childOf(state, value);
    const point = value & 0xffffff;
    if (point < 0x80) return childOf(state, point);
    const continuations = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    let after = childOf(state, leadByteOf(point));
    for (let left = continuations - 1; left >= 0 && after !== 0; left--) {
      after = childOf(after, 0x80 | ((point >> (6 * left)) & 0x3f));
    }
    return after;
  }

  function follow(text: Uint8Array, { state, at, start, indented, holds }: Thread, ended: boolean): void {
    const byte = text[at] as number;
    if (indented && (byte === SPACE || byte === TAB)) {
      put(state, at + 1, start, true, holds);
      return;
    }
    if (MAY_SPELL[byte] === 1) {
      readSpellings(text, at, ended, spellings);
      if (spellings.cutShort) {
        put(state, at, start);
        return;
      }
      followSpellings(state, at, start);
    }
    if (byte !== LINE_FEED && byte !== RETURN) {
      const child = childOf(state, byte);
      if (child !== 0) push(child, at + 1, start);
    } else if (lengthOfLineEnd(text, at) > 0 && endsInDigits(text, at)) putInNextLine(text, state, at, start);
  }

  return {
    mayBegin(text, at, ended, accepts) {
      readSpellings(text, at, ended, spellings);
      if (spellings.cutShort) return true;
      for (let index = 0; index < spellings.count; index++) {
        const value = spellings.values[index] as number;
        if (value === NOTHING || accepts(value < CHARACTER ? value : leadByteOf(value & 0xffffff))) return true;
      }
      return false;
    },
    enter(text, at, state, ended) {
      readSpellings(text, at, ended, spellings);
      if (spellings.count === 0 && !spellings.cutShort) return;
      for (let each = state; ; each = fallbackOf(each)) {
        const start = at - (depths[each] as number);
        if (spellings.cutShort) put(each, at, start);
        else followSpellings(each, at, start);
        if (each === 0) return;
      }
    },
    enterNextLine(text, at, state) {
      for (let each = state; each !== 0; each = fallbackOf(each)) {
        putInNextLine(text, each, at, at - (depths[each] as number));
      }
    },
    advance(text, until, ended) {
      while (next < until) {
        const here = next;
        const due = threads.filter(({ at }) => at === here);
        threads = threads.filter(({ at }) => at !== here);
        next = nextOf(threads);
        for (const thread of due) follow(text, thread, ended);
        // Those that wait for more text stand where they stood.
        if (next === here) return;
      }
    },
    earliest() {
      let least = Number.POSITIVE_INFINITY;
      for (const { holds } of threads) least = Math.min(least, holds);
      return least;
    },
    shift(by) {
      if (threads.length === 0) return;
      for (const thread of threads) {
        thread.at -= by;
        thread.start -= by;
        thread.holds -= by;
      }
      next -= by;
    },
    reset() {
      threads = [];
      next = Number.POSITIVE_INFINITY;
    },
  };
}

/** Of a code point in UTF-8. */
function leadByteOf(point: number): number {
  if (point < 0x80) return point;
  if (point < 0x800) return 0xc0 | (point >> 6);
  return point < 0x10000 ? 0xe0 | (point >> 12) : 0xf0 | (point >> 18);
}

function nextOf(threads: Thread[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { at } of threads) least = Math.min(least, at);
  return least;
}

/** So many digits of base64 or hex are of a secret by chance only where secrets are very many. */
const LEAST_HELD_DIGITS = 4;

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** By byte: 1 where an escape may begin. */
const MAY_SPELL = new Uint8Array(256);
for (const sign of '\\%&+\'"') MAY_SPELL[sign.charCodeAt(0)] = 1;
