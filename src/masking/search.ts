import type { Automaton } from './automaton.ts';
import { type BlockFilter, nextCandidate, viewOf } from './block-filter.ts';
import { CONTEXT_BYTES, nextBlockLineEnd } from './block-lines.ts';
import { createDumpSearch } from './dump-search.ts';
import { createIntroducers } from './introducers.ts';
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
export function createSearch(automaton: Automaton, filter: BlockFilter, found: Found): Search {
  const { step, depths, longestEnding } = automaton;
  const spelled = createSpelledSearch(automaton, filter, found);
  const dumps = createDumpSearch(automaton, found);
  const introducers = createIntroducers();
  let state = 0;
  /** The item that was read last, and those before it. */
  let last: Uint8Array = new Uint8Array(0);
  let before: Uint8Array = last;

  return {
    read(text, unread, ended) {
      const view = viewOf(text);
      const end = text.length;
      const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
      introducers.begin(buffer);
      last = text;
      let at = unread;
      /** Where the automaton began, how far it came in earlier rounds, and where the match begins that the filter suspects. */
      let entered = at;
      let known = at;
      let suspect = -1;
      /** The state knows of all matches that began from here on, and of earlier ones that the filter told of. */
      let covered = Number.NEGATIVE_INFINITY;
      let sign = introducers.next(at);
      let lineEnd = nextBlockLineEnd(buffer, before, at);
      const enter = (place: number, known: number): void => {
        spelled.advance(text, place, ended);
        if (place === sign) {
          spelled.enter(text, place, known, ended);
          sign = introducers.next(place + 1);
        } else {
          spelled.enterNextLine(text, place, known);
          lineEnd = nextBlockLineEnd(buffer, before, place + 1);
        }
      };

      for (;;) {
        while (at < end) {
          const depth = depths[state] as number;
          // Half of what was read here must be done with, or reading it again in the next round would not be linear.
          if (at - depth > suspect && 2 * depth <= at - entered) break;
          if (at === sign || at === lineEnd) enter(at, at - covered >= filter.windowBytes - 1 ? state : UNREAD);
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
        while (sign < at || lineEnd < at) enter(Math.min(sign, lineEnd), UNREAD);
      }
      spelled.advance(text, end, ended);
      dumps.read(buffer, ended);
    },
    open: () => Math.min(last.length - (depths[state] as number), spelled.earliest(), dumps.open()),
    needed: () => Math.min(spelled.needed(), dumps.needed()),
    shift(by) {
      if (by === 0) return;
      spelled.shift(by);
      dumps.shift(by);
      before = Buffer.concat([before, last.subarray(Math.max(0, by - CONTEXT_BYTES), by)]).subarray(-CONTEXT_BYTES);
      spelled.follows(before);
      last = last.subarray(by);
    },
    reset() {
      state = 0;
      last = new Uint8Array(0);
      before = last;
      spelled.reset();
      dumps.reset();
    },
  };
}
