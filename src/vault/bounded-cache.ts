/** Remembers the values that were used last, up to a total weight, each for at most a lifetime. */
export interface BoundedCache<K, V> {
  get(key: K): V | undefined;
  /** A value heavier than the whole cache is not kept. */
  set(key: K, value: V, weight?: number): void;
  delete(key: K): void;
  /** Lets go of everything whose lifetime is over. */
  sweep(): void;
  clear(): void;
}

/** @param options `lifetimeMs` counts from `set`, however often the value is used */
export function createBoundedCache<K, V>(options: {
  maxWeight: number;
  lifetimeMs: number;
  clock: () => number;
}): BoundedCache<K, V> {
  const { maxWeight, lifetimeMs, clock } = options;
  // A Map keeps the order of insertion: the first entry is the one that was not used for the longest time.
  const entries = new Map<K, { value: V; weight: number; until: number }>();
  let total = 0;

  function remove(key: K): void {
    total -= entries.get(key)?.weight ?? 0;
    entries.delete(key);
  }

  return {
    get(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (clock() >= entry.until) {
        remove(key);
        return undefined;
      }
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },

    set(key, value, weight = 1) {
      remove(key);
      if (weight > maxWeight) return;
      entries.set(key, { value, weight, until: clock() + lifetimeMs });
      total += weight;
      for (const oldest of entries.keys()) {
        if (total <= maxWeight) break;
        remove(oldest);
      }
    },

    delete: remove,

    sweep() {
      const now = clock();
      for (const [key, { until }] of entries) if (now >= until) remove(key);
    },

    clear() {
      entries.clear();
      total = 0;
    },
  };
}
