import type { Insertable } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged } from './tagged-rows.ts';

/** Where a chain was cut: the number and the hash (hex) of the last entry that is not kept any more. @throws {Tampered} */
export async function findStone(db: Database, chain: string): Promise<TaggedFields<'audit_stones'> | undefined> {
  const row = await db.selectFrom('audit_stones').selectAll().where('chain', '=', chain).executeTakeFirst();
  return row && checked(db, 'audit_stones', row);
}

/** In the transaction that cuts, and holds the chain's head. */
export async function putStone(db: Database, stone: TaggedFields<'audit_stones'>): Promise<void> {
  const row: Insertable<Schema['audit_stones']> = tagged(db, 'audit_stones', stone);
  const { chain: _chain, ...change } = row;
  await db
    .insertInto('audit_stones')
    .values(row)
    .onConflict((conflict) => conflict.column('chain').doUpdateSet(change))
    .execute();
}

export async function deleteAuditRows(db: Database, chain: string, through: number): Promise<void> {
  await db.deleteFrom('audit').where('owner_id', '=', chain).where('seq', '<=', through).execute();
}
