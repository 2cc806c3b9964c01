import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { Conflict, NotFound } from '../protocol/errors.ts';
import { MAX_PILOTS_SHOWN, PILOT_IDLE_SECONDS } from '../protocol/limits.ts';
import { countActivePilots, endPilot, findPilot, listPilots, type PilotRow } from '../store/pilots.ts';
import type { Store } from '../store/store.ts';

/** A pilot as its operator sees it. */
export interface ListedPilot extends Pick<PilotRow, 'id' | 'queue' | 'node'> {
  /** Milliseconds since 1970 UTC, all of them. */
  joinedAt: number;
  seenAt: number;
  expiresAt: number;
  state: 'active' | 'silent' | 'expired' | 'ended by operator' | 'ended by pilot';
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
export async function activePilots(store: Store, clock: () => number, queue: string | null): Promise<number> {
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

/** The state of a session now. */
export function stateOf({ ended_at, ended_by, expires_at, seen_at }: PilotRow, now: number): ListedPilot['state'] {
  if (ended_at !== null) return ended_by === 'operator' ? 'ended by operator' : 'ended by pilot';
  if (expires_at <= now) return 'expired';
  return seen_at + PILOT_IDLE_SECONDS * 1000 <= now ? 'silent' : 'active';
}
