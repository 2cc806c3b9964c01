import { MAX_REMOVED_AT_ONCE } from '../protocol/limits.ts';
import { deleteDeliveriesBefore, findOwnersWithDeliveriesBefore } from '../store/deliveries.ts';
import { inBatches } from '../store/in-batches.ts';
import type { Store } from '../store/store.ts';

/** Removes records of deliveries before that time. The owners' audit has them for as long as that is kept. */
export async function removeDeliveries(
  { store }: { store: Store },
  before: number,
  stopping?: AbortSignal,
): Promise<void> {
  let after = '';
  await inBatches(async () => {
    const owners = await findOwnersWithDeliveriesBefore(store.db, { before, after, limit: MAX_REMOVED_AT_ONCE });
    for (const owner of owners) {
      await inBatches(async () => {
        const removed = await store.write((tx) => deleteDeliveriesBefore(tx, owner, before, MAX_REMOVED_AT_ONCE));
        return removed === MAX_REMOVED_AT_ONCE;
      }, stopping);
    }
    after = owners.at(-1) ?? after;
    return owners.length === MAX_REMOVED_AT_ONCE;
  }, stopping);
}
