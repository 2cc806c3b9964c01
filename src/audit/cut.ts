import { AUDIT_CUT_DAYS, DAY_MILLISECONDS, MAX_REMOVED_AT_ONCE } from '../protocol/limits.ts';
import { listAuditRows, listChainBegins } from '../store/audit.ts';
import { deleteAuditRows, findStone, putStone } from '../store/audit-stones.ts';
import { inBatches } from '../store/in-batches.ts';
import type { Store } from '../store/store.ts';
import { appendAudit, type Chain, follows, lockHead, SYSTEM } from './audit.ts';

/**
 * Cuts from the beginning of every chain the entries before a time. A stone takes their place: the number and hash of the last of them,
 * under a tag that who writes the database cannot make. It is put, and the entries go, in one transaction for each part. The system's
 * chain notes each cut.
 *
 * A part that is not whole is not cut: it is what shows that somebody changed it.
 *
 * @param before in milliseconds. A chain is cut when its first entry is `AUDIT_CUT_DAYS` older, so that cuts are rare
 * @returns the chains that are not whole where they would be cut
 */
export async function cutAudits(
  { store, clock }: { store: Store; clock: () => number },
  before: number,
  stopping?: AbortSignal,
): Promise<{ broken: string[] }> {
  const broken: string[] = [];
  const oldest = before - AUDIT_CUT_DAYS * DAY_MILLISECONDS;
  // Of a site with many users hardly any chain is to be cut: looked at one by one, or all at once, they hold up requests for seconds.
  for (const heads of ['owners', 'audit_heads'] as const) {
    let after = '';
    await inBatches(async () => {
      const chains = await listChainBegins(store.db, { heads, after, limit: MAX_REMOVED_AT_ONCE });
      for (const { chain, first_at } of chains) {
        if (stopping?.aborted) break;
        if (first_at === null || first_at >= oldest) continue;
        if (!(await cutAudit({ store, clock }, chain as Chain, before, stopping))) broken.push(chain);
      }
      after = chains.at(-1)?.chain ?? after;
      return chains.length === MAX_REMOVED_AT_ONCE;
    }, stopping);
  }
  return { broken };
}

/** @returns false when the part to be cut is not whole */
async function cutAudit(
  { store, clock }: { store: Store; clock: () => number },
  chain: Chain,
  before: number,
  stopping?: AbortSignal,
): Promise<boolean> {
  let isWhole = true;
  let cut: number | undefined;
  await inBatches(
    () =>
      store.write(async (tx) => {
        isWhole = true;
        const [head] = await lockHead(tx, chain);
        const stone = await findStone(tx, chain);
        let last = { seq: stone?.seq ?? 0, hash: stone ? Buffer.from(stone.hash, 'hex') : null } as Parameters<
          typeof follows
        >[1];
        const from = last.seq;
        const rows = await listAuditRows(tx, chain, last.seq, MAX_REMOVED_AT_ONCE);
        for (const row of rows) {
          // The chain's last entry stays: its head names it.
          if (row.at >= before || row.seq >= (head?.audit_seq ?? 0)) break;
          isWhole = follows(chain, last, row);
          if (!isWhole) break;
          last = { seq: row.seq, hash: row.hash };
        }
        if (last.seq > from && last.hash) {
          await putStone(tx, { chain, seq: last.seq, hash: Buffer.from(last.hash).toString('hex'), cut_at: clock() });
          await deleteAuditRows(tx, chain, last.seq);
          cut = last.seq;
        }
        return isWhole && last.seq - from === MAX_REMOVED_AT_ONCE;
      }),
    stopping,
  );
  if (cut !== undefined) {
    await store.write((tx) => appendAudit(tx, clock, SYSTEM, 'server', 'audit.cut', { chain, through: cut }));
  }
  return isWhole;
}
