import type { Automaton } from './automaton.ts';
import type { BlockFilter } from './block-filter.ts';
import { createTail } from './held-tail.ts';
import { createRuns } from './runs.ts';
import { createSearch } from './search.ts';

/** The text in a log in place of a secret. */
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
 */
export function createMaskStream(automaton: Automaton, filter: BlockFilter): MaskStream {
  const tail = createTail();
  const runs = createRuns();
  const search = createSearch(automaton, filter, (start, end) => runs.add(Math.max(0, start), end));
  /** True when the last thing shown was a mask, which a run that follows at once continues. */
  let masking = false;

  /** The part of `text` that can be shown when everything before `settled` is, and how many bytes of it that covers. */
  function release(
    text: Uint8Array,
    open: number,
    needed = Number.POSITIVE_INFINITY,
  ): { shown: Uint8Array[]; released: number } {
    const shown: Uint8Array[] = [];
    let at = 0;
    const settled = Math.min(open, runs.firstOver(needed));
    for (const { start, end } of runs.takeUntil(settled, needed)) {
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
    search.shift(at);
    return { shown, released: at };
  }

  return {
    write(chunk) {
      const held = tail.length;
      const text = held === 0 ? chunk : tail.append(chunk);
      search.read(text, held, false);
      const { shown, released } = release(text, search.open(), search.needed());
      if (text === chunk) tail.append(chunk.subarray(released));
      else tail.drop(released);
      return joined(shown);
    },
    end() {
      search.read(tail.bytes(), tail.length, true);
      const { shown, released } = release(tail.bytes(), tail.length);
      tail.drop(released);
      search.reset();
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
