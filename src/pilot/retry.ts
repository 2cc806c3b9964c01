import { Unavailable } from '../protocol/errors.ts';
import { LAST_REPORT_SECONDS, MAX_BACKOFF_SECONDS } from '../protocol/limits.ts';

export interface RetryOptions {
  /** No try is started later than this many seconds after the first. */
  forSeconds: number;
  /** From when it is aborted, no try is started later than `LAST_REPORT_SECONDS`. */
  stopping: AbortSignal;
  /** Tells of an error of the kind that is repeated that this call would meet again. */
  isFinal?: (error: Unavailable) => boolean;
  /** Told of each try that failed and is repeated. */
  onFailure?: (error: Error) => void;
}

/**
 * Repeats a call until the server answers it: while it is not reachable, answers 5xx, or answers what nothing proves. What it
 * refuses is not repeated, nor is anything once it has proven that the pilot's session has ended.
 *
 * @throws the last error
 */
export async function untilAnswered<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { stopping } = options;
  let deadline = Date.now() + options.forSeconds * 1000;
  let hurried = false;
  for (let tries = 0; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (stopping.aborted && !hurried) {
        hurried = true;
        deadline = Math.min(deadline, Date.now() + LAST_REPORT_SECONDS * 1000);
      }
      const seconds = backoffSeconds(tries, hurried ? 2 : MAX_BACKOFF_SECONDS);
      if (!(error instanceof Unavailable) || options.isFinal?.(error)) throw error;
      if (Date.now() + seconds * 1000 > deadline) throw error;
      options.onFailure?.(error as Error);
      await pause(seconds, hurried ? undefined : stopping);
    }
  }
}

/** Half a second, doubled with each try up to `longest`, then less by up to a half so that pilots spread out. */
export function backoffSeconds(tries: number, longest = MAX_BACKOFF_SECONDS, random = Math.random): number {
  return Math.min(longest, 0.5 * 2 ** Math.min(tries, 20)) * (1 - random() / 2);
}

/** Waits; `signal` ends it early, without an error. */
export function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    // The global function, which a test can put another time under.
    const timer = setTimeout(end, signal?.aborted ? 0 : seconds * 1000);
    signal?.addEventListener('abort', end, { once: true });
  });
}
