import { type Insertable, type Selectable, sql } from 'kysely';
import { writeRows } from './many-rows.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** An entry without its owner. */
export type AuditRow = Omit<Selectable<Schema['audit']>, 'owner_id'>;

/** The last entry of a chain: its number, 0 before the first one, and its hash. */
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

/** The head of a chain that belongs to no owner, locked as {@link lockAuditHead} does. */
export const lockSystemAuditHead = prepared<{ chain: string }, AuditHead>((db, arg) =>
  db
    .updateTable('audit_heads')
    .set((eb) => ({ audit_seq: eb.ref('audit_seq') }))
    .where('chain', '=', arg('chain'))
    .returning(['audit_seq', 'audit_hash']),
);

type NewEntry = Insertable<Schema['audit']>;

export function insertAuditRows(db: Database, entries: readonly NewEntry[]): Promise<unknown> {
  return writeRows(entries, (some) => insertEntries(db, { entries: some }));
}

const insertEntries = prepared<{ entries: readonly NewEntry[] }, never>((db, arg) =>
  db.insertInto('audit').values(arg('entries')),
);

/** Makes an entry the head of the owner's chain. In the transaction that locked it. */
export const setAuditHead = prepared<{ ownerId: string; seq: number; hash: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('owners')
    .set({ audit_seq: arg('seq'), audit_hash: arg('hash') })
    .where('id', '=', arg('ownerId')),
);

/** The same for an entry that tells of a change of the owner's secrets, which it counts: what was remembered of them is stale from then on. */
export const setHeadOfChange = prepared<{ ownerId: string; seq: number; hash: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('owners')
    .set((eb) => ({ audit_seq: arg('seq'), audit_hash: arg('hash'), revision: eb('revision', '+', 1) }))
    .where('id', '=', arg('ownerId')),
);

/** The same for a chain that {@link lockSystemAuditHead} locked. */
export const setSystemAuditHead = prepared<{ chain: string; seq: number; hash: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('audit_heads')
    .set({ audit_seq: arg('seq'), audit_hash: arg('hash') })
    .where('chain', '=', arg('chain')),
);

export function findSystemAuditHead(db: Database, chain: string) {
  return db.selectFrom('audit_heads').select(['audit_seq', 'audit_hash']).where('chain', '=', chain).executeTakeFirst();
}

/** Of an owner who was erased, the head stands among those of none. */
export async function findAuditHead(db: Database, ownerId: string): Promise<AuditHead | undefined> {
  const owners = db.selectFrom('owners').select(['audit_seq', 'audit_hash']).where('id', '=', ownerId);
  return (await owners.executeTakeFirst()) ?? findSystemAuditHead(db, ownerId);
}

/** A chain's next `limit` entries after number `after`, in order. */
export function listAuditRows(db: Database, chain: string, after: number, limit: number): Promise<AuditRow[]> {
  return db
    .selectFrom('audit')
    .select(['seq', 'at', 'actor', 'action', 'detail', 'previous_hash', 'hash'])
    .where('owner_id', '=', chain)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
}

/** The head of every chain: of each owner, in the order of their ids, and then those of none. */
export async function listAuditHeads(db: Database): Promise<(AuditHead & { chain: string })[]> {
  const owners = await db
    .selectFrom('owners')
    .select(['id as chain', 'audit_seq', 'audit_hash'])
    .orderBy('id')
    .execute();
  const others = await db
    .selectFrom('audit_heads')
    .select(['chain', 'audit_seq', 'audit_hash'])
    .orderBy('chain')
    .execute();
  return [...owners, ...others];
}

/** A chain, and the time of its first entry that is kept; null for none. */
export interface ChainBegin {
  chain: string;
  first_at: number | null;
}

/** `limit` chains after the one named `after`, in order: of owners, or of none (`audit_heads`). The primary key of the entries answers it. */
export function listChainBegins(
  db: Database,
  { heads, after, limit }: { heads: 'owners' | 'audit_heads'; after: string; limit: number },
): Promise<ChainBegin[]> {
  const name = sql.ref<string>(heads === 'owners' ? 'owners.id' : 'audit_heads.chain');
  return db
    .selectFrom(heads)
    .select([
      name.as('chain'),
      sql<number | null>`(select at from audit where owner_id = ${name} order by seq limit 1)`.as('first_at'),
    ])
    .where(name, '>', after)
    .orderBy(name)
    .limit(limit)
    .execute();
}

/** An owner's entries that tell of queues that became weaker or strong again, the newest first. The index `audit_queue_notices` answers it. */
export function listQueueNotices(
  db: Database,
  owner: string,
  limit: number,
): Promise<{ at: number; detail: string }[]> {
  return db
    .selectFrom('audit')
    .select(['at', 'detail'])
    .where('owner_id', '=', owner)
    .where(sql<boolean>`action = 'queue.tls_secrets'`)
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
}
