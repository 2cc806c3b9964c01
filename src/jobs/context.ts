import type { Tell } from '../events/events.ts';
import type { Store } from '../store/store.ts';

/** The ground of this room. `clock` answers milliseconds since 1970 UTC. */
export interface JobsContext {
  store: Store;
  clock: () => number;
  tell: Tell;
  /** The longest that pilots may be silent; `LEASE_SECONDS` unless set. */
  leaseSeconds?: number | undefined;
  /** Jobs that an owner's tasks that have not ended may have together; `MAX_OPEN_JOBS_PER_OWNER` unless set. */
  maxOpenJobs?: number | undefined;
  /** Bytes of sandboxes, logs and outputs that are kept for an owner; `MAX_OWNER_FILE_BYTES` unless set. */
  maxFileBytes?: number | undefined;
}
