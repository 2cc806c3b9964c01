/** A stretch of a text, from `start` up to and without `end`. */
export interface Run {
  start: number;
  end: number;
}

/** Stretches of a text that are to be masked: in order, and none touches another. */
export interface Runs {
  /** Adds a stretch and joins it with what it touches. Most end after all others. */
  add(start: number, end: number): void;
  /** Where the first begins that ends after `place`, or `Infinity`. */
  firstOver(place: number): number;
  /** Takes out those that begin at `place` or before, up to the first that ends after `most`. */
  takeUntil(place: number, most: number): Run[];
  /** Counts places from one that is `by` bytes later. */
  shift(by: number): void;
}

export function createRuns(): Runs {
  let runs: Run[] = [];
  return {
    add(start, end) {
      let first = runs.length;
      while (first > 0 && (runs[first - 1] as Run).end >= start) first--;
      let last = first;
      let joined = { start, end };
      for (; last < runs.length && (runs[last] as Run).start <= end; last++) {
        const touched = runs[last] as Run;
        joined = { start: Math.min(joined.start, touched.start), end: Math.max(joined.end, touched.end) };
      }
      runs.splice(first, last - first, joined);
    },
    firstOver: (place) => runs.find(({ end }) => end > place)?.start ?? Number.POSITIVE_INFINITY,
    takeUntil(place, most) {
      const kept = runs.findIndex(({ start, end }) => start > place || end > most);
      return runs.splice(0, kept < 0 ? runs.length : kept);
    },
    shift(by) {
      runs = runs.map(({ start, end }) => ({ start: start - by, end: end - by }));
    },
  };
}
