import { LRUCache } from 'lru-cache';
import { MAX_COUNTED_JOBS } from '../protocol/limits.ts';
import type { Store } from '../store/store.ts';
import { countWaiting, type Place } from '../store/waiting-jobs.ts';

/** Counts jobs that wait for secrets of one kind (`use_secrets`), up to `MAX_COUNTED_JOBS`, for a pilot that may not have them. */
export type CountWithheld = (place: Place, need: 1 | 2) => Promise<number>;

/** Counting so many takes milliseconds, and every pilot that polls would have it done. */
const MANY = 1000;
const REMEMBERED_SECONDS = 5;
const MAX_REMEMBERED = 10_000;

/** A count that is large is remembered for a few seconds: it is for a message alone. `clock` answers milliseconds. */
export function withheldCounts({ store, clock }: { store: Store; clock: () => number }): CountWithheld {
  const remembered = new LRUCache<string, { count: number; until: number }>({ max: MAX_REMEMBERED });
  return async (place, need) => {
    const key = `${place.queue} ${place.anyQueue} ${need}`;
    const known = remembered.get(key);
    if (known && known.until > clock()) return known.count;
    const count = await countWaiting(store.db, place, MAX_COUNTED_JOBS, [need]);
    if (count >= MANY) remembered.set(key, { count, until: clock() + REMEMBERED_SECONDS * 1000 });
    return count;
  };
}
