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
import { type DeliveryContext, deliverAll, type SecretsForPilot } from './deliver.ts';
import { mayHaveSecrets, type Offer, usableOffer } from './offer.ts';

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

/** See {@link Delivery.giveJobs}. */
export async function giveJobs(
  context: DeliveryContext & { jobs: Jobs },
  asking: AskingPilot,
  { queue: name, node, count, taskId, offer: offered, sealed = false, room: left }: JobRequest,
): Promise<{ jobs: GivenJob[] } | { none: string }> {
  const { store, jobs, tell } = context;
  const queue = await servedQueue(store, asking, name);
  const offer = await usableOffer(offered);
  const pilot = { pilotId: asking.pilotId, queue: queue.name, node: shownText(node, MAX_SHOWN_CHARS) };
  const most = Math.min(Math.max(count, 1), MAX_JOBS_PER_ACQUIRE);
  const given: GivenJob[] = [];
  let room = MAX_ACQUIRED_CHARS;
  let withheld = 0;
  let withheldSealed = 0;
  let undeliverable = 0;
  while (given.length < most && undeliverable < MAX_UNDELIVERABLE_PER_REQUEST && room >= MAX_JOB_PARAMETERS_CHARS) {
    const wanted = most - given.length;
    const acquired = await jobs.acquire({
      ...pilot,
      state: queue.state,
      count: wanted,
      maxChars: room,
      ...(taskId && { taskId }),
      ...(left && { room: left }),
      ...(!offer && { leaseSeconds: PANDA_PILOT_LEASE_SECONDS }),
      mayHaveSecrets: mayHaveSecrets(queue, offer),
      // Sealed secrets go to a key that is proven besides: nothing of them is for a proxy that ends TLS.
      mayHaveSealed: sealed && offer?.proven === true,
    });
    withheld = acquired.withheld;
    withheldSealed = acquired.withheldSealed;
    undeliverable += acquired.refused;
    const isFull = await complete(acquired.jobs);
    // No other waits, or would fit.
    if (isFull || acquired.jobs.length + acquired.refused < wanted) break;
  }
  if (given.length > 0) return { jobs: given };
  if (withheld > 0) tell({ event: 'secrets.withheld', queue: queue.name, jobs: withheld });
  return { none: noJobs({ withheld, withheldSealed }, queue) };

  /**
   * Gives jobs with their secrets. Those that do not fit, and those that fail beyond what one request may, wait again.
   *
   * @returns true when there was one that did not fit
   */
  async function complete(acquired: readonly LeasedJob[]): Promise<boolean> {
    const outcomes = await deliverAll(context, acquired.filter(usesSecrets), pilot, offer, fits);
    const failed: FailedJob[] = [];
    const others: LeasedJob[] = [];
    for (const job of acquired) {
      const outcome = outcomes.get(job) ?? (fits(job, 0) ? { secrets: undefined } : 'full');
      if (outcome === 'full') others.push(job);
      else if ('failure' in outcome) failed.push({ job, ...failureOf(outcome.failure, job) });
      else given.push({ job, secrets: outcome.secrets });
    }
    const failing = failed.filter(({ job, retriable }, n) => {
      // The jobs of its task that wait fail with one that fails for good.
      const isFirst = failed.findIndex((other) => other.job.taskId === job.taskId && !other.retriable) === n;
      if (!(retriable || isFirst) || undeliverable >= MAX_UNDELIVERABLE_PER_REQUEST) return false;
      undeliverable += 1;
      return true;
    });
    const waiting = failed.filter((one) => !failing.includes(one)).map(({ job }) => job);
    await jobs.putBack([...others, ...waiting]);
    for (const { job, reason, retriable, error } of failing) {
      const { jobId, attempt } = job;
      await jobs.failAttempt(jobId, attempt, `its secrets could not be delivered: ${reason}`, { retriable });
      tell({ event: 'secrets.undeliverable', jobId, attempt, queue: pilot.queue, retriable, error });
    }
    return others.length > 0;
  }

  /** Takes the room that a job needs in the answer, as long as any job without secrets surely fits. */
  function fits(job: LeasedJob, secretsChars: number): boolean {
    if (room < MAX_JOB_PARAMETERS_CHARS) return false;
    room -= job.parameters.length + (job.grant?.word.length ?? 0) + secretsChars;
    return true;
  }
}

interface FailedJob {
  job: LeasedJob;
  reason: string;
  /** True where another try may end otherwise: on another queue, or with another pilot. */
  retriable: boolean;
  error: unknown;
}

function usesSecrets(job: LeasedJob): boolean {
  return job.usesSecrets;
}

function failureOf(error: unknown, { anyQueue }: LeasedJob): Omit<FailedJob, 'job'> {
  const reason = error instanceof PandaError ? error.message : 'internal error';
  // No further attempt can mend these.
  const isFinal = error instanceof NotFound || error instanceof DecryptionFailed || error instanceof Tampered;
  return { reason, retriable: !(isFinal || (error instanceof Forbidden && !anyQueue)), error };
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
