import { sql } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import type { Database } from './store.ts';

/** The bytes that an owner has brought since a day, what is under way included. Until the transaction ends nobody else reads them. */
export async function lockBroughtBytes(db: Database, owner: OwnerId, sinceDay: number): Promise<number> {
  await sql`update owners set display_name = display_name where id = ${owner}`.execute(db);
  return sumBroughtBytes(db, owner, sinceDay);
}

/** The same for show: it may be stale. */
export async function sumBroughtBytes(db: Database, owner: OwnerId, sinceDay: number): Promise<number> {
  const { bytes } = await db
    .selectFrom('brought_files')
    .select((eb) => sql<number>`cast(coalesce(sum(${eb.ref('bytes')}), 0) as bigint)`.as('bytes'))
    .where('owner_id', '=', owner)
    .where('day', '>=', sinceDay)
    .executeTakeFirstOrThrow();
  return bytes;
}

/** Counts bytes that an owner brings on a day; fewer where less came than was expected. */
export async function addBroughtBytes(db: Database, owner: OwnerId, day: number, bytes: number): Promise<void> {
  await db
    .insertInto('brought_files')
    .values({ owner_id: owner, day, bytes })
    .onConflict((conflict) =>
      conflict.columns(['owner_id', 'day']).doUpdateSet({ bytes: sql`brought_files.bytes + excluded.bytes` }),
    )
    .execute();
}

export async function deleteBroughtBefore(db: Database, day: number): Promise<void> {
  await db.deleteFrom('brought_files').where('day', '<', day).execute();
}

/** The addresses behind `after`, in order, of the blobs that a sandbox, a log or an output is kept in. */
export async function listUsedBlobs(db: Database, after: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('sandboxes')
    .select('sha256')
    .where('sha256', '>', after)
    .union(db.selectFrom('job_files').select('sha256').where('sha256', '>', after).$castTo<{ sha256: string }>())
    .orderBy('sha256')
    .limit(limit)
    .execute();
  return rows.map(({ sha256 }) => sha256);
}

/** Those of the blobs that a sandbox, a log or an output is kept in. */
export async function usedBlobs(db: Database, sha256s: readonly string[]): Promise<Set<string>> {
  if (sha256s.length === 0) return new Set();
  const found = await db
    .selectFrom('sandboxes')
    .select('sha256')
    .where('sha256', 'in', sha256s)
    .union(db.selectFrom('job_files').select('sha256').where('sha256', 'in', sha256s).$castTo<{ sha256: string }>())
    .execute();
  return new Set(found.map(({ sha256 }) => sha256));
}
