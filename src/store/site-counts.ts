import { type RawBuilder, sql } from 'kysely';
import { inBatches } from './in-batches.ts';
import type { Database } from './store.ts';

/** More waiting jobs, or owners that wait, are not counted: the time is bounded, in which an SQLite database does nothing else. */
const MOST_COUNTED = 10_000;
/** Chains of the audit that are read in one statement. */
const HEADS_AT_ONCE = 1000;

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

/** The sum of the numbers of some chains' last entries, the time of the newest of these, and the name of the last chain. */
interface ReadHeads {
  chains: number;
  last: string | null;
  entries: number | null;
  newest: number | null;
}

/**
 * The sum of the numbers of all audit chains' last entries, and the time of the newest of these (milliseconds since 1970 UTC). Of many users
 * some are read at a time, with a pause behind.
 */
export async function readAuditHeads(db: Database): Promise<{ entries: number; newest: number | undefined }> {
  for (;;) {
    const before = await readHeads(db, sql`select chain, audit_seq from audit_heads`);
    const all: ReadHeads[] = [];
    await inBatches(async () => {
      const after = all.at(-1)?.last ?? '';
      const page = sql`select id as chain, audit_seq from owners where id > ${after} order by id limit ${HEADS_AT_ONCE}`;
      const owners = await readHeads(db, page);
      all.push(owners);
      return owners.chains === HEADS_AT_ONCE;
    });
    const others = await readHeads(db, sql`select chain, audit_seq from audit_heads`);
    // An owner who was erased meanwhile stands among both, or among none.
    if (others.chains !== before.chains) continue;
    all.push(others);
    const times = all.flatMap(({ newest }) => (newest === null ? [] : [Number(newest)]));
    return {
      entries: all.reduce((sum, { entries }) => sum + Number(entries ?? 0), 0),
      newest: times.length > 0 ? Math.max(...times) : undefined,
    };
  }
}

async function readHeads(db: Database, heads: RawBuilder<unknown>): Promise<ReadHeads> {
  const { rows } = await sql<ReadHeads>`
    select count(*) as chains, max(chain) as last, sum(audit_seq) as entries, max(audit.at) as newest
    from (${heads}) heads left join audit on audit.owner_id = heads.chain and audit.seq = heads.audit_seq`.execute(db);
  const [row] = rows as [ReadHeads];
  return { ...row, chains: Number(row.chains) };
}
