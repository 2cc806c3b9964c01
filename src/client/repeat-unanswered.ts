import { setTimeout as delay } from 'node:timers/promises';
import { Unavailable } from '../protocol/errors.ts';
import { MAX_UNANSWERED_SECONDS } from '../protocol/limits.ts';

/**
 * Makes a call of somebody who watches for hours, and repeats it while the server cannot be reached or answers 5xx: it may be
 * restarted meanwhile.
 *
 * @param signal gives it up
 * @param onTrouble told of the first failure
 * @throws {Unavailable} after `MAX_UNANSWERED_SECONDS`; everything else at once
 */
export async function repeatUnanswered<T>(
  call: () => Promise<T>,
  {
    everySeconds,
    signal,
    onTrouble,
  }: { everySeconds: number; signal?: AbortSignal | undefined; onTrouble: (error: Unavailable) => void },
): Promise<T> {
  const giveUpAt = Date.now() + MAX_UNANSWERED_SECONDS * 1000;
  for (let tries = 0; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Unavailable) || Date.now() > giveUpAt || signal?.aborted) throw error;
      if (tries === 0) onTrouble(error);
      await delay(everySeconds * 1000, undefined, { signal });
    }
  }
}
