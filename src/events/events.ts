/**
 * Something that a room did, for others to count or to log. It has ids, numbers and the names of queues: no name or value of a
 * secret, no user.
 */
export type RoomEvent =
  /** A job's secrets went to a pilot: `secrets` of them, `sealedWith` a kind of key, or `tls` alone. */
  | { event: 'secrets.delivered'; jobId: number; attempt: number; queue: string; secrets: number; sealedWith: string }
  /** A job's secrets could not be delivered, and its attempt failed. Of `error` a listener shows the code alone. */
  | {
      event: 'secrets.undeliverable';
      jobId: number;
      attempt: number;
      queue: string;
      retriable: boolean;
      error: unknown;
    }
  /** A pilot got none of `jobs` waiting jobs because it may have no secrets. */
  | { event: 'secrets.withheld'; queue: string; jobs: number }
  /** Pilots took jobs. */
  | { event: 'jobs.acquired'; queue: string; jobs: number }
  /** A job was not given and failed: its row or its task's was changed by something else than this software. */
  | { event: 'job.tampered'; jobId: number; error: unknown }
  /** An attempt ended. `retried`: its job waits for the next one. */
  | { event: 'attempt.ended'; jobId: number; attempt: number; how: AttemptEnd; retried: boolean }
  /** Somebody was not let in: a name was guessed at, an account is disabled, a join token was used with another key. */
  | { event: 'login.refused'; how: 'guessing' | 'disabled' | 'used token' }
  /** The disk is full: its reserve was given up. And: there is room again, and it is kept back anew. */
  | { event: 'disk.full' }
  | { event: 'disk.room' }
  /** A sandbox, log or output is not what was kept, and was not given. */
  | { event: 'file.damaged'; sha256: string }
  /** Chains of the audit were not cut, as they are not whole where they would be. */
  | { event: 'audit.broken'; chains: number }
  /**
   * A request was answered. `call`: the path of a call as this server spells it, `page` for what people read, `other` where there is no such
   * call. `outcome`: `ok`, or the code of an error.
   */
  | { event: 'call.answered'; call: string; outcome: string; status: number; seconds: number }
  /** Writes became durable together, `seconds` after the first of them began to run. */
  | { event: 'store.committed'; writes: number; seconds: number }
  /** A root key wrapped or opened a key. `place`: the scheme of its URI. `active`: it is the one that wraps what is new. */
  | {
      event: 'root_key.used';
      place: string;
      how: 'wrap' | 'unwrap';
      active: boolean;
      ok: boolean;
      seconds: number;
    }
  /** Files of sandboxes, logs and outputs were gone through. */
  | { event: 'files.counted'; files: number; bytes: number }
  /** Something that the server does by itself failed, `failures` times in a row. Of `error` a listener shows the code alone. */
  | { event: 'housekeeping.failed'; task: string; failures: number; error: unknown };

/** `lost`: its pilot was silent for longer than its lease, or its batch job ended. */
export type AttemptEnd = 'finished' | 'failed' | 'lost';

/** A room tells what it did by this: after it is durable, never in a transaction, which may run twice. It does not throw. */
export type Tell = (event: RoomEvent) => void;

export interface Events {
  tell: Tell;
  /** Calls `listener` with each event from now on, until the returned function is called. */
  listen(listener: (event: RoomEvent) => void): () => void;
}

/** @param onError takes what a listener throws: it disturbs neither the room nor the other listeners */
export function createEvents(onError: (error: unknown) => void): Events {
  const listeners = new Set<(event: RoomEvent) => void>();
  return {
    tell(event) {
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          onError(error);
        }
      }
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** For a room that nobody listens to. */
export const tellNobody: Tell = () => {};
