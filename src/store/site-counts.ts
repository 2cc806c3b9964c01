import { sql } from 'kysely';
import type { Database } from './store.ts';

/** More waiting jobs than this are not counted: the time to count them is bounded. */
const MOST_COUNTED = 100_000;

/** The jobs of all queues that wait, and since when the first of those counted waits (milliseconds since 1970 UTC). `jobs_waiting` finds them. */
export async function countWaitingJobs(db: Database): Promise<{ jobs: number; since: number | undefined }> {
  const { rows } = await sql<{ jobs: number; since: number | null }>`
    select count(*) as jobs, min(modified_at) as since
    from (select modified_at from jobs where state = 'activated' limit ${MOST_COUNTED}) waiting`.execute(db);
  const since = rows[0]?.since;
  return { jobs: Number(rows[0]?.jobs ?? 0), since: since === null || since === undefined ? undefined : Number(since) };
}

/** The sum of the numbers of all audit chains' last entries, and the time of the newest of these (milliseconds since 1970 UTC). */
export async function readAuditHeads(db: Database): Promise<{ entries: number; newest: number | undefined }> {
  const { rows } = await sql<{ entries: number; newest: number | null }>`
    select coalesce(sum(heads.audit_seq), 0) as entries, max(audit.at) as newest
    from (select id as chain, audit_seq from owners union all select chain, audit_seq from audit_heads) heads
    left join audit on audit.owner_id = heads.chain and audit.seq = heads.audit_seq`.execute(db);
  const newest = rows[0]?.newest;
  return {
    entries: Number(rows[0]?.entries ?? 0),
    newest: newest === null || newest === undefined ? undefined : Number(newest),
  };
}
