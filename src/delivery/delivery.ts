import { type Tell, tellNobody } from '../events/events.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { ListedDelivery, ListedQueueNotices } from '../protocol/calls/creds.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { DEFAULT_DELIVERIES_SHOWN } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import {
  type DeliveredJob,
  type DeliveryContext,
  deliverAll,
  type ReceivingPilot,
  type SecretsForPilot,
} from './deliver.ts';
import { type AskingPilot, type GivenJob, giveJobs, type JobRequest } from './give-jobs.ts';
import { deliveryHistory } from './history.ts';
import { type Offer, usableOffer } from './offer.ts';
import { listedQueueNotices } from './queue-notices.ts';

/** Takes an owner's secrets out of the vault and to the compute node where a job of theirs runs. */
export interface Delivery {
  /**
   * Gives waiting jobs to a pilot, with their secrets in the form in which it may have them. A job whose secrets cannot be had
   * fails, and is not among them.
   *
   * @returns the jobs, or why there is none: text that begins with the words that PanDA's pilots look for
   * @throws {Forbidden} when the pilot may not serve that queue
   * @throws {InvalidArgument} when none of the offered keys can be used: no job is taken
   * @throws {NotFound} when there is no such queue
   */
  giveJobs(pilot: AskingPilot, request: JobRequest): Promise<{ jobs: GivenJob[] } | { none: string }>;
  /**
   * The secrets of a job: the JSON text of an object wire name -> value, empty where there are none, sealed to the strongest of the pilot's keys and
   * bound to this attempt, owner and pilot. The delivery is on record before this answers. The caller must have given the
   * attempt to that pilot.
   *
   * @param offer undefined from a pilot that knows of no keys
   * @throws {Forbidden} when the pilot proves no key to be its own and its queue gives no secrets over TLS alone; when the job
   * names a secret that may not go to the queue
   * @throws {NotFound} when the job names a secret that was deleted since
   * @throws {InvalidArgument} when none of the offered keys can be used
   * @throws {DecryptionFailed} when a secret does not open: nothing is delivered
   */
  deliver(job: DeliveredJob, pilot: ReceivingPilot, offer: Offer | undefined): Promise<SecretsForPilot>;
  /**
   * Which of the owner's jobs were given secrets and where, newest first.
   *
   * @param options `name`: only deliveries of that secret; `limit`: at most `MAX_DELIVERIES_SHOWN`
   * @throws {NotFound} when there is no secret of that name
   */
  history(owner: OwnerId, options?: { name?: WireName; limit?: number }): Promise<ListedDelivery[]>;
  /** The queues that give secrets over TLS alone, and when that changed for queues that the owner's secrets named. */
  queueNotices(owner: OwnerId): Promise<ListedQueueNotices>;
}

export interface DeliveryDependencies extends Omit<DeliveryContext, 'tell'> {
  jobs: Jobs;
  tell?: Tell;
}

export function createDelivery({ store, vault, jobs, clock, tell = tellNobody }: DeliveryDependencies): Delivery {
  const context = { store, vault, clock, tell };
  return {
    giveJobs: (pilot, request) => giveJobs({ ...context, jobs }, pilot, request),
    async deliver(job, pilot, offer) {
      const outcome = (await deliverAll(context, [job], pilot, await usableOffer(offer), () => true)).get(job);
      if (outcome && outcome !== 'full' && 'secrets' in outcome) return outcome.secrets;
      throw (outcome as { failure: unknown }).failure;
    },
    history: (owner, { name, limit = DEFAULT_DELIVERIES_SHOWN } = {}) =>
      deliveryHistory({ store, vault }, owner, { name, limit }),
    queueNotices: (owner) => listedQueueNotices({ store, vault }, owner),
  };
}
