import type { Tell } from '../events/events.ts';
import type { PilotSessions } from '../identity/pilot-sessions.ts';
import { removeOrphans } from '../jobs/file-room.ts';
import type { JobLogs } from '../jobs/job-logs.ts';
import type { Jobs } from '../jobs/jobs.ts';
import {
  DATA_KEY_SECONDS,
  EXPIRY_CHECK_SECONDS,
  LEASE_SECONDS,
  LEASES_CHECK_SECONDS,
  LIVE_LOGS_CLEANING_SECONDS,
  MAX_HOUSEKEEPING_BACKOFF_SECONDS,
  ORPHANS_CLEANING_SECONDS,
  PROOFS_CLEANING_SECONDS,
  PROVIDER_CLEANING_SECONDS,
  RESERVE_CHECK_SECONDS,
  RETENTION_SECONDS,
  ROOT_KEYS_RECHECK_SECONDS,
} from '../protocol/limits.ts';
import type { Reserve } from '../store/reserve.ts';
import type { Vault } from '../vault/vault.ts';
import type { ServerSign } from './servers.ts';

/** Work that a server does by itself now and then. Any number of servers may do it on one database. */
export interface HousekeepingTask {
  name: string;
  everySeconds: number;
  /** The time before the first run; `everySeconds` unless set. */
  firstAfterSeconds?: number;
  /** About what a process has in its memory: of several that are one server, each does it. */
  isOfProcess?: true;
  /** @param stopping is aborted when the server stops: work that goes on for long ends there */
  run(stopping: AbortSignal): Promise<unknown>;
}

/** All that a server does by itself. */
export function housekeepingTasks({
  jobs,
  pilots,
  vault,
  login,
  jobLogs,
  files,
  reserve,
  retention,
  sign,
  leaseSeconds = LEASE_SECONDS,
}: {
  jobs: Pick<Jobs, 'expireLeases'>;
  pilots: Pick<PilotSessions, 'removeEnded'>;
  vault: Pick<Vault, 'forgetOldKeys'> & { endSecrets(): Promise<unknown> };
  login: { removeEnded(): Promise<void> };
  jobLogs: Pick<JobLogs, 'removeOld'>;
  files: Parameters<typeof removeOrphans>[0];
  reserve: Pick<Reserve, 'keep'>;
  retention(stopping: AbortSignal): Promise<void>;
  sign: Pick<ServerSign, 'renew'>;
  leaseSeconds?: number | undefined;
}): HousekeepingTask[] {
  return [
    {
      name: 'leases',
      everySeconds: Math.min(LEASES_CHECK_SECONDS, leaseSeconds / 4),
      // Pilots may not have been heard because no server was there to hear them: all have a lease's time to come back.
      firstAfterSeconds: leaseSeconds,
      run: () => jobs.expireLeases(),
    },
    { name: 'pilots', everySeconds: PROOFS_CLEANING_SECONDS, run: () => pilots.removeEnded() },
    {
      name: 'data keys',
      everySeconds: DATA_KEY_SECONDS / 10,
      isOfProcess: true,
      run: async () => vault.forgetOldKeys(),
    },
    {
      name: 'expired secrets',
      everySeconds: EXPIRY_CHECK_SECONDS,
      firstAfterSeconds: 0,
      run: () => vault.endSecrets(),
    },
    { name: 'logins', everySeconds: PROVIDER_CLEANING_SECONDS, run: () => login.removeEnded() },
    {
      name: 'live logs',
      everySeconds: LIVE_LOGS_CLEANING_SECONDS,
      firstAfterSeconds: 0,
      run: () => jobLogs.removeOld(),
    },
    {
      name: 'files',
      everySeconds: ORPHANS_CLEANING_SECONDS,
      firstAfterSeconds: LEASE_SECONDS,
      run: () => removeOrphans(files),
    },
    { name: 'retention', everySeconds: RETENTION_SECONDS, firstAfterSeconds: LEASE_SECONDS / 2, run: retention },
    { name: 'root keys', everySeconds: ROOT_KEYS_RECHECK_SECONDS, isOfProcess: true, run: () => sign.renew() },
    // Each notes whether it is given up.
    {
      name: 'disk reserve',
      everySeconds: RESERVE_CHECK_SECONDS,
      firstAfterSeconds: 0,
      isOfProcess: true,
      run: () => reserve.keep(),
    },
  ];
}

/**
 * Runs each task at its interval, never twice at once. One that fails is told as an event and tried again, later each time up to
 * `MAX_HOUSEKEEPING_BACKOFF_SECONDS` (or its own interval, where that is longer); the others do not wait for it.
 *
 * @returns `close` starts no further run, and resolves when those that have begun have ended
 */
export function startHousekeeping(tasks: readonly HousekeepingTask[], tell: Tell): { close(): Promise<void> } {
  const timers = new Map<HousekeepingTask, NodeJS.Timeout>();
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();

  function schedule(task: HousekeepingTask, seconds: number, failures: number): void {
    if (stopping.signal.aborted) return;
    const start = () => {
      const run = runOnce(task, failures).finally(() => running.delete(run));
      running.add(run);
    };
    timers.set(task, setTimeout(start, seconds * 1000).unref());
  }

  async function runOnce(task: HousekeepingTask, failuresBefore: number): Promise<void> {
    const { name, everySeconds } = task;
    try {
      await task.run(stopping.signal);
      schedule(task, everySeconds, 0);
    } catch (error) {
      const failures = failuresBefore + 1;
      tell({ event: 'housekeeping.failed', task: name, failures, error });
      const most = Math.max(everySeconds, MAX_HOUSEKEEPING_BACKOFF_SECONDS);
      schedule(task, Math.min(everySeconds * 2 ** failures, most), failures);
    }
  }

  for (const task of tasks) schedule(task, task.firstAfterSeconds ?? task.everySeconds, 0);
  return {
    async close() {
      stopping.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
