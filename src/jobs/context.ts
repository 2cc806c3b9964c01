import type { Tell } from '../events/events.ts';
import type { Store } from '../store/store.ts';

/** What this room works on. `clock` answers milliseconds since 1970 UTC. */
export interface JobsContext {
  store: Store;
  clock: () => number;
  tell: Tell;
  /** How long pilots may be silent; `LEASE_SECONDS` unless set. */
  leaseSeconds?: number | undefined;
}
