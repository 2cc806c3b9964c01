import type { Selectable } from 'kysely';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, tagged } from './tagged-rows.ts';

export type OwnerRow = Pick<
  Selectable<Schema['owners']>,
  'id' | 'issuer' | 'subject' | 'display_name' | 'created_at' | 'blocked' | 'tokens_from' | 'tag'
>;

const COLUMNS = ['id', 'issuer', 'subject', 'display_name', 'created_at', 'blocked', 'tokens_from', 'tag'] as const;

/** The owner of this issuer and subject, if it was made. @throws {Tampered} here and wherever an owner is read */
export async function findOwner(db: Database, issuer: string, subject: string): Promise<OwnerRow | undefined> {
  const [row] = await findOwnerRow(db, { issuer, subject });
  return row && checked(db, 'owners', row);
}

const findOwnerRow = prepared<{ issuer: string; subject: string }, OwnerRow>((db, arg) =>
  db.selectFrom('owners').select(COLUMNS).where('issuer', '=', arg('issuer')).where('subject', '=', arg('subject')),
);

/**
 * Makes the owner, or gives the one of its issuer and subject that is there already the display name. Of several that
 * make one at the same moment, all are answered with the id of the first.
 */
export async function upsertOwner(
  db: Database,
  owner: { id: string; issuer: string; subject: string; display_name: string; created_at: number },
): Promise<string> {
  const row = await db
    .insertInto('owners')
    .values(tagged(db, 'owners', { ...owner, blocked: 0, tokens_from: 0 }))
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doUpdateSet({ display_name: owner.display_name }))
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return checked(db, 'owners', row).id;
}

/** Those of other issuers than `issuer`, by issuer and name as shown. */
export async function listOwnersOfOtherIssuers(db: Database, issuer: string): Promise<OwnerRow[]> {
  const rows = await db
    .selectFrom('owners')
    .select(COLUMNS)
    .where('issuer', '!=', issuer)
    .orderBy('issuer')
    .orderBy('display_name')
    .execute();
  return rows.map((row) => checked(db, 'owners', row));
}

/** Changes an owner, whose row it locks and checks first. False when there is none. */
export async function changeOwner(
  db: Database,
  { issuer, subject }: { issuer: string; subject: string },
  change: Partial<Pick<OwnerRow, 'blocked' | 'tokens_from'>>,
): Promise<boolean> {
  const row = await db
    .updateTable('owners')
    .set((set) => ({ blocked: set.ref('blocked') }))
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .returning(COLUMNS)
    .executeTakeFirst();
  if (!row) return false;
  const { tag } = tagged(db, 'owners', { ...checked(db, 'owners', row), ...change });
  await db
    .updateTable('owners')
    .set({ ...change, tag })
    .where('id', '=', row.id)
    .execute();
  return true;
}
