import { sql } from 'kysely';
import type { Database } from './store.ts';

/** Rows that name another row which is not there, by what they are; those that there are none of are left out. */
export async function brokenReferences(db: Database): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [what, query] of Object.entries(BROKEN)) {
    const { rows } = await query.execute(db);
    const count = Number(rows[0]?.count ?? 0);
    if (count > 0) found[what] = count;
  }
  return found;
}

/** References that the database itself does not keep. */
const BROKEN = {
  'secrets name a data key that is not there': sql<{ count: number }>`
    select count(*) as count from secrets s where not exists (select 1 from data_keys k where k.id = s.data_key_id and k.owner_id = s.owner_id)`,
  'secrets have no current version': sql<{ count: number }>`
    select count(*) as count from secrets s
    where not exists (select 1 from secret_versions v where v.secret_id = s.id and v.version = s.current_version)`,
  'attempts have no job': sql<{ count: number }>`
    select count(*) as count from attempts a where not exists (select 1 from jobs j where j.id = a.job_id)`,
};

/** The number of files that rows name and that are not among these. */
export async function missingFiles(db: Database, there: ReadonlySet<string>): Promise<number> {
  const rows = await db
    .selectFrom('sandboxes')
    .select('sha256')
    .union(db.selectFrom('job_files').select('sha256').where('sha256', 'is not', null).$castTo<{ sha256: string }>())
    .execute();
  return rows.filter(({ sha256 }) => !there.has(sha256)).length;
}

/** The time of the latest entry of any chain, milliseconds since 1970 UTC. */
export async function lastAuditTime(db: Database): Promise<number | undefined> {
  const row = await db
    .selectFrom('audit')
    .select((eb) => eb.fn.max('at').as('at'))
    .executeTakeFirst();
  return row?.at === null || row?.at === undefined ? undefined : Number(row.at);
}

/** The time of the latest entry that ends a chain: with many entries it is found at once. */
export async function lastChainTime(db: Database): Promise<number | undefined> {
  const { rows } = await sql<{ at: number | null }>`
    select max(audit.at) as at
    from (select id as chain, audit_seq as seq from owners union all select chain, audit_seq from audit_heads) as heads
    join audit on audit.owner_id = heads.chain and audit.seq = heads.seq`.execute(db);
  const at = rows[0]?.at ?? undefined;
  return at === undefined ? undefined : Number(at);
}

/** PostgreSQL's own clock, milliseconds since 1970 UTC. */
export async function databaseTime(db: Database): Promise<number> {
  const { rows } = await sql<{ now: number }>`
    select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now`.execute(db);
  return Number(rows[0]?.now);
}
