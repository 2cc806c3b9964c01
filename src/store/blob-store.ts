import type { Blobs } from './blobs.ts';
import type { LiveLogs } from './live-logs.ts';

/** Sandboxes, logs and outputs, and the logs of jobs that run, in their place. */
export interface BlobStore {
  blobs: Blobs;
  liveLogs: LiveLogs;
  /** The place, for messages. */
  name: string;
  /**
   * Tries the place: that it is there, takes and gives back, and is this installation's. Whatever is written or deleted tries that first
   * as well, until it went well.
   *
   * @throws {Misconfigured} for what an operator has to mend @throws {Unavailable} while the storage is away
   */
  check(): Promise<void>;
  close(): Promise<void>;
}
