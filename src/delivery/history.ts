import type { ListedDelivery } from '../protocol/calls/creds.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_DELIVERIES_SHOWN } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import { listDeliveredSecrets, listDeliveryRows } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import type { Vault } from '../vault/vault.ts';

/** An owner's deliveries as their owner sees them: the records hold ids, and the vault puts the names back. */
export async function deliveryHistory(
  { store, vault }: { store: Store; vault: Vault },
  owner: OwnerId,
  { name, limit }: { name: WireName | undefined; limit: number },
): Promise<ListedDelivery[]> {
  const [secretId] = name === undefined ? [] : await vault.idsOf(owner, [name]);
  const deliveries = await listDeliveryRows(store.db, owner, {
    secretId,
    limit: Math.min(limit, MAX_DELIVERIES_SHOWN),
  });
  if (deliveries.length === 0) return [];

  const carried = await listDeliveredSecrets(
    store.db,
    deliveries.map(({ id }) => id),
    secretId,
  );
  const names = await vault.namesOf(owner, [...new Set(carried.map(({ secret_id }) => secret_id))]);
  const carriedBy = Map.groupBy(carried, ({ delivery_id }) => delivery_id);
  const secretsOf = (deliveryId: string) =>
    (carriedBy.get(deliveryId) ?? [])
      .map(({ secret_id, version }) => ({ name: names.get(secret_id) ?? null, version }))
      .sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));

  return deliveries.map((delivery) => ({
    at: new Date(delivery.at).toISOString(),
    task_id: delivery.task_id,
    job_id: delivery.job_id,
    attempt: delivery.attempt,
    pilot: delivery.pilot_id,
    queue: delivery.queue,
    node: delivery.node,
    sealed_with: delivery.sealed_with,
    secrets: secretsOf(delivery.id),
  }));
}
