import type { Database } from './store.ts';

export async function readSiteRecord(db: Database, queue: string): Promise<string | undefined> {
  const row = await db.selectFrom('site_records').select('record').where('queue', '=', queue).executeTakeFirst();
  return row?.record;
}

/** Of several that write the record of one queue, the last one stays. */
export async function writeSiteRecord(
  db: Database,
  row: { queue: string; record: string; changed_at: number },
): Promise<void> {
  const { record, changed_at } = row;
  await db
    .insertInto('site_records')
    .values(row)
    .onConflict((conflict) => conflict.column('queue').doUpdateSet({ record, changed_at }))
    .execute();
}
