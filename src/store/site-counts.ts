import { type RawBuilder, sql } from 'kysely';
import type { Database } from './store.ts';

/** More waiting jobs, or owners that wait, are not counted: the time is bounded, in which an SQLite database does nothing else. */
const MOST_COUNTED = 10_000;

/**
 * The jobs of all queues that wait, and since when the longest does (milliseconds since 1970 UTC): of each owner that waits in a queue the first
 * job is looked at, which `jobs_waiting` finds at once.
 */
export async function countWaitingJobs(db: Database): Promise<{ jobs: number; since: number | undefined }> {
  const first = (queue: RawBuilder<unknown>) => sql`
    select modified_at from jobs where state = 'activated' and queue ${queue} and owner_id = owners.owner_id
      and use_secrets = owners.use_secrets order by queue, owner_id, use_secrets, id limit 1`;
  const { rows } = await sql<{ jobs: number; since: number | null }>`
    select (select count(*) from (select id from jobs where state = 'activated' limit ${MOST_COUNTED}) waiting) as jobs,
      min(case when owners.queue = '' then (${first(sql`is null`)}) else (${first(sql`= owners.queue`)}) end) as since
    from (select owner_id, queue, use_secrets from waiting_owners limit ${MOST_COUNTED}) owners`.execute(db);
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
