import type { Database } from './store.ts';

/** The owner of this issuer and subject, if it was made. */
export function findOwner(db: Database, issuer: string, subject: string) {
  return db
    .selectFrom('owners')
    .select(['id', 'display_name'])
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
}

/**
 * Makes the owner, or gives the one of its issuer and subject that is there already the display name. Of several that
 * make one at the same moment, all are answered with the id of the first.
 */
export async function upsertOwner(
  db: Database,
  owner: { id: string; issuer: string; subject: string; display_name: string; created_at: number },
): Promise<string> {
  const { id } = await db
    .insertInto('owners')
    .values(owner)
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doUpdateSet({ display_name: owner.display_name }))
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}
