import { setTimeout } from 'node:timers/promises';
import { BATCH_PAUSE_MILLISECONDS } from '../protocol/limits.ts';

/**
 * Runs `batch` until it answers false, with a pause behind each for the requests that wait, or until `stopping`. Each batch is a
 * transaction of its own, after which everything is in order: what is left is for the next time.
 */
export async function inBatches(batch: () => Promise<boolean>, stopping?: AbortSignal): Promise<void> {
  while (!stopping?.aborted && (await batch())) await setTimeout(BATCH_PAUSE_MILLISECONDS);
}
