import { queueNotices, tlsQueues } from '../jobs/queue-notices.ts';
import type { ListedQueueNotices } from '../protocol/calls/creds.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_QUEUE_NOTICES_SHOWN } from '../protocol/limits.ts';
import type { Store } from '../store/store.ts';
import type { Vault } from '../vault/vault.ts';

/** The queues that give secrets over TLS alone, and when an owner's secrets came to be concerned: the vault puts their names back. */
export async function listedQueueNotices(
  { store, vault }: { store: Store; vault: Vault },
  owner: OwnerId,
): Promise<ListedQueueNotices> {
  const [weak, notices] = await Promise.all([tlsQueues(store), queueNotices(store, owner, MAX_QUEUE_NOTICES_SHOWN)]);
  const names = await vault.namesOf(owner, [...new Set(notices.flatMap(({ secretIds }) => secretIds))]);
  return {
    tls_queues: weak.map(({ queue, since }) => ({ queue, since: since === undefined ? null : isoTime(since) })),
    changes: notices.map(({ at, queue, allowed, secretIds }) => ({
      at: isoTime(at),
      queue,
      allow_tls_secrets: allowed,
      secrets: secretIds.map((id) => names.get(id) ?? null),
    })),
  };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
