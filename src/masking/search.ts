import type { Automaton } from './automaton.ts';
import { type BlockFilter, nextCandidate, viewOf } from './block-filter.ts';
import { CONTEXT_BYTES } from './block-lines.ts';
import { createDumpSearch } from './dump-search.ts';
import { createLandmarks } from './landmarks.ts';
import { createLineSearch, type LinedValues } from './lined-values.ts';
import { KIND, LINE_END } from './signs.ts';
import { createSpelledSearch, UNREAD } from './spelled-search.ts';

/** Finds patterns in one stream, as they are and spelled by escapes. The text of a call begins with what the last one left open. */
export interface Search {
  /**
   * Reads `text` from `unread` on; what is before was read by the last call.
   *
   * @param ended no more text will come
   */
  read(text: Uint8Array, unread: number, ended: boolean): void;
  /** Where the first pattern begins that may have begun and not ended; the length of the text where none has. */
  open(): number;
  /** No byte from here on may be given up: they are read again. */
  needed(): number;
  /** Counts places from one that is `by` bytes later: the text of the next call begins there. */
  shift(by: number): void;
  reset(): void;
}

/**
 * Is told where each match begins and ends, and of the automaton's state, which knows the pattern. The longest is told of those
 * that end at one place. A place before the text is one that was given up by {@link Search.shift}.
 */
export type Found = (start: number, end: number, state: number) => void;

/**
 * The filter leads over the parts of a text where no match begins, and the automaton reads the rest. Whatever the text, the
 * automaton takes at most two steps for each byte, and a bounded number for each escape: linear time.
 */
export function createSearch(automaton: Automaton, filter: BlockFilter, lined: LinedValues, tell: Found): Search {
  const { step, depths, longestEnding } = automaton;
  const lines = createLineSearch(automaton, lined, tell);
  const found = lined.values.length > 0 ? lines.found : tell;
  const spelled = createSpelledSearch(automaton, filter, found);
  const dumps = createDumpSearch(automaton, found);
  const landmarks = createLandmarks(filter.sieve);
  let state = 0;
  /** The text that was read last, and the end of the one before it. */
  let last: Buffer = NOTHING_READ;
  let before: Buffer = NOTHING_READ;

  /**
   * Follows threads up to a landmark and begins new ones there.
   *
   * @param until matches of which so much stands in the text as the filter looks for begin here or later
   * @returns the next landmark
   */
  function enter(place: number, known: number, until: number, ended: boolean): number {
    spelled.advance(last, place, ended);
    if (KIND[last[place] as number] !== LINE_END)
      return landmarks.next(spelled.enter(last, place, known, ended), until);
    spelled.enterNextLine(last, place, known);
    return landmarks.next(place + 1, until);
  }

  return {
    read(text, unread, ended) {
      last = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
      const view = viewOf(text);
      const end = text.length;
      landmarks.begin(last, before, unread);
      let at = unread;
      /** Where the automaton began, how far it came in earlier rounds, and where the match begins that the filter suspects. */
      let entered = at;
      let known = at;
      let suspect = -1;
      /** The state knows of all matches that began from here on, and of earlier ones that the filter told of. */
      let covered = -filter.windowBytes;
      let place = landmarks.next(at, at);

      for (;;) {
        while (at < end) {
          const depth = depths[state] as number;
          // Half of what was read here must be done with, or reading it again in the next round would not be linear.
          if (at - depth > suspect && 2 * depth <= at - entered) break;
          if (at === place) place = enter(at, at - covered >= filter.windowBytes - 1 ? state : UNREAD, at, ended);
          state = step(state, text[at++] as number);
          const length = longestEnding[state] as number;
          if (length > 0 && at > known) found(at - length, at, state);
        }
        if (at === end) break;
        known = Math.max(known, at);
        at = nextCandidate(filter, view, at - (depths[state] as number));
        entered = at;
        suspect = at;
        covered = at;
        state = 0;
        while (place < at) place = enter(place, UNREAD, at, ended);
      }
      spelled.advance(last, end, ended);
      dumps.read(last, landmarks.dumpLines, ended);
      lines.read(last, ended);
    },
    open: () => Math.min(last.length - (depths[state] as number), spelled.earliest(), dumps.open(), lines.open()),
    needed: () => Math.min(spelled.needed(), dumps.needed(), lines.needed()),
    shift(by) {
      if (by === 0) return;
      spelled.shift(by);
      dumps.shift(by);
      lines.shift(by);
      before = Buffer.concat([before, last.subarray(Math.max(0, by - CONTEXT_BYTES), by)]).subarray(-CONTEXT_BYTES);
      spelled.follows(before);
      last = last.subarray(by);
    },
    reset() {
      state = 0;
      last = NOTHING_READ;
      before = NOTHING_READ;
      spelled.reset();
      dumps.reset();
      lines.reset();
    },
  };
}

const NOTHING_READ = Buffer.alloc(0);
