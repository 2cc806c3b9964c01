import type { Automaton } from './automaton.ts';
import type { BlockFilter } from './block-filter.ts';
import { createTail } from './held-tail.ts';
import type { LinedValues } from './lined-values.ts';
import { createRuns } from './runs.ts';
import { createSearch } from './search.ts';

/** So much of a chunk is copied behind a held tail: what begins in the tail has mostly ended there. */
const SEAM_BYTES = 4096;

/** The text in a log in place of a secret. */
const MASK = Buffer.from('***');

/** Masks one stream. Each of a process's streams has its own: what one holds back has nothing to do with the other. */
export interface MaskStream {
  /**
   * Takes the next bytes of the stream and returns those that may be shown now, masked: all but the tail that may still
   * become a secret. A finished line is held back only where a secret may go on in the next: one of several lines, in a block or in a
   * dump. They come in pieces, in order, which may share memory with `chunk`.
   */
  write(chunk: Uint8Array): Uint8Array[];
  /** The held tail, when nothing more comes. The stream may then be used anew. */
  end(): Uint8Array[];
}

/**
 * Every byte that belongs to a match of any pattern is masked, and each unbroken run of such bytes becomes one
 * {@link MASK}: of overlapping secrets nothing remains.
 */
export function createMaskStream(automaton: Automaton, filter: BlockFilter, lined: LinedValues): MaskStream {
  const tail = createTail();
  const runs = createRuns();
  const search = createSearch(automaton, filter, lined, (start, end) => runs.add(Math.max(0, start), end));
  /** The last thing shown was a mask, which a run that follows at once continues. */
  let masking = false;

  /** The part of `text` that can be shown when everything before `settled` is, and the number of bytes that it covers. */
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

  /** Reads a text of which `unread` is new and adds to `shown` what can be shown. Returns how many bytes that covers. */
  function pass(text: Uint8Array, unread: number, shown: Uint8Array[]): number {
    search.read(text, unread, false);
    const { shown: more, released } = release(text, search.open(), search.needed());
    shown.push(...more);
    return released;
  }

  function passBehindTail(more: Uint8Array, shown: Uint8Array[]): void {
    const held = tail.length;
    tail.drop(pass(tail.append(more), held, shown));
  }

  return {
    write(chunk) {
      const shown: Uint8Array[] = [];
      let read = 0;
      if (tail.length > 0) {
        passBehindTail(chunk.subarray(0, SEAM_BYTES), shown);
        read = Math.min(chunk.length, SEAM_BYTES);
      }
      const held = tail.length;
      if (held > read) {
        passBehindTail(chunk.subarray(read), shown);
      } else if (read < chunk.length) {
        // All that is held is of the chunk, where it stands before the rest.
        tail.drop(held);
        const text = chunk.subarray(read - held);
        tail.append(text.subarray(pass(text, held, shown)));
      }
      return shown;
    },
    end() {
      search.read(tail.bytes(), tail.length, true);
      const { shown, released } = release(tail.bytes(), tail.length);
      tail.drop(released);
      search.reset();
      masking = false;
      return shown;
    },
  };
}
