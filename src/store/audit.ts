import type { Selectable } from 'kysely';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** An entry without its owner. */
export type AuditRow = Omit<Selectable<Schema['audit']>, 'owner_id'>;

/** The last entry of an owner's audit: its number, 0 before the first one, and its hash. */
export interface AuditHead {
  audit_seq: number;
  audit_hash: Uint8Array | null;
}

/**
 * The head of an owner's audit chain. It locks the owner's row, so that two entries never follow the same one.
 *
 * @returns nothing when there is no such owner
 */
export const lockAuditHead = prepared<{ ownerId: string }, AuditHead>((db, arg) =>
  db
    .updateTable('owners')
    .set((eb) => ({ audit_seq: eb.ref('audit_seq') }))
    .where('id', '=', arg('ownerId'))
    .returning(['audit_seq', 'audit_hash']),
);

export const insertAuditRow = prepared<AuditRow & { ownerId: string }, never>((db, arg) =>
  db.insertInto('audit').values({
    owner_id: arg('ownerId'),
    seq: arg('seq'),
    at: arg('at'),
    actor: arg('actor'),
    action: arg('action'),
    detail: arg('detail'),
    previous_hash: arg('previous_hash'),
    hash: arg('hash'),
  }),
);

/** Makes an entry the head of the owner's chain. In the transaction that locked it. */
export const setAuditHead = prepared<{ ownerId: string; seq: number; hash: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('owners')
    .set({ audit_seq: arg('seq'), audit_hash: arg('hash') })
    .where('id', '=', arg('ownerId')),
);

export function findAuditHead(db: Database, ownerId: string) {
  return db.selectFrom('owners').select(['audit_seq', 'audit_hash']).where('id', '=', ownerId).executeTakeFirst();
}

/** The next `limit` entries after number `after`, in order. */
export function listAuditRows(db: Database, ownerId: string, after: number, limit: number): Promise<AuditRow[]> {
  return db
    .selectFrom('audit')
    .select(['seq', 'at', 'actor', 'action', 'detail', 'previous_hash', 'hash'])
    .where('owner_id', '=', ownerId)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
}
