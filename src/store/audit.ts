import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

export interface AuditRow {
  seq: number;
  at: number;
  actor: string;
  action: string;
  detail: string;
  previous_hash: Uint8Array | null;
  hash: Uint8Array;
}

/**
 * Takes the next number of an owner's audit chain. It locks the owner's row, so that two entries never follow the same one.
 *
 * @returns the number, and the hash of the entry before it; nothing when there is no such owner
 */
export const takeAuditNumber = prepared<{ ownerId: string }, { seq: number; previous_hash: Uint8Array | null }>(
  (db, arg) =>
    db
      .updateTable('owners')
      .set((eb) => ({ audit_seq: eb('audit_seq', '+', 1) }))
      .where('id', '=', arg('ownerId'))
      .returning(['audit_seq as seq', 'audit_hash as previous_hash']),
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

/** Makes `hash` the head of the owner's chain. In the transaction that took the number. */
export const setAuditHead = prepared<{ ownerId: string; hash: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('owners')
    .set({ audit_hash: arg('hash') })
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
