import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { Conflict, InvalidArgument } from '../protocol/errors.ts';
import { formatJoinToken, joinKeyOf, newJoinToken } from '../protocol/join.ts';
import {
  type BatchJob,
  deleteUnusedJoinToken,
  deleteUnusedJoinTokensOfBatch,
  insertJoinToken,
  listRefusedUses,
} from '../store/join-tokens.ts';
import { listPilotsOfBatch } from '../store/pilots.ts';
import type { Database, Store } from '../store/store.ts';
import { keepWrapped } from '../store/wrapped-keys.ts';
import { countLauncherToken } from './launchers.ts';
import { stateOf } from './pilots.ts';
import { type KeyWrapping, type Place, wrapKey } from './wrapped-key.ts';

/**
 * Makes a one-time join token for a pilot of a queue, good for `ttlSeconds`. The database keeps a key derived from it, wrapped
 * under the root key: somebody who reads the database cannot join.
 *
 * @returns the token as it is handed over
 * @throws {InvalidArgument} when the time is not positive
 */
export async function createJoinToken(
  { store, rootKeys, clock }: { store: Store; rootKeys: KeyWrapping; clock: () => number },
  { queue, ttlSeconds }: { queue: string; ttlSeconds: number },
  by: AuditActor = 'operator',
): Promise<string> {
  const launcher = { launcher_id: null, batch_id: null };
  const { token, row, keep } = prepareJoinToken({ queue, ttlSeconds, now: clock(), launcher });
  await keep(store, rootKeys, async (tx, insert) => {
    await insert();
    await appendAudit(tx, clock, SYSTEM, by, 'join_token.make', { token: row.id, queue, expiresAt: row.expires_at });
  });
  return formatJoinToken(token);
}

/**
 * Makes a one-time join token for the pilot in a batch job of a launcher. Earlier ones of that batch job that no pilot has used are void.
 *
 * @throws {Conflict} when a pilot joined from that batch job and is active @throws {InvalidArgument} when the time is not positive
 * @throws {QuotaExceeded} when the launcher has made too many
 * @throws {Unauthenticated} when it was removed, or has got another token
 */
export async function createJoinTokenForBatch(
  { store, rootKeys, clock }: { store: Store; rootKeys: KeyWrapping; clock: () => number },
  { ttlSeconds, tokenMadeAt, ...batch }: BatchJob & { ttlSeconds: number; tokenMadeAt: number },
): Promise<{ token: string; tokenId: string; expiresAt: number }> {
  const { launcherId, queue, batchId } = batch;
  const launcher = { launcher_id: launcherId, batch_id: batchId };
  const { token, row, keep } = prepareJoinToken({ queue, ttlSeconds, now: clock(), launcher });
  await keep(store, rootKeys, async (tx, insert) => {
    await countLauncherToken(tx, { id: launcherId, tokenMadeAt, now: clock() });
    const active = (await listPilotsOfBatch(tx, batch)).find((pilot) => stateOf(pilot, clock()) === 'active');
    if (active) {
      throw new Conflict(
        `the pilot ${active.id} joined from batch job ${batchId} and is active: each batch job has one pilot. Report its end first`,
      );
    }
    await deleteUnusedJoinTokensOfBatch(tx, batch);
    await insert();
    const detail = { token: row.id, queue, expiresAt: row.expires_at, batch: batchId };
    await appendAudit(tx, clock, SYSTEM, `launcher:${launcherId}`, 'join_token.make', detail);
  });
  return { token: formatJoinToken(token), tokenId: row.id, expiresAt: row.expires_at };
}

/** Takes back a token that a launcher made and no pilot has used. @returns false when there is none such any more */
export async function withdrawJoinToken(
  store: Store,
  clock: () => number,
  { launcherId, queue, tokenId }: { launcherId: string; queue: string; tokenId: string },
): Promise<boolean> {
  return store.write(async (tx) => {
    if (!(await deleteUnusedJoinToken(tx, { id: tokenId, launcherId, queue }))) return false;
    const detail = { token: tokenId, queue };
    await appendAudit(tx, clock, SYSTEM, `launcher:${launcherId}`, 'join_token.withdraw', detail);
    return true;
  });
}

/** A token, and what puts it into the database: `keep` runs `work` in the transaction, which inserts it. */
function prepareJoinToken({
  queue,
  ttlSeconds,
  now,
  launcher,
}: {
  queue: string;
  ttlSeconds: number;
  now: number;
  launcher: LauncherColumns;
}) {
  if (!Number.isFinite(ttlSeconds) || ttlSeconds <= 0) {
    throw new InvalidArgument(`a token's lifetime must be more than 0 seconds, not ${ttlSeconds}`);
  }
  const token = newJoinToken();
  const row = { id: token.id, queue, expires_at: now + Math.ceil(ttlSeconds * 1000), ...launcher };
  return {
    token,
    row,
    keep: (store: Store, rootKeys: KeyWrapping, work: (tx: Database, insert: () => Promise<void>) => Promise<void>) =>
      keepWrapped(
        store,
        'write',
        rootKeys,
        (active) => wrapKey(active, joinKeyOf(token), placeOfJoinKey(row)),
        (tx, wrapped) => work(tx, () => insertJoinToken(tx, { ...row, ...wrapped, created_at: now })),
      ),
  };
}

interface LauncherColumns {
  launcher_id: string | null;
  batch_id: string | null;
}

/** A token moved to another queue or batch job, or made to last longer, no longer opens. */
export function placeOfJoinKey(row: { id: string; queue: string; expires_at: number } & LauncherColumns): Place {
  return ['join token', row.id, row.queue, String(row.expires_at), ...batchFields(row)];
}

/** Of a row of a launcher's, the columns that say whose it is; none of one that an operator made. */
export function batchFields({ launcher_id, batch_id }: LauncherColumns): string[] {
  return launcher_id === null ? [] : [launcher_id, batch_id ?? ''];
}

/** Somebody proved to hold a token after a pilot had joined with it. */
export interface RefusedUse {
  tokenId: string;
  queue: string;
  /** The pilot that joined with it. */
  pilotId: string | null;
  times: number;
  /** The last time, milliseconds since 1970 UTC. */
  at: number;
  /** The name of the machine, as the refused one said. */
  node: string;
  /** True when it was the same request again: repeated by the pilot itself, or recorded and replayed. False: the token was copied. */
  sameKey: boolean;
}

/** Second uses of tokens, for an operator to look at; the last first. */
export async function refusedUses(store: Store): Promise<RefusedUse[]> {
  return (await listRefusedUses(store.db)).map((row) => ({
    tokenId: row.id,
    queue: row.queue,
    pilotId: row.pilot_id,
    times: row.refused_uses,
    at: row.refused_at ?? 0,
    node: row.refused_node ?? '',
    sameKey: row.refused_same_key === 1,
  }));
}
