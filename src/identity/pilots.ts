import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { Conflict, NotFound } from '../protocol/errors.ts';
import { MAX_PILOTS_SHOWN, PILOT_IDLE_SECONDS } from '../protocol/limits.ts';
import { type BatchJob, deleteUnusedJoinTokensOfBatch, listUnusedBatchTokens } from '../store/join-tokens.ts';
import {
  countActivePilots,
  endPilot,
  findPilot,
  listPilots,
  listPilotsOfBatch,
  listUnendedBatches,
  noteBatchEnd,
  type PilotRow,
} from '../store/pilots.ts';
import type { Store } from '../store/store.ts';

/** A pilot as its operator sees it. */
export interface ListedPilot extends Pick<PilotRow, 'id' | 'queue' | 'node'> {
  /** Milliseconds since 1970 UTC, all of them. */
  joinedAt: number;
  seenAt: number;
  expiresAt: number;
  state: 'active' | 'silent' | 'expired' | 'ended by operator' | 'ended by launcher' | 'ended by pilot';
}

/** The last `MAX_PILOTS_SHOWN` pilots that joined, the last first. */
export async function listedPilots(store: Store, clock: () => number): Promise<ListedPilot[]> {
  const now = clock();
  return (await listPilots(store.db, MAX_PILOTS_SHOWN)).map((pilot) => ({
    id: pilot.id,
    queue: pilot.queue,
    node: pilot.node,
    joinedAt: pilot.created_at,
    seenAt: pilot.seen_at,
    expiresAt: pilot.expires_at,
    state: stateOf(pilot, now),
  }));
}

/** The pilots of a queue, or of any, that are active: {@link stateOf}. */
export async function activePilots(
  store: Pick<Store, 'db'>,
  clock: () => number,
  queue: string | null,
): Promise<number> {
  const now = clock();
  return countActivePilots(store.db, queue, { now, seenAfter: now - PILOT_IDLE_SECONDS * 1000 });
}

/** Ends a pilot's session for its operator: its next request is refused. @throws {NotFound} {Conflict} when it has ended already */
export async function endPilotSession(
  store: Store,
  clock: () => number,
  pilotId: string,
  by: AuditActor = 'operator',
): Promise<void> {
  const ended = await store.write(async (tx) => {
    if (!(await endPilot(tx, pilotId, { now: clock(), by: 'operator' }))) return false;
    await appendAudit(tx, clock, SYSTEM, by, 'pilot.end', { pilot: pilotId });
    return true;
  });
  if (ended) return;
  const [pilot] = await findPilot(store.db, { id: pilotId });
  if (!pilot) throw new NotFound(`there is no pilot "${pilotId}"; "panda-secrets pilot list" shows them`);
  throw new Conflict(`the session of ${pilotId} has ended already (${stateOf(pilot, clock())})`);
}

/** The batch jobs of a launcher from which a pilot joined, or may join, and of whose end it has not told. */
export async function openBatchJobs(
  store: Store,
  clock: () => number,
  launcher: Omit<BatchJob, 'batchId'>,
): Promise<{ batchId: string; joined: boolean }[]> {
  const [tokens, pilots] = await Promise.all([
    listUnusedBatchTokens(store.db, launcher, clock()),
    listUnendedBatches(store.db, launcher),
  ]);
  const open = new Map(tokens.map((batchId) => [batchId, false]));
  for (const batchId of pilots) open.set(batchId, true);
  return [...open].map(([batchId, joined]) => ({ batchId, joined }));
}

/**
 * Ends what lets pilots in from a batch job that has ended: tokens that were not used, and sessions.
 *
 * @returns the pilots that ever joined from it, also those whose session had ended before
 */
export async function endPilotsOfBatch(store: Store, clock: () => number, batch: BatchJob): Promise<string[]> {
  const { launcherId, queue, batchId } = batch;
  return store.write(async (tx) => {
    await deleteUnusedJoinTokensOfBatch(tx, batch);
    const pilots = await listPilotsOfBatch(tx, batch);
    const ended: string[] = [];
    for (const { id } of pilots) if (await endPilot(tx, id, { now: clock(), by: 'launcher' })) ended.push(id);
    if (ended.length > 0) {
      const detail = { queue, batch: batchId, pilots: ended };
      await appendAudit(tx, clock, SYSTEM, `launcher:${launcherId}`, 'pilot.end', detail);
    }
    await noteBatchEnd(tx, batch, clock());
    return pilots.map(({ id }) => id);
  });
}

const ENDED_BY = {
  operator: 'ended by operator',
  launcher: 'ended by launcher',
  pilot: 'ended by pilot',
} as const;

/** The state of a session now. */
export function stateOf({ ended_at, ended_by, expires_at, seen_at }: PilotRow, now: number): ListedPilot['state'] {
  if (ended_at !== null) return ENDED_BY[ended_by as keyof typeof ENDED_BY];
  if (expires_at <= now) return 'expired';
  return seen_at + PILOT_IDLE_SECONDS * 1000 <= now ? 'silent' : 'active';
}
