import type { Selectable } from 'kysely';
import { writeRows } from './many-rows.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** One delivery without its secrets. */
export type DeliveryRow = Omit<Selectable<Schema['deliveries']>, 'owner_id'>;

type NewDelivery = DeliveryRow & { owner_id: string };

/** Which version of a secret a delivery carried. */
export interface DeliveredSecret {
  delivery_id: string;
  secret_id: string;
  version: number;
}

export async function insertDeliveries(
  db: Database,
  deliveries: readonly NewDelivery[],
  secrets: readonly DeliveredSecret[],
): Promise<void> {
  await writeRows(deliveries, (some) => insertDeliveryRows(db, { deliveries: some }));
  await writeRows(secrets, (some) => insertDeliveredSecrets(db, { secrets: some }));
}

const insertDeliveryRows = prepared<{ deliveries: readonly NewDelivery[] }, never>((db, arg) =>
  db.insertInto('deliveries').values(arg('deliveries')),
);

const insertDeliveredSecrets = prepared<{ secrets: readonly DeliveredSecret[] }, never>((db, arg) =>
  db.insertInto('delivered_secrets').values(arg('secrets')),
);

/**
 * An owner's deliveries, newest first; with `secretId` only those that carried that secret. There is no index by secret, which
 * would cost each delivery most of its writing (one page for each secret): the owner's deliveries are walked instead.
 */
export function listDeliveryRows(
  db: Database,
  ownerId: string,
  { secretId, limit }: { secretId: string | undefined; limit: number },
): Promise<DeliveryRow[]> {
  return db
    .selectFrom('deliveries')
    .select(['id', 'task_id', 'job_id', 'attempt', 'pilot_id', 'queue', 'node', 'at', 'sealed_with'])
    .where('owner_id', '=', ownerId)
    .$if(secretId !== undefined, (query) =>
      query.where((eb) =>
        eb.exists(
          eb
            .selectFrom('delivered_secrets')
            .select('delivery_id')
            .whereRef('delivery_id', '=', 'deliveries.id')
            .where('secret_id', '=', secretId as string),
        ),
      ),
    )
    .orderBy('at', 'desc')
    .orderBy('job_id', 'desc')
    .orderBy('attempt', 'desc')
    .limit(limit)
    .execute();
}

/** Which versions of which secrets (of one secret, with `secretId`) those deliveries carried. */
export function listDeliveredSecrets(db: Database, deliveryIds: readonly string[], secretId: string | undefined) {
  return db
    .selectFrom('delivered_secrets')
    .selectAll()
    .where('delivery_id', 'in', deliveryIds)
    .$if(secretId !== undefined, (query) => query.where('secret_id', '=', secretId as string))
    .execute();
}

/** Owners behind `after`, in the order of their ids, who have deliveries before a time. The index of an owner's deliveries answers it for each. */
export async function findOwnersWithDeliveriesBefore(
  db: Database,
  { before, after, limit }: { before: number; after: string; limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('owners')
    .select('id')
    .where('id', '>', after)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('deliveries')
          .select('deliveries.id')
          .whereRef('deliveries.owner_id', '=', 'owners.id')
          .where('deliveries.at', '<', before),
      ),
    )
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** Deletes the oldest of an owner's deliveries before a time. @returns how many */
export async function deleteDeliveriesBefore(
  db: Database,
  ownerId: string,
  before: number,
  limit: number,
): Promise<number> {
  const oldest = db
    .selectFrom('deliveries')
    .select('id')
    .where('owner_id', '=', ownerId)
    .where('at', '<', before)
    .orderBy('at')
    .limit(limit);
  const { numDeletedRows } = await db.deleteFrom('deliveries').where('id', 'in', oldest).executeTakeFirst();
  return Number(numDeletedRows);
}
