import type { Pattern } from './forms.ts';
import { LINE_FEED, RETURN } from './signs.ts';
import { createTrie } from './trie.ts';

/**
 * An Aho-Corasick automaton (Communications of the ACM 18/6, 1975): reads a text byte by byte and knows at each byte which
 * patterns end there, in time that does not depend on the patterns. A state is a beginning of a pattern, the longest that
 * the text read so far ends with; state 0 is the empty one.
 */
export interface Automaton {
  /** The state after reading `byte` in `state`: the empty one after a line end, which no pattern has but by an escape. */
  step(state: number, byte: number): number;
  /** As {@link step}, for bytes that are no text: a line end is a byte like any other. */
  stepOver(state: number, byte: number): number;
  /** The state that continues `state` with `byte`, which may be an escaped line end, or 0 where no pattern does. */
  childOf(state: number, byte: number): number;
  /** The longest other beginning that a text ends with in `state`, which a step led to. */
  fallbackOf(state: number): number;
  isWhole(state: number): boolean;
  /** The pattern that is whole in `state`. */
  patternOf(state: number): Pattern | undefined;
  /** By state: the length of the beginning that it stands for. Anything before it belongs to no later match. */
  readonly depths: Int32Array;
  /** By state: the length of the longest pattern that ends here, 0 when none does. */
  readonly longestEnding: Int32Array;
}

/**
 * A state and its fallback are found when a text first leads to it. Takes 14 bytes for each byte of the patterns that texts lead to; a
 * beginning that several share counts once.
 */
export function createAutomaton(patterns: readonly Pattern[]): Automaton {
  const { childOf, isWhole, patternOf, depths } = createTrie(patterns);
  const longestEnding = new Int32Array(depths.length);
  /** By state: one more than the number of the longest other beginning that it ends with; 0 while no step led to it. */
  const fallbacks = new Int32Array(depths.length);
  fallbacks[0] = 1;

  function step(state: number, byte: number): number {
    return byte === LINE_FEED || byte === RETURN ? 0 : stepOver(state, byte);
  }

  function stepOver(state: number, byte: number): number {
    let at = state;
    let child = childOf(at, byte);
    while (child === 0 && at !== 0) {
      at = fallbackOf(at);
      child = childOf(at, byte);
    }
    if (fallbacks[child] === 0) findFallback(child, at, byte);
    return child;
  }

  function fallbackOf(state: number): number {
    return (fallbacks[state] as number) - 1;
  }

  /** For `state`, which is `byte` after `parent`, and for the fallbacks of its fallback as far as they are unknown. */
  function findFallback(state: number, parent: number, byte: number): void {
    const unknown: number[] = [];
    let child = state;
    let at = parent;
    while (fallbacks[child] === 0) {
      unknown.push(child);
      child = 0;
      while (child === 0 && at !== 0) {
        at = fallbackOf(at);
        child = childOf(at, byte);
      }
    }
    for (const each of unknown.reverse()) {
      fallbacks[each] = child + 1;
      longestEnding[each] = (isWhole(each) ? depths[each] : longestEnding[child]) as number;
      child = each;
    }
  }

  return { step, stepOver, childOf, fallbackOf, isWhole, patternOf, depths, longestEnding };
}
