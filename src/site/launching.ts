import type { Caller } from '../identity/caller.ts';
import { createJoinTokenForBatch, withdrawJoinToken } from '../identity/join-tokens.ts';
import { checkLauncherToken, findLauncher, type Launcher, launcherIdOf } from '../identity/launchers.ts';
import { activePilots, endPilotsOfBatch, openBatchJobs } from '../identity/pilots.ts';
import { voidToken } from '../identity/tokens.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { findQueue, isAddedAfter, type Queue, queueLoad, waitingNeeds } from '../jobs/queues.ts';
import { Forbidden } from '../protocol/errors.ts';
import type { Launching } from '../protocol/launching.ts';
import { LAUNCHED_JOIN_TOKEN_SECONDS, MAX_DIAGNOSIS_CHARS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import type { Store } from '../store/store.ts';
import type { Installation } from './installation.ts';

export interface LaunchingParts extends Pick<Installation, 'store' | 'rootKeys'> {
  jobs: Pick<Jobs, 'losePilot'>;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
}

/** The acts of a launcher. Each looks first whether the queue is one of its own: of another one it does not learn that it is there. */
export function createLaunching(parts: LaunchingParts, launcher: Caller): Launching {
  const { store, clock } = parts;
  const launcherId = launcherIdOf(launcher);

  return {
    async getLoad({ queue }) {
      const found = await ownQueue(store, launcher, queue);
      const [load, needs, pilots] = await Promise.all([
        queueLoad(store, found),
        waitingNeeds(store, found),
        activePilots(store, clock, queue),
      ]);
      return { state: found.state, ...load, needs, pilots };
    },

    async createJoinToken({ queue, batch_id: batchId, ttl_seconds: ttlSeconds = LAUNCHED_JOIN_TOKEN_SECONDS }) {
      await ownQueue(store, launcher, queue);
      const tokenMadeAt = launcher.issuedAt ?? 0;
      const made = await createJoinTokenForBatch(parts, { launcherId, queue, batchId, ttlSeconds, tokenMadeAt });
      return { token: made.token, token_id: made.tokenId, expires_at: new Date(made.expiresAt).toISOString() };
    },

    async withdrawJoinToken({ queue, token_id: tokenId }) {
      await ownQueue(store, launcher, queue);
      return { withdrawn: await withdrawJoinToken(store, clock, { launcherId, queue, tokenId }) };
    },

    async listBatchJobs({ queue }) {
      await ownQueue(store, launcher, queue);
      const open = await openBatchJobs(store, clock, { launcherId, queue });
      return open.map(({ batchId, joined }) => ({ batch_id: batchId, joined }));
    },

    async reportEnd({ queue, batch_id: batchId, reason }) {
      await ownQueue(store, launcher, queue);
      return endBatch(parts, { launcherId, queue, batchId }, reason);
    },
  };
}

/** The same words for a queue of others and for one that is not there. @throws {Forbidden} @throws {Unauthenticated} when it was removed */
export async function ownQueue(store: Store, caller: Caller, name: string): Promise<Queue> {
  const launcher = await currentLauncher(store, caller);
  const queue = launcher.queues.includes(name) ? await queueOf(store, launcher, name) : undefined;
  if (queue) return queue;
  throw new Forbidden(`this launcher is not for a queue "${name}": its queues are ${launcher.queues.join(', ')}`);
}

/** Those that are there. @throws {Unauthenticated} when it was removed */
export async function ownQueues(store: Store, caller: Caller): Promise<Queue[]> {
  const launcher = await currentLauncher(store, caller);
  const queues = await Promise.all(launcher.queues.map((name) => queueOf(store, launcher, name)));
  return queues.filter((queue) => queue !== undefined);
}

/** A server remembers a checked token for a while; with a launcher that was removed, or got another one, it does nothing from then on. */
async function currentLauncher(store: Store, caller: Caller): Promise<Launcher> {
  const launcher = await findLauncher(store, launcherIdOf(caller));
  if (!launcher) throw voidToken();
  checkLauncherToken(launcher, caller.issuedAt ?? 0);
  return launcher;
}

/** A queue that got the name of a removed one is another queue. */
async function queueOf(store: Store, { createdAt }: Launcher, name: string): Promise<Queue | undefined> {
  const found = await findQueue(store, name);
  return found && !(await isAddedAfter(store, name, createdAt)) ? found : undefined;
}

/** Ends what a batch job of a launcher had; its pilots' jobs go on elsewhere. */
export async function endBatch(
  { store, jobs, clock }: Pick<LaunchingParts, 'store' | 'jobs' | 'clock'>,
  batch: { launcherId: string; queue: string; batchId: string },
  reason: string,
): Promise<{ pilots: number; jobs: number }> {
  const pilots = await endPilotsOfBatch(store, clock, batch);
  const diagnosis = shownText(`its pilot's batch job ${batch.batchId} ended: ${reason}`, MAX_DIAGNOSIS_CHARS);
  let lost = 0;
  for (const pilotId of pilots) lost += await jobs.losePilot({ queue: batch.queue, pilotId }, diagnosis);
  return { pilots: pilots.length, jobs: lost };
}
