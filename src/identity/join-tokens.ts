import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { formatJoinToken, joinKeyOf, newJoinToken } from '../protocol/join.ts';
import { insertJoinToken, listRefusedUses } from '../store/join-tokens.ts';
import type { Store } from '../store/store.ts';
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
  if (!Number.isFinite(ttlSeconds) || ttlSeconds <= 0) {
    throw new InvalidArgument(`a token's lifetime must be more than 0 seconds, not ${ttlSeconds}`);
  }
  const token = newJoinToken();
  const now = clock();
  const row = { id: token.id, queue, expires_at: now + Math.ceil(ttlSeconds * 1000) };
  const wrapped = await wrapKey(rootKeys, joinKeyOf(token), placeOfJoinKey(row));
  await store.write(async (tx) => {
    await insertJoinToken(tx, { ...row, ...wrapped, created_at: now });
    await appendAudit(tx, clock, SYSTEM, by, 'join_token.make', { token: row.id, queue, expiresAt: row.expires_at });
  });
  return formatJoinToken(token);
}

/** A token moved to another queue, or made to last longer, no longer opens. */
export function placeOfJoinKey({ id, queue, expires_at }: { id: string; queue: string; expires_at: number }): Place {
  return ['join token', id, queue, String(expires_at)];
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
