import { type AuditActor, appendAudit } from '../audit/audit.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { trustedQueues } from '../protocol/trusted-queues.ts';
import { listQueueNotices } from '../store/audit.ts';
import { readQueues } from '../store/queues.ts';
import { findSecretsThatName } from '../store/secrets.ts';
import type { Database, Store } from '../store/store.ts';

/** A queue that gives secrets over TLS alone; `since` when, where it did not from the start: milliseconds since 1970 UTC. */
export interface TlsQueue {
  queue: string;
  since: number | undefined;
}

/** A queue that some of an owner's secrets named began to give secrets over TLS alone, or to give them sealed only. */
export interface QueueNotice {
  at: number;
  queue: string;
  allowed: boolean;
  secretIds: readonly string[];
}

/**
 * Notes in the audit chain of each owner whose secrets name a queue that it now gives secrets over TLS alone, or no longer does. In the
 * transaction of the change, so that there is none without its notices; before the entry of the system's chain.
 *
 * @returns the number of owners
 */
export async function tellOwners(
  tx: Database,
  clock: () => number,
  { queue, allowed }: { queue: string; allowed: boolean },
  by: AuditActor,
): Promise<number> {
  const found = await findSecretsThatName(tx, queue);
  const naming = found.filter(({ queues }) => trustedQueues(queues)?.includes(queue));
  const byOwner = Map.groupBy(naming, ({ owner_id }) => owner_id as OwnerId);
  // In one order, so that two changes never wait for each other in a circle.
  for (const owner of [...byOwner.keys()].sort()) {
    const secrets = (byOwner.get(owner) ?? []).map(({ id }) => id).sort();
    await appendAudit(tx, clock, owner, by, 'queue.tls_secrets', { queue, allowed, secrets });
  }
  return byOwner.size;
}

/** The queues that give secrets over TLS alone now, in the order of their names. */
export async function tlsQueues(store: Store): Promise<TlsQueue[]> {
  const weak = (await readQueues(store.db)).filter(({ allow_tls_secrets }) => allow_tls_secrets === 1);
  return weak.map(({ name, tls_secrets_since }) => ({ queue: name, since: tls_secrets_since ?? undefined }));
}

/** An owner's notices, newest first. */
export async function queueNotices(store: Store, owner: OwnerId, limit: number): Promise<QueueNotice[]> {
  return (await listQueueNotices(store.db, owner, limit)).flatMap(({ at, detail }) => {
    const notice = parsed(detail);
    return notice ? [{ at, ...notice }] : [];
  });
}

/** Nothing for an entry that something else than this software wrote: the check of the chain names it. */
function parsed(detail: string): Omit<QueueNotice, 'at'> | undefined {
  try {
    const { queue, allowed, secrets } = JSON.parse(detail) as Record<string, unknown>;
    if (typeof queue !== 'string' || typeof allowed !== 'boolean' || !Array.isArray(secrets)) return undefined;
    return { queue, allowed, secretIds: secrets.map(String) };
  } catch {
    return undefined;
  }
}
