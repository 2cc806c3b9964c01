import { statfs } from 'node:fs/promises';
import { activePilots } from '../identity/pilots.ts';
import type { Readings } from '../metrics/metrics.ts';
import { READINGS_FRESH_SECONDS } from '../protocol/limits.ts';
import { countRunning } from '../store/queue-load.ts';
import { countWaitingJobs, readAuditHeads } from '../store/site-counts.ts';
import type { Installation } from './installation.ts';
import type { Readiness } from './readiness.ts';

type Opened = Pick<Installation, 'store' | 'data'>;
type FromDatabase = Omit<Readings, 'ready' | 'databaseUp' | 'diskFree'>;

/**
 * What metrics read when somebody asks: one query for each, one after another on a connection apart, again after
 * `READINGS_FRESH_SECONDS` at the earliest. Where nobody asks nothing is read. What cannot be read is left out.
 */
export function createReadings({
  readiness,
  opened,
  clock,
}: {
  readiness: Readiness;
  /** Undefined while the server starts. */
  opened: () => Opened | undefined;
  clock: () => number;
}): () => Promise<Readings> {
  let fresh: { counts: Promise<FromDatabase>; until: number } | undefined;

  return async () => {
    const notReady = await readiness.check();
    const databaseUp = notReady !== 'starting' && notReady !== 'database';
    const installation = opened();
    if (!installation) return { ready: false, databaseUp };
    const now = performance.now();
    if (databaseUp && (!fresh || fresh.until < now)) {
      fresh = { counts: readCounts(installation, clock), until: now + READINGS_FRESH_SECONDS * 1000 };
    }
    const disk = await statfs(installation.data).catch(() => undefined);
    return {
      ready: notReady === undefined,
      databaseUp,
      ...(disk && { diskFree: disk.bavail * disk.bsize }),
      // What was read before the database went is no news any more.
      ...(databaseUp && (await fresh?.counts)),
    };
  };
}

async function readCounts({ store }: Opened, clock: () => number): Promise<FromDatabase> {
  const { probes } = store;
  const secondsSince = (time: number) => Math.max(0, (clock() - time) / 1000);
  const counts: FromDatabase = {};
  const readers: (() => Promise<FromDatabase>)[] = [
    async () => {
      const { jobs, since } = await countWaitingJobs(probes);
      return { waitingJobs: jobs, oldestWaiting: since === undefined ? 0 : secondsSince(since) };
    },
    async () => ({ runningJobs: await countRunning(probes, null) }),
    async () => ({ activePilots: await activePilots({ db: probes }, clock, null) }),
    async () => {
      const { entries, newest } = await readAuditHeads(probes);
      return { auditEntries: entries, ...(newest !== undefined && { auditAge: secondsSince(newest) }) };
    },
  ];
  for (const read of readers) Object.assign(counts, await read().catch(() => ({})));
  return counts;
}
