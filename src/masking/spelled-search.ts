import type { Automaton } from './automaton.ts';
import type { BlockFilter } from './block-filter.ts';
import { endsInDigits, hasLineEnd, isEscapedBlockEnd, lengthOfLineEnd, prefixOfBlock } from './block-lines.ts';
import { afterEscape, mayBeOfSecret, mayBeOfSecretAs } from './escape-sieve.ts';
import { CHARACTER, NOTHING } from './readings.ts';
import { KIND, LINE_END, LINE_FEED, leadByteOf, MAY_SPELL, NOWHERE, ORDINARY, SPACE, TAB } from './signs.ts';
import { createSpellings, readSpellings } from './spellings.ts';

/**
 * Follows patterns through a text that spells some of their characters by escapes, each in its own way. An escape may be read in
 * several ways (`\n`: a line end, or an n), so there are several places in the patterns at which the search may be: threads.
 */
export interface SpelledSearch {
  /**
   * Begins at an escape.
   *
   * @param state of the automaton before it; `UNREAD` where the automaton did not read what is before
   * @returns where the next escape may begin
   */
  enter(text: Buffer, at: number, state: number, ended: boolean): number;
  /** Begins at the end of a line in a block of base64 or hex, as {@link enter} does. */
  enterNextLine(text: Buffer, at: number, state: number): void;
  /** Follows all threads up to `until`. */
  advance(text: Buffer, until: number, ended: boolean): void;
  /** Where the first secret begins that the text may have begun to spell, or `NOWHERE`. */
  earliest(): number;
  /** The text is read again from here on. */
  needed(): number;
  /** Tells what stands before the text of the next call. */
  follows(before: Buffer): void;
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
  /**
   * It came to the next line of a block. `INDENTED`: the rest of the line end and blanks may stand there first; else so many bytes of the line
   * stand before `at`, as in the line before, and are still to be seen.
   */
  skip: number;
  /** Nothing from here on may be shown yet. */
  holds: number;
}

export const UNREAD = -1;
const INDENTED = -1;

/** More come about where a secret repeats itself, and then the first of them cover what the others would find. */
const MOST_THREADS = 64;

export function createSpelledSearch(
  automaton: Automaton,
  filter: BlockFilter,
  found: (start: number, end: number, state: number) => void,
): SpelledSearch {
  const { step, childOf, fallbackOf, isWhole, depths } = automaton;
  const { sieve, windowBytes } = filter;
  const spellings = createSpellings();
  let threads: Thread[] = [];
  /** Not after the place of any thread. */
  let next: number = NOWHERE;

  /** Goes on from `at` as far as no other spelling is possible. */
  function push(text: Buffer, state: number, at: number, start: number): void {
    let reached = state;
    let place = at;
    for (;;) {
      if (isWhole(reached)) found(start, place, reached);
      if (place >= text.length || KIND[text[place] as number] !== ORDINARY) break;
      reached = childOf(reached, text[place++] as number);
      if (reached === 0) return;
    }
    put(reached, place, start);
  }

  function put(state: number, at: number, start: number, skip = 0, holds = start): void {
    for (const thread of threads) {
      if (thread.state !== state || thread.at !== at || thread.skip !== skip) continue;
      thread.start = Math.min(thread.start, start);
      thread.holds = Math.min(thread.holds, holds);
      return;
    }
    if (threads.length === MOST_THREADS) return;
    threads.push({ state, at, start, skip, holds });
    next = Math.min(next, at);
  }

  /** A finished line is shown but for what is almost surely of a secret; less is given up if that turns out to be of one. */
  function putInNextLine(text: Buffer, state: number, at: number, start: number): void {
    if (threads.length === MOST_THREADS) return;
    const next = at + lengthOfLineEnd(text, at);
    const holds = (depths[state] as number) < LEAST_HELD_DIGITS ? next : start;
    put(state, next, start, INDENTED, holds);
    const prefix = prefixOfBlock(text, spellings.before, at);
    if (prefix > 0) put(state, next + prefix, start, prefix, holds);
  }

  function followSpellings(text: Buffer, state: number, at: number, start: number): void {
    for (let index = 0; index < spellings.count; index++) {
      const after = stateAfter(state, spellings.values[index] as number);
      if (after !== 0) push(text, after, at + (spellings.lengths[index] as number), start);
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

  function follow(text: Buffer, { state, at, start, skip, holds }: Thread, ended: boolean): void {
    const byte = text[at] as number;
    if (skip === INDENTED && (byte === SPACE || byte === TAB || byte === LINE_FEED)) {
      put(state, at + 1, start, INDENTED, holds);
      return;
    }
    if (skip > 0 && hasLineEnd(text, spellings.before, at - skip, at)) return;
    if (KIND[byte] === LINE_END) {
      if (lengthOfLineEnd(text, at) > 0 && endsInDigits(text, spellings.before, at))
        putInNextLine(text, state, at, start);
      return;
    }
    if (KIND[byte] === MAY_SPELL) {
      readSpellings(text, at, ended, spellings);
      if (spellings.cutShort) {
        put(state, at, start, skip, holds);
        return;
      }
      followSpellings(text, state, at, start);
    }
    const child = childOf(state, byte);
    if (child !== 0) push(text, child, at + 1, start);
  }

  /** The state after what stands before `at`, as far as matches go that began less than a window's length before. */
  function stateBefore(text: Buffer, at: number): number {
    let state = 0;
    for (let each = Math.max(0, at - windowBytes + 1); each < at; each++) state = step(state, text[each] as number);
    return state;
  }

  return {
    enter(text, at, known, ended) {
      const after = known > 0 ? at + 1 : afterEscape(sieve, text, at);
      const isSure = known > 0 || isEscapedBlockEnd(text, spellings.before, at);
      if (!isSure && !mayBeOfSecret(sieve, text, at)) return after;
      readSpellings(text, at, ended, spellings);
      if (spellings.count === 0 && !spellings.cutShort) return after;
      if (!isSure && !mayBeOfSecretAs(sieve, text, at, spellings)) return after;
      const state = known === UNREAD ? stateBefore(text, at) : known;
      for (let each = state, entered = 0; entered < MOST_THREADS; each = fallbackOf(each), entered++) {
        const start = at - (depths[each] as number);
        if (spellings.cutShort) put(each, at, start);
        else followSpellings(text, each, at, start);
        if (each === 0) break;
      }
      return after;
    },
    enterNextLine(text, at, state) {
      const known = state === UNREAD ? stateBefore(text, at) : state;
      for (let each = known; each !== 0; each = fallbackOf(each)) {
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
      let least: number = NOWHERE;
      for (const { holds } of threads) least = Math.min(least, holds);
      return least;
    },
    needed: () => next,
    follows(before) {
      spellings.before = before;
    },
    shift(by) {
      if (threads.length === 0) return;
      for (const thread of threads) {
        thread.at -= by;
        thread.start -= by;
        thread.holds -= by;
      }
      if (next !== NOWHERE) next -= by;
    },
    reset() {
      threads = [];
      next = NOWHERE;
      spellings.before = Buffer.alloc(0);
    },
  };
}

function nextOf(threads: Thread[]): number {
  let least: number = NOWHERE;
  for (const { at } of threads) least = Math.min(least, at);
  return least;
}

/** So many digits of base64 or hex are of a secret by chance only where secrets are very many. */
const LEAST_HELD_DIGITS = 4;
