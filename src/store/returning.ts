import { LRUCache } from 'lru-cache';

/** Values that are remembered whoever asks: enough for what one request, and those that arrive with it, ask for twice. */
const JUST_NOW = 64;
/** A longer key is a token, whose last characters are its signature's. All others count in full: names at one site may end alike. */
const LONG = 400;
const MARKED = 64;

/**
 * Tells those who come again from those who come seldom, for whom nothing need be remembered: their turn costs no more than it must, and
 * takes nobody's room. It may forget one, and once in a hundred thousand times take one for another: both cost time alone.
 *
 * @param count one is noticed again until about as many others were asked about: of those who come after so many, six in ten are; after five
 *   times as many one in ten
 * @returns true where it was asked about that key before, and about few others since
 */
export function createReturning(count: number): (key: string) => boolean {
  const returns = createReturningMarks(count);
  return (key) => returns(markOf(key));
}

function createReturningMarks(count: number): (mark: number) => boolean {
  const lastAt = new Uint32Array(2 * count);
  return (mark) => {
    const place = mark % lastAt.length;
    const isBack = lastAt[place] === mark;
    lastAt[place] = mark;
    return isBack;
  };
}

/**
 * An `LRUCache` which, once it is full, takes in only who comes again. The first time of all others is remembered until a few more came, and
 * leaves nothing behind that is moved between generations of the heap and collected there. For the same reason it looks for numbers: V8
 * makes a text that a `Map` is asked for one of its own, for as long as until it collects everything.
 */
export class ReturningCache<V> {
  readonly #kept: LRUCache<number, Entry<V>>;
  readonly #justNow: LRUCache<number, Entry<V>>;
  readonly #isReturning: (mark: number) => boolean;

  /**
   * @param options those of `LRUCache`: `max` are kept, and `JUST_NOW` at most besides; a time to live holds for both, also where the clock is
   *   set back
   */
  constructor({ perf, ...options }: { max: number; ttl?: number; perf?: { now(): number } }) {
    const bounds = { ...options, ttlResolution: 0, ...(perf && { perf: { now: neverBack(perf.now) } }) };
    this.#kept = new LRUCache(bounds);
    this.#justNow = new LRUCache({ ...bounds, max: Math.min(JUST_NOW, options.max) });
    this.#isReturning = createReturningMarks(options.max);
  }

  get(key: string): V | undefined {
    const mark = markOf(key);
    const entry = this.#kept.get(mark) ?? this.#justNow.get(mark);
    return entry?.key === key ? entry.value : undefined;
  }

  set(key: string, value: V): void {
    const mark = markOf(key);
    const isReturning = this.#isReturning(mark);
    const isKept = isReturning || this.#kept.size < this.#kept.max || entryIn(this.#kept, mark) !== undefined;
    (isKept ? this.#kept : this.#justNow).set(mark, { key, value });
    if (isKept) this.#justNow.delete(mark);
  }

  delete(key: string): void {
    const mark = markOf(key);
    for (const cache of [this.#kept, this.#justNow]) if (entryIn(cache, mark)?.key === key) cache.delete(mark);
  }

  clear(): void {
    this.#kept.clear();
    this.#justNow.clear();
  }

  /** Forgets whatever's time is over. */
  purgeStale(): void {
    this.#kept.purgeStale();
    this.#justNow.purgeStale();
  }
}

interface Entry<V> {
  key: string;
  value: V;
}

/** One whose time is over is there until it is asked for, or purged. */
function entryIn<V>(cache: LRUCache<number, Entry<V>>, mark: number): Entry<V> | undefined {
  return cache.peek(mark, { allowStale: true });
}

/** A clock that stands for as long as `now` was set back: a time counts on from where it was. */
function neverBack(now: () => number): () => number {
  let last = Number.NEGATIVE_INFINITY;
  let behind = 0;
  return () => {
    const read = now();
    behind += Math.max(0, last - read);
    last = read;
    return read + behind;
  };
}

/** FNV-1a, 32 bits; 0 is an empty place. */
function markOf(key: string): number {
  let mark = 0x811c9dc5;
  for (let n = key.length > LONG ? key.length - MARKED : 0; n < key.length; n++) {
    mark = Math.imul(mark ^ key.charCodeAt(n), 0x01000193);
  }
  return mark >>> 0 || 1;
}
