import type { Acquisition, Jobs, LeasedJob } from '../jobs/jobs.ts';
import { findQueue, isAddedAfter, type Queue } from '../jobs/queues.ts';
import { DecryptionFailed, Forbidden, NotFound, PandaError, Tampered } from '../protocol/errors.ts';
import {
  MAX_ACQUIRED_CHARS,
  MAX_JOB_PARAMETERS_CHARS,
  MAX_JOBS_PER_ACQUIRE,
  MAX_SHOWN_CHARS,
  MAX_UNDELIVERABLE_PER_REQUEST,
  PANDA_PILOT_LEASE_SECONDS,
} from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import type { Store } from '../store/store.ts';
import { type DeliveryContext, deliver, type SecretsForPilot } from './deliver.ts';
import { mayHaveSecrets, type Offer } from './offer.ts';

/** The pilot that asks, as the server knows it. */
export interface AskingPilot {
  pilotId: string;
  /** Those that it may serve. */
  queues: readonly string[];
  /** When the token that names them was made, milliseconds since 1970 UTC: a queue that is newer is another one. */
  tokenMadeAt?: number | undefined;
}

/** A pilot's request for jobs. */
export interface JobRequest {
  queue: string;
  /** Its machine, for show. */
  node: string;
  count: number;
  taskId?: number | undefined;
  /** Undefined from a pilot of PanDA's, which knows of none and reports more rarely than ours. */
  offer: Offer | undefined;
  /** True when it may have jobs whose secrets are sealed by their owners: it has a key of its site. */
  sealed?: boolean | undefined;
  /** Only jobs that asked for no more seconds, MB and cores. */
  room?: Acquisition['room'];
}

/** A job as a pilot gets it. */
export interface GivenJob {
  job: LeasedJob;
  secrets: SecretsForPilot | undefined;
}

const MOST_AT_ONCE = Math.floor(MAX_ACQUIRED_CHARS / MAX_JOB_PARAMETERS_CHARS);

/** See {@link Delivery.giveJobs}. */
export async function giveJobs(
  context: DeliveryContext & { jobs: Jobs },
  asking: AskingPilot,
  { queue: name, node, count, taskId, offer, sealed = false, room: left }: JobRequest,
): Promise<{ jobs: GivenJob[] } | { none: string }> {
  const { store, jobs, tell } = context;
  const queue = await servedQueue(store, asking, name);
  const pilot = { pilotId: asking.pilotId, queue: queue.name, node: shownText(node, MAX_SHOWN_CHARS) };
  const withSecrets = mayHaveSecrets(queue, offer);
  const most = Math.min(Math.max(count, 1), MAX_JOBS_PER_ACQUIRE);
  const given: GivenJob[] = [];
  let room = MAX_ACQUIRED_CHARS;
  let withheld = 0;
  let withheldSealed = 0;
  let undeliverable = 0;
  while (given.length < most && undeliverable < MAX_UNDELIVERABLE_PER_REQUEST) {
    // One by one where they may have secrets, and never more than surely fit: a job that does not fit into the answer is better not
    // taken from the queue.
    const fitting = given.length === 0 ? MOST_AT_ONCE : Math.floor(room / MAX_JOB_PARAMETERS_CHARS);
    if (fitting <= 0) break;
    const acquired = await jobs.acquire({
      ...pilot,
      state: queue.state,
      count: withSecrets ? 1 : Math.min(most - given.length, fitting),
      ...(taskId && { taskId }),
      ...(left && { room: left }),
      ...(!offer && { leaseSeconds: PANDA_PILOT_LEASE_SECONDS }),
      mayHaveSecrets: withSecrets,
      // Sealed secrets go to a key that is proven besides: nothing of them is for a proxy that ends TLS.
      mayHaveSealed: sealed && offer?.proven === true,
    });
    withheld = acquired.withheld;
    withheldSealed = acquired.withheldSealed;
    undeliverable += acquired.refused;
    if (acquired.jobs.length === 0 && acquired.refused === 0) break;
    for (const leased of acquired.jobs) {
      const ready = await complete(leased);
      if (!ready) {
        undeliverable += 1;
        continue;
      }
      given.push(ready);
      const { secrets, sealedSecrets } = ready.secrets ?? {};
      room -=
        leased.parameters.length +
        (leased.grant?.word.length ?? 0) +
        (secrets ?? sealedSecrets?.ciphertext ?? '').length;
    }
  }
  if (given.length > 0) return { jobs: given };
  if (withheld > 0) tell({ event: 'secrets.withheld', queue: queue.name, jobs: withheld });
  return { none: noJobs({ withheld, withheldSealed }, queue) };

  /**
   * The job with its secrets; a job whose secrets cannot be had fails, with the reason for its owner. It waits for another try only where
   * that may end otherwise: on another queue, or with another pilot. If not, its task's other jobs fail with it.
   */
  async function complete(job: LeasedJob): Promise<GivenJob | undefined> {
    if (!job.usesSecrets) return { job, secrets: undefined };
    const { jobId, attempt, grant } = job;
    try {
      return { job, secrets: await deliver(context, { ...job, grant: grant?.word }, pilot, offer) };
    } catch (error) {
      const reason = error instanceof PandaError ? error.message : 'internal error';
      // No further attempt can mend these.
      const isFinal = error instanceof NotFound || error instanceof DecryptionFailed || error instanceof Tampered;
      const retriable = !(isFinal || (error instanceof Forbidden && !job.anyQueue));
      await jobs.failAttempt(jobId, attempt, `its secrets could not be delivered: ${reason}`, { retriable });
      tell({ event: 'secrets.undeliverable', jobId, attempt, queue: pilot.queue, retriable, error });
      return undefined;
    }
  }
}

async function servedQueue(store: Store, { queues, tokenMadeAt }: AskingPilot, name: string): Promise<Queue> {
  if (!queues.includes(name)) {
    const served = queues.length > 0 ? queues.join(', ') : 'no queue';
    throw new Forbidden(`this pilot's token is for ${served}, not for "${name}"`);
  }
  const queue = await findQueue(store, name);
  if (!queue) throw new NotFound(`there is no queue "${name}" on this server`);
  if (tokenMadeAt !== undefined && (await isAddedAfter(store, name, tokenMadeAt))) {
    throw new Forbidden(
      `queue "${name}" was removed and added again after this pilot's token was made: make a new one`,
    );
  }
  return queue;
}

/** Begins with the words that PanDA's pilots look for. */
function noJobs(
  { withheld, withheldSealed }: { withheld: number; withheldSealed: number },
  { name: queue, state }: Queue,
): string {
  const none = 'No jobs in PanDA';
  if (state === 'paused') return `${none} for this pilot: queue "${queue}" is paused`;
  if (withheld === 0 && withheldSealed > 0) {
    return `${none} for this pilot: ${withheldSealed} waiting have secrets sealed by their owners, and it has no key of its site (--site-key)`;
  }
  if (withheld === 0) return none;
  return (
    `${none} for this pilot: ${withheld} waiting need secrets, and queue "${queue}" does not give secrets over TLS alone ` +
    'to a pilot that offers no key which it proves to be its own'
  );
}
