import type { Pattern } from './forms.ts';

/**
 * An Aho-Corasick automaton (Communications of the ACM 18/6, 1975): reads a text byte by byte and knows at each byte which
 * patterns end there, in time that does not depend on the patterns. A state is a beginning of a pattern, the longest that
 * the text read so far ends with; state 0 is the empty one.
 */
export interface Automaton {
  /** The state after reading `byte` in `state`. */
  step(state: number, byte: number): number;
  /** By state: the length of the beginning that it stands for. What came before it belongs to no later match. */
  readonly depths: Int32Array;
  /** By state: the length of the longest pattern that ends here, 0 when none does. */
  readonly longestEnding: Int32Array;
}

/** Takes 14 bytes per byte of the patterns, and time in proportion; a beginning shared by several patterns counts once. */
export function createAutomaton(patterns: Iterable<Pattern>): Automaton {
  const trie = buildTrie([...patterns].sort());
  const { next, rootChildren, branches, depths } = trie;
  const longestEnding = trie.endsAt;
  const fallbacks = new Int32Array(next.length);

  function step(state: number, byte: number): number {
    for (let at = state; at !== 0; at = fallbacks[at] as number) {
      const flags = next[at] as number;
      if ((flags & (HAS_NEXT | 0xff)) === (HAS_NEXT | byte)) return at + 1;
      if ((flags & HAS_BRANCHES) !== 0) {
        const child = branches.get(at, byte);
        if (child !== 0) return child;
      }
    }
    return rootChildren[byte] as number;
  }

  // A fallback is the longest other beginning that a state ends with: always a shallower state, so shallow ones come first.
  for (const state of statesByDepth(depths)) {
    if ((depths[state] as number) < 2) continue;
    const fallback = step(fallbacks[trie.parents[state] as number] as number, trie.bytes[state] as number);
    fallbacks[state] = fallback;
    if (longestEnding[state] === 0) longestEnding[state] = longestEnding[fallback] as number;
  }
  return { step, depths, longestEnding };
}

/** In `Trie.next`: the state after this one continues it with the byte in the low eight bits. */
const HAS_NEXT = 0x100;
/** In `Trie.next`: more continuations are in `Trie.branches`. */
const HAS_BRANCHES = 0x200;

/**
 * The beginnings of all patterns. Most have one continuation, which is then the state that follows in number; the others are
 * found by hash.
 */
interface Trie {
  next: Uint16Array;
  rootChildren: Int32Array;
  branches: Branches;
  depths: Int32Array;
  /** By state: its own length where it is a whole pattern, else 0. */
  endsAt: Int32Array;
  parents: Int32Array;
  bytes: Uint8Array;
}

/** @param patterns without repetition, sorted, so that each shares its longest known beginning with the one before it */
function buildTrie(patterns: Pattern[]): Trie {
  const shared = patterns.map((pattern, index) => commonLength(pattern, patterns[index - 1] ?? ''));
  const states = 1 + patterns.reduce((sum, pattern, index) => sum + pattern.length - (shared[index] as number), 0);
  const next = new Uint16Array(states);
  const rootChildren = new Int32Array(256);
  const branches = createBranches(patterns.length);
  const depths = new Int32Array(states);
  const endsAt = new Int32Array(states);
  const parents = new Int32Array(states);
  const bytes = new Uint8Array(states);
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
      parents[child] = parent;
      bytes[child] = byte;
    }
    endsAt[path[pattern.length] as number] = pattern.length;
  });
  return { next, rootChildren, branches, depths, endsAt, parents, bytes };
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

/** All states, the shallow ones first (a counting sort). */
function statesByDepth(depths: Int32Array): Int32Array {
  const starts = new Int32Array(depths.reduce((most, depth) => Math.max(most, depth), 0) + 2);
  for (const depth of depths) starts[depth + 1] = (starts[depth + 1] as number) + 1;
  for (let depth = 1; depth < starts.length; depth++)
    starts[depth] = (starts[depth] as number) + (starts[depth - 1] as number);
  const sorted = new Int32Array(depths.length);
  depths.forEach((depth, state) => {
    const place = starts[depth] as number;
    starts[depth] = place + 1;
    sorted[place] = state;
  });
  return sorted;
}
