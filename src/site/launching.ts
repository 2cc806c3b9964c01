import type { Caller } from '../identity/caller.ts';
import { createJoinTokenForBatch, withdrawJoinToken } from '../identity/join-tokens.ts';
import { findLauncher, launcherIdOf } from '../identity/launchers.ts';
import { activePilots, endPilotsOfBatch } from '../identity/pilots.ts';
import { voidToken } from '../identity/tokens.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { findQueue, isAddedAfter, type Queue, queueLoad, waitingNeeds } from '../jobs/queues.ts';
import { Forbidden } from '../protocol/errors.ts';
import type { Launching } from '../protocol/launching.ts';
import { LAUNCHED_JOIN_TOKEN_SECONDS, MAX_DIAGNOSIS_CHARS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import type { Installation } from './installation.ts';

export interface LaunchingParts extends Pick<Installation, 'store' | 'rootKeys'> {
  jobs: Pick<Jobs, 'losePilot'>;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
}

/** The acts of a launcher. Each looks first whether the queue is one of its own: of another one it does not learn that it is there. */
export function createLaunching(parts: LaunchingParts, launcher: Caller): Launching {
  const { store, jobs, clock } = parts;
  const launcherId = launcherIdOf(launcher);

  return {
    async getLoad({ queue }) {
      const found = await ownQueue(parts, launcher, queue);
      const [load, needs, pilots] = await Promise.all([
        queueLoad(store, found),
        waitingNeeds(store, found),
        activePilots(store, clock, queue),
      ]);
      return { state: found.state, ...load, needs, pilots };
    },

    async createJoinToken({ queue, batch_id: batchId, ttl_seconds: ttlSeconds = LAUNCHED_JOIN_TOKEN_SECONDS }) {
      await ownQueue(parts, launcher, queue);
      const made = await createJoinTokenForBatch(parts, { launcherId, queue, batchId, ttlSeconds });
      return { token: made.token, token_id: made.tokenId, expires_at: new Date(made.expiresAt).toISOString() };
    },

    async withdrawJoinToken({ queue, token_id: tokenId }) {
      await ownQueue(parts, launcher, queue);
      return { withdrawn: await withdrawJoinToken(store, clock, { launcherId, queue, tokenId }) };
    },

    async reportEnd({ queue, batch_id: batchId, reason }) {
      await ownQueue(parts, launcher, queue);
      const pilots = await endPilotsOfBatch(store, clock, { launcherId, queue, batchId });
      const diagnosis = shownText(`its pilot's batch job ${batchId} ended: ${reason}`, MAX_DIAGNOSIS_CHARS);
      let lost = 0;
      for (const pilotId of pilots) lost += await jobs.losePilot({ queue, pilotId }, diagnosis);
      return { pilots: pilots.length, jobs: lost };
    },
  };
}

/** The same words for a queue of others and for one that is not there. @throws {Forbidden} @throws {Unauthenticated} when it was removed */
async function ownQueue({ store }: LaunchingParts, caller: Caller, name: string): Promise<Queue> {
  // A server remembers a checked token for a while; a launcher that was removed does nothing from then on.
  const launcher = await findLauncher(store, launcherIdOf(caller));
  if (!launcher) throw voidToken();
  const found = launcher.queues.includes(name) ? await findQueue(store, name) : undefined;
  // A queue that got the name of a removed one is another queue.
  if (found && !(await isAddedAfter(store, name, launcher.createdAt))) return found;
  throw new Forbidden(`this launcher is not for a queue "${name}": its queues are ${launcher.queues.join(', ')}`);
}
