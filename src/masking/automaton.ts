import type { Pattern } from './forms.ts';

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
  /** The pattern that is whole in `state`. */
  patternOf(state: number): Pattern | undefined;
  /** By state: the length of the beginning that it stands for. Anything before it belongs to no later match. */
  readonly depths: Int32Array;
  /** By state: the length of the longest pattern that ends here, 0 when none does. */
  readonly longestEnding: Int32Array;
}

/**
 * Takes 14 bytes per byte of the patterns; a beginning that several share counts once. The fallbacks, which are most of the
 * work, are found when a text first leads to a state: few texts lead to more than a few.
 */
export function createAutomaton(patterns: Iterable<Pattern>): Automaton {
  const sorted = [...patterns].sort();
  const { childOf, rootChildren, depths, longestEnding, ends } = buildTrie(sorted);
  /** By state: the longest other beginning that it ends with. Known for every state that was ever reached, and for those. */
  const fallbacks = new Int32Array(depths.length).fill(UNKNOWN);
  fallbacks[0] = 0;
  for (const child of rootChildren) fallbacks[child] = 0;

  function step(state: number, byte: number): number {
    return byte === LINE_FEED || byte === RETURN ? 0 : stepOver(state, byte);
  }

  function stepOver(state: number, byte: number): number {
    let at = state;
    let child = childOf(at, byte);
    while (child === 0 && at !== 0) {
      at = fallbacks[at] as number;
      child = childOf(at, byte);
    }
    if (fallbacks[child] === UNKNOWN) findFallback(child, at, byte);
    return child;
  }

  /** For `state`, which is `byte` after `parent`, and for the fallbacks of its fallback as far as they are unknown. */
  function findFallback(state: number, parent: number, byte: number): void {
    const unknown: number[] = [];
    let child = state;
    let at = parent;
    while (fallbacks[child] === UNKNOWN) {
      unknown.push(child);
      do {
        at = fallbacks[at] as number;
        child = childOf(at, byte);
      } while (child === 0 && at !== 0);
    }
    for (const each of unknown.reverse()) {
      fallbacks[each] = child;
      if (longestEnding[each] === 0) longestEnding[each] = longestEnding[child] as number;
      child = each;
    }
  }

  const fallbackOf = (state: number): number => fallbacks[state] as number;

  /** A pattern adds states when its turn comes, the last of them its end: ends are in order. */
  function patternOf(state: number): Pattern | undefined {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as number) < state) low = middle + 1;
      else high = middle;
    }
    return ends[low] === state ? sorted[low] : undefined;
  }

  return { step, stepOver, childOf, fallbackOf, patternOf, depths, longestEnding };
}

const UNKNOWN = -1;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/** In `next`: the state after this one continues it with the byte in the low eight bits. */
const HAS_NEXT = 0x100;
/** In `next`: more continuations are found by hash. */
const HAS_BRANCHES = 0x200;

/** The beginnings of all patterns. Most have one continuation, and it is then the state that follows in number. */
interface Trie {
  /** The state that continues `state` with `byte`, or 0. */
  childOf(state: number, byte: number): number;
  rootChildren: Int32Array;
  depths: Int32Array;
  /** By state: its own length where it is a whole pattern, else 0. */
  longestEnding: Int32Array;
  /** By pattern: the state in which it is whole. */
  ends: Int32Array;
}

/** @param patterns without repetition, sorted, so that each shares its longest known beginning with the one before it */
function buildTrie(patterns: Pattern[]): Trie {
  const shared = patterns.map((pattern, index) => commonLength(pattern, patterns[index - 1] ?? ''));
  const states = 1 + patterns.reduce((sum, pattern, index) => sum + pattern.length - (shared[index] as number), 0);
  const next = new Uint16Array(states);
  const rootChildren = new Int32Array(256);
  const branches = createBranches(patterns.length);
  const depths = new Int32Array(states);
  const longestEnding = new Int32Array(states);
  const ends = new Int32Array(patterns.length);
  const path = new Int32Array(1 + patterns.reduce((longest, pattern) => Math.max(longest, pattern.length), 0));

  let newest = 0;
  patterns.forEach((pattern, index) => {
    for (let depth = shared[index] as number; depth < pattern.length; depth++) {
      const parent = path[depth] as number;
      const byte = pattern.charCodeAt(depth);
      const child = ++newest;
      if (parent === 0) rootChildren[byte] = child;
      else if (child === parent + 1) next[parent] = HAS_NEXT | byte;
      else {
        next[parent] = (next[parent] as number) | HAS_BRANCHES;
        branches.set(parent, byte, child);
      }
      path[depth + 1] = child;
      depths[child] = depth + 1;
    }
    longestEnding[path[pattern.length] as number] = pattern.length;
    ends[index] = path[pattern.length] as number;
  });

  function childOf(state: number, byte: number): number {
    if (state === 0) return rootChildren[byte] as number;
    const flags = next[state] as number;
    if ((flags & (HAS_NEXT | 0xff)) === (HAS_NEXT | byte)) return state + 1;
    return (flags & HAS_BRANCHES) === 0 ? 0 : branches.get(state, byte);
  }

  return { childOf, rootChildren, depths, longestEnding, ends };
}

function commonLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

interface Branches {
  set(state: number, byte: number, child: number): void;
  /** The child, or 0. */
  get(state: number, byte: number): number;
}

/** A hash table with open addressing: a pattern adds at most one branch, so its size is known. */
function createBranches(most: number): Branches {
  const bits = Math.ceil(Math.log2(2 * most + 2));
  const states = new Int32Array(2 ** bits);
  const bytes = new Uint8Array(2 ** bits);
  const children = new Int32Array(2 ** bits);

  function slotOf(state: number, byte: number): number {
    let slot = Math.imul((state << 8) | byte, 0x9e3779b1) >>> (32 - bits);
    while (children[slot] !== 0 && !(states[slot] === state && bytes[slot] === byte)) slot = (slot + 1) % 2 ** bits;
    return slot;
  }

  return {
    set(state, byte, child) {
      const slot = slotOf(state, byte);
      states[slot] = state;
      bytes[slot] = byte;
      children[slot] = child;
    },
    get(state, byte) {
      return children[slotOf(state, byte)] as number;
    },
  };
}
