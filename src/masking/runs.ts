/** A stretch of a text, from `start` up to and without `end`. */
export interface Run {
  start: number;
  end: number;
}

/** Stretches of a text that are to be masked: in order, and none touches another. */
export interface Runs {
  /** Adds a stretch that ends after all others, and joins it with what it touches. */
  add(start: number, end: number): void;
  /** Takes out those that begin at `place` or before. */
  takeUntil(place: number): Run[];
  /** Counts places from one that is `by` bytes later. */
  shift(by: number): void;
}

export function createRuns(): Runs {
  let runs: Run[] = [];
  return {
    add(start, end) {
      let last = runs.at(-1);
      for (; last && last.start >= start; last = runs.at(-1)) runs.pop();
      if (last && last.end >= start) last.end = Math.max(last.end, end);
      else runs.push({ start, end });
    },
    takeUntil(place) {
      const kept = runs.findIndex(({ start }) => start > place);
      return runs.splice(0, kept < 0 ? runs.length : kept);
    },
    shift(by) {
      runs = runs.map(({ start, end }) => ({ start: start - by, end: end - by }));
    },
  };
}
