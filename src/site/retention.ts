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
/** A site where nobody did anything for so long has time to ask its operator. */
const MAX_IDLE_DAYS = 180;

/**
 * Looks at each call that the clock has gone as time has since now, and that it was not far ahead then: by one that is, everything would be
 * old.
 *
 * @param written when something was written last before this start, milliseconds since 1970 UTC
 * @param elapsed milliseconds that no clock's setting changes
 * @throws {Conflict} when it was set ahead by more than `MAX_AHEAD_DAYS`, or was ahead of `written` by more than `MAX_IDLE_DAYS`
 */
export function refuseClockAhead(
  clock: () => number,
  written: number | undefined,
  elapsed: () => number = () => performance.now(),
): () => void {
  const [began, from] = [clock(), elapsed()];
  const idle = (began - (written ?? began)) / DAY_MILLISECONDS;
  return () => {
    if (idle > MAX_IDLE_DAYS) {
      throw new Conflict(
        `at the start of the server the clock was ${Math.round(idle)} days ahead of the newest entry of the audit: nothing is removed by it. ` +
          'If it is right, start the server again when somebody has used it',
      );
    }
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
