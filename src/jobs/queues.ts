import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { MAX_COUNTED_JOBS } from '../protocol/limits.ts';
import { checkQueueName } from '../protocol/trusted-queues.ts';
import { countRunning } from '../store/queue-load.ts';
import { readQueue, readQueues, upsertQueue } from '../store/queues.ts';
import type { Store } from '../store/store.ts';
import { countWaiting } from '../store/waiting-jobs.ts';

/** A place that pilots take jobs from: PanDA's computing site. */
export interface Queue {
  /** 1 to 64 letters, digits, `.`, `_` and `-`. */
  name: string;
  /** True when a pilot that offers no key may have secrets over TLS alone. */
  allowTlsSecrets: boolean;
}

/** Adds a queue, or changes what it allows when it is there. @throws {InvalidArgument} when the name cannot be one */
export async function addQueue(
  store: Store,
  clock: () => number,
  name: string,
  { allowTlsSecrets = false }: { allowTlsSecrets?: boolean } = {},
  by: AuditActor = 'operator',
): Promise<void> {
  checkQueueName(name);
  const queue = { name, allow_tls_secrets: allowTlsSecrets ? 1 : 0, created_at: clock() };
  await store.write(async (tx) => {
    const before = await readQueue(tx, name);
    await upsertQueue(tx, queue);
    await appendAudit(tx, clock, SYSTEM, by, before ? 'queue.change' : 'queue.add', { queue: name, allowTlsSecrets });
  });
}

/** In the order of their names. */
export async function listQueues(store: Store): Promise<Queue[]> {
  return (await readQueues(store.db)).map(toQueue);
}

export async function findQueue(store: Store, name: string): Promise<Queue | undefined> {
  const row = await readQueue(store.db, name);
  return row && toQueue(row);
}

/** The jobs that a pilot of a queue would be given, counted up to `MAX_COUNTED_JOBS`, and the attempts that its pilots have. */
export async function queueLoad(store: Store, name: string): Promise<{ waiting: number; running: number }> {
  const [waiting, running] = await Promise.all([
    countWaiting(store.db, name, MAX_COUNTED_JOBS),
    countRunning(store.db, name),
  ]);
  return { waiting, running };
}

/** @throws {InvalidArgument} naming those that are not there, and those that are */
export async function checkQueues(store: Store, names: readonly string[]): Promise<void> {
  const known = (await readQueues(store.db)).map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const which = unknown.length === 1 ? `is no queue "${unknown[0]}"` : `are no queues "${unknown.join('", "')}"`;
  throw new InvalidArgument(
    `queues: there ${which}; ${known.length > 0 ? `the queues are ${known.join(', ')}` : 'there is none yet'}`,
  );
}

function toQueue({ name, allow_tls_secrets }: { name: string; allow_tls_secrets: number }): Queue {
  return { name, allowTlsSecrets: allow_tls_secrets === 1 };
}
