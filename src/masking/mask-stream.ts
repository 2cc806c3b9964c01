import type { Automaton } from './automaton.ts';
import { type BlockFilter, nextCandidate, viewOf } from './block-filter.ts';
import { createTail } from './held-tail.ts';
import { createRuns } from './runs.ts';

/** What stands in a log in place of a secret. */
const MASK = Buffer.from('***');

/** Masks one stream. Each of a process's streams has its own: what one holds back has nothing to do with the other. */
export interface MaskStream {
  /**
   * Takes the next bytes of the stream and returns those that may be shown now, masked: all but the tail that may still
   * become a secret. A finished line is never held back. The answer may share memory with `chunk`.
   */
  write(chunk: Uint8Array): Uint8Array;
  /** The held tail, when nothing more comes. The stream may then be used anew. */
  end(): Uint8Array;
}

/**
 * Every byte that belongs to a match of any pattern is masked, and each unbroken run of such bytes becomes one
 * {@link MASK}: of overlapping secrets nothing remains.
 *
 * The filter leads over the parts of the text where no match begins, and the automaton reads the rest. Whatever the
 * text, the automaton takes at most two steps for each byte: linear time.
 */
export function createMaskStream(automaton: Automaton, filter: BlockFilter): MaskStream {
  const { step, depths, longestEnding } = automaton;
  const tail = createTail();
  const runs = createRuns();
  let state = 0;
  /** Whether the last thing shown was a mask, which a run that follows at once continues. */
  let masking = false;

  /** Reads `text` from `unread` on; the automaton's state covers what is before. */
  function scan(text: Uint8Array, unread: number): void {
    const view = viewOf(text);
    const end = text.length;
    let at = unread;
    /** Where the automaton began, how far it came in earlier rounds, and where the match begins that the filter suspects. */
    let entered = at;
    let known = at;
    let suspect = -1;
    for (;;) {
      while (at < end) {
        const depth = depths[state] as number;
        // Half of what was read here must be done with, or reading it again in the next round would not be linear.
        if (at - depth > suspect && 2 * depth <= at - entered) break;
        state = step(state, text[at++] as number);
        const length = longestEnding[state] as number;
        if (length > 0 && at > known) runs.add(at - length, at);
      }
      if (at === end) return;
      known = Math.max(known, at);
      at = nextCandidate(filter, view, at - (depths[state] as number));
      entered = at;
      suspect = at;
      state = 0;
    }
  }

  /** What can be shown of `text` when everything before `settled` is, and how many bytes of it that covers. */
  function release(text: Uint8Array, settled: number): { shown: Uint8Array[]; released: number } {
    const shown: Uint8Array[] = [];
    let at = 0;
    for (const { start, end } of runs.takeUntil(settled)) {
      if (start > at) shown.push(text.subarray(at, start));
      if (start > at || !masking) shown.push(MASK);
      masking = true;
      at = end;
    }
    if (settled > at) {
      shown.push(text.subarray(at, settled));
      masking = false;
      at = settled;
    }
    runs.shift(at);
    return { shown, released: at };
  }

  return {
    write(chunk) {
      const held = tail.length;
      const text = held === 0 ? chunk : tail.append(chunk);
      scan(text, held);
      const { shown, released } = release(text, text.length - (depths[state] as number));
      if (text === chunk) tail.append(chunk.subarray(released));
      else tail.drop(released);
      return joined(shown);
    },
    end() {
      const { shown, released } = release(tail.bytes(), tail.length);
      tail.drop(released);
      state = 0;
      masking = false;
      return joined(shown);
    },
  };
}

/** Without a copy where there is one piece. */
function joined(pieces: Uint8Array[]): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only && only !== MASK ? only : Buffer.concat(pieces);
}
