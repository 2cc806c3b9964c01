import type { Pattern } from './forms.ts';

/**
 * The beginnings of patterns. Each is a state: a number, which it gets when a text first leads to it, as few texts lead to more than
 * a few of them. State 0 is the empty beginning.
 */
export interface Trie {
  /** The state that continues `state` with `byte`, or 0 where no pattern does. */
  childOf(state: number, byte: number): number;
  isWhole(state: number): boolean;
  /** The pattern that is whole in `state`. */
  patternOf(state: number): Pattern | undefined;
  /** By state: the length of the beginning. It is as long as there may be states, and takes memory for those that there are. */
  readonly depths: Int32Array;
}

/** In `next`: the state after this one continues it with the byte in the low eight bits, and nothing else does. */
const HAS_NEXT = 0x100;
/** In `next`: what continues the state is found by hash. */
const HAS_BRANCHES = 0x200;
/** In `next`: the state is a whole pattern. */
const IS_WHOLE = 0x400;

export function createTrie(patterns: readonly Pattern[]): Trie {
  let most = 1;
  for (const { length } of patterns) most += length;
  const depths = new Int32Array(most);
  const next = new Uint16Array(most);
  const wholes = new Map<number, Pattern>();
  const rootChildren = new Int32Array(256);
  const branches = createBranches(patterns.length);
  /** By -1 - what stands for a child that has no number yet: the patterns that begin so. */
  const waiting: Pattern[][] = [];
  let newest = 0;

  for (const [byte, group] of groupedAt(0, patterns)) rootChildren[byte] = -waiting.push(group);

  function childOf(state: number, byte: number): number {
    if (state === 0) return childOfRoot(byte);
    const flags = next[state] as number;
    if (flags === (HAS_NEXT | byte)) return state + 1;
    if ((flags & HAS_BRANCHES) === 0) return 0;
    const child = branches.get(state, byte);
    if (child >= 0) return child;
    const grown = grow(child, (depths[state] as number) + 1);
    branches.set(state, byte, grown);
    return grown;
  }

  function childOfRoot(byte: number): number {
    const child = rootChildren[byte] as number;
    if (child >= 0) return child;
    const grown = grow(child, 1);
    rootChildren[byte] = grown;
    return grown;
  }

  /** Numbers the beginnings that the patterns behind `child` share, from the one that is `depth` long on. */
  function grow(child: number, depth: number): number {
    const group = waiting[-1 - child] as Pattern[];
    waiting[-1 - child] = [];
    const one = group[0] as Pattern;
    let shared = one.length;
    for (const other of group) shared = sharedLength(one, other, depth, shared);
    const first = newest + 1;
    for (let length = depth; length <= shared; length++) {
      newest += 1;
      depths[newest] = length;
      if (length < shared) next[newest] = HAS_NEXT | one.charCodeAt(length);
    }
    const last = newest;
    for (const [byte, longer] of groupedAt(shared, group)) {
      branches.set(last, byte, -waiting.push(longer));
      next[last] = HAS_BRANCHES;
    }
    const whole = group.find(({ length }) => length === shared);
    if (whole !== undefined) {
      wholes.set(last, whole);
      next[last] = (next[last] as number) | IS_WHOLE;
    }
    return first;
  }

  return {
    childOf,
    isWhole: (state) => ((next[state] as number) & IS_WHOLE) !== 0,
    patternOf: (state) => wholes.get(state),
    depths,
  };
}

/** By their byte at `depth`; without those that end there. */
function groupedAt(depth: number, patterns: readonly Pattern[]): Map<number, Pattern[]> {
  const groups = new Map<number, Pattern[]>();
  for (const pattern of patterns) {
    if (depth >= pattern.length) continue;
    const byte = pattern.charCodeAt(depth);
    const group = groups.get(byte);
    if (group === undefined) groups.set(byte, [pattern]);
    else group.push(pattern);
  }
  return groups;
}

/** The length that two patterns share, of which they share `from`, up to `most`. */
function sharedLength(a: Pattern, b: Pattern, from: number, most: number): number {
  const end = Math.min(most, b.length);
  let length = from;
  while (length < end && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

interface Branches {
  set(state: number, byte: number, child: number): void;
  /** The child, or 0. */
  get(state: number, byte: number): number;
}

/** A hash table with open addressing. Each pattern adds a branch, and may part another beginning in two: no more than two for each. */
function createBranches(patterns: number): Branches {
  const bits = Math.ceil(Math.log2(4 * patterns + 2));
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
