/** Waits longer with each failure, until something succeeds. */
export interface Setbacks {
  /** True while nothing should be tried. */
  isWaiting(): boolean;
  failed(): void;
  succeeded(): void;
}

/** @param clock milliseconds, of any beginning */
export function createSetbacks(
  { firstSeconds, longestSeconds, free = 0 }: { firstSeconds: number; longestSeconds: number; free?: number },
  clock: () => number,
): Setbacks {
  let failures = 0;
  let until = Number.NEGATIVE_INFINITY;
  return {
    isWaiting: () => clock() < until,
    failed() {
      failures += 1;
      if (failures <= free) return;
      until = clock() + Math.min(longestSeconds, firstSeconds * 2 ** Math.min(failures - free - 1, 30)) * 1000;
    },
    succeeded() {
      failures = 0;
      until = Number.NEGATIVE_INFINITY;
    },
  };
}
