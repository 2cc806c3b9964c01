import { cutAudits } from '../audit/cut.ts';
import { removeDeliveries } from '../delivery/retention.ts';
import { type Tell, tellNobody } from '../events/events.ts';
import { removeOld } from '../jobs/retention.ts';
import { Conflict } from '../protocol/errors.ts';
import { DAY_MILLISECONDS } from '../protocol/limits.ts';
import { inBatches } from '../store/in-batches.ts';
import type { Store } from '../store/store.ts';
import type { Keep } from './settings.ts';

/** A machine may sleep for days, and its clock is then right. */
const MAX_AHEAD_DAYS = 30;

/**
 * Looks at each call that the clock has gone as time has since now: by one that was set ahead for a moment, everything would be old.
 *
 * @param elapsed milliseconds that no clock's setting changes
 * @throws {Conflict} when it was set ahead by more than `MAX_AHEAD_DAYS`
 */
export function refuseClockAhead(clock: () => number, elapsed: () => number = () => performance.now()): () => void {
  const [began, from] = [clock(), elapsed()];
  return () => {
    const ahead = (clock() - began - (elapsed() - from)) / DAY_MILLISECONDS;
    if (ahead <= MAX_AHEAD_DAYS) return;
    throw new Conflict(
      `the clock was set ahead by ${Math.round(ahead)} days since the server started: nothing is removed by it until the next start`,
    );
  };
}

/**
 * Removes what the settings keep no longer, in small batches, and gives the room inside the database back. Content of files goes at
 * `removeOrphans`. What one subject's failure keeps from being removed keeps the others from nothing.
 */
export async function removeUnkept(
  { store, clock, tell = tellNobody }: { store: Store; clock: () => number; tell?: Tell },
  { tasks, files, sandboxes, deliveries, audit }: Partial<Keep>,
  stopping?: AbortSignal,
): Promise<void> {
  const before = (days: number) => clock() - days * DAY_MILLISECONDS;
  const works = [
    () => removeOld({ store, clock }, { tasksDays: tasks, filesDays: files, sandboxesDays: sandboxes }, stopping),
    async () => {
      if (deliveries !== undefined) await removeDeliveries({ store }, before(deliveries), stopping);
    },
    async () => {
      if (audit === undefined) return;
      const { broken } = await cutAudits({ store, clock }, before(audit), stopping);
      if (broken.length > 0) tell({ event: 'audit.broken', chains: broken.length });
    },
    () => inBatches(() => store.reclaim(), stopping),
  ];
  const outcomes: PromiseSettledResult<void>[] = [];
  // One after another: each waits for the writes of requests.
  for (const work of works) outcomes.push(...(await Promise.allSettled([work()])));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
