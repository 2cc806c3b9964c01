import type { Logger } from 'pino';
import type { Delivery } from '../delivery/delivery.ts';
import { type Caller, pilotId } from '../identity/caller.ts';
import type { JobReport, Jobs, LeasedJob } from '../jobs/jobs.ts';
import { type PandaJob, toPilotJob } from '../panda/pilot-job.ts';
import { Conflict, Forbidden, NotFound, PandaError } from '../protocol/errors.ts';
import {
  MAX_ACQUIRED_SECRETS_CHARS,
  MAX_DIAGNOSIS_CHARS,
  MAX_JOBS_PER_ACQUIRE,
  MAX_SHOWN_CHARS,
  PANDA_PILOT_LEASE_SECONDS,
} from '../protocol/limits.ts';
import type { SealingKey } from '../protocol/sealed.ts';
import { shownText } from '../protocol/text.ts';
import { withoutMessage } from './plugins/request-log.ts';

export type FindQueue = (name: string) => Promise<{ name: string; allowTlsSecrets: boolean } | undefined>;

/** What a pilot's calls work on, whichever way it speaks. */
export interface PilotRooms {
  jobs: Jobs;
  delivery: Delivery;
  findQueue: FindQueue;
}

/** What a pilot asks for. */
interface JobRequest {
  queue: string;
  /** Its machine, for show. */
  node: string;
  count: number;
  taskId?: number | undefined;
  /** Its public keys; undefined from a pilot of PanDA's, which knows of none and reports more rarely than ours. */
  offers: readonly SealingKey[] | undefined;
}

/**
 * Gives waiting jobs to a pilot, with their secrets in the form that it may have them.
 *
 * @returns the jobs, or why there is none: text that starts with the words that PanDA's pilots look for
 * @throws {Forbidden} when its token is not for that queue
 * @throws {NotFound} when there is no such queue
 */
export async function giveJobs(
  { jobs, delivery, findQueue }: PilotRooms,
  caller: Caller,
  { queue: name, node, count, taskId, offers }: JobRequest,
  logger: Logger,
): Promise<{ jobs: PandaJob[] } | { none: string }> {
  const queue = await servedQueue(findQueue, caller, name);
  const pilot = { pilotId: pilotId(caller), queue: queue.name, node: shownText(node, MAX_SHOWN_CHARS) };
  // A key that nothing proves to be the pilot's is no better than TLS alone: whatever ends that could have put it there.
  const mayHaveSecrets = (offers !== undefined && caller.proven === true) || queue.allowTlsSecrets;
  const most = Math.min(Math.max(count, 1), MAX_JOBS_PER_ACQUIRE);
  const ready: PandaJob[] = [];
  let room = MAX_ACQUIRED_SECRETS_CHARS;
  let withheld = 0;
  for (let asked = 0; asked < most && room > 0; ) {
    // One by one where they may have secrets: a job that does not fit into the answer is better not taken from the queue.
    const batch = mayHaveSecrets ? 1 : most;
    const acquired = await jobs.acquire({
      ...pilot,
      count: batch,
      ...(taskId && { taskId }),
      ...(!offers && { leaseSeconds: PANDA_PILOT_LEASE_SECONDS }),
      mayHaveSecrets,
    });
    withheld = acquired.withheld;
    asked += batch;
    if (acquired.jobs.length === 0) break;
    for (const leased of acquired.jobs) {
      const job = await withSecrets(leased);
      // One that failed waits again: it is not tried twice for one question.
      if (!job) room = 0;
      else ready.push(job);
      room -= (job?.secrets ?? job?.sealedSecrets?.ciphertext ?? '').length;
    }
  }
  return ready.length > 0 ? { jobs: ready } : { none: noJobs(withheld, queue.name) };

  /** The job as its pilot gets it; a job whose secrets cannot be had fails, with the reason for its owner. */
  async function withSecrets(job: LeasedJob): Promise<PandaJob | undefined> {
    if (!job.usesSecrets) return toPilotJob(job);
    try {
      return toPilotJob(job, await delivery.deliver(job, pilot, offers));
    } catch (error) {
      const reason = error instanceof PandaError ? error.message : 'internal error';
      logger.error({ part: 'delivery', jobId: job.jobId, ...withoutMessage(error) });
      const retriable = !(error instanceof NotFound);
      await jobs.failAttempt(job.jobId, job.attempt, `its secrets could not be delivered: ${reason}`, { retriable });
      return undefined;
    }
  }
}

/**
 * Takes a pilot's report, and tells it what to do. One that lost the attempt and still runs it is told to stop, with the reason:
 * of the two ways to say so, pilots heed this one.
 *
 * @throws {Conflict} at a final report of a lost attempt; what {@link Jobs.report} throws otherwise
 */
export async function takeReport(
  jobs: Jobs,
  caller: Caller,
  report: JobReport,
): Promise<{ command: 'NULL' | 'tobekilled'; reason?: string }> {
  const { node, diagnosis } = report;
  try {
    return await jobs.report(pilotId(caller), {
      ...report,
      node: node && shownText(node, MAX_SHOWN_CHARS),
      diagnosis: diagnosis && shownText(diagnosis, MAX_DIAGNOSIS_CHARS),
    });
  } catch (error) {
    if (!(error instanceof Conflict) || report.state === 'finished' || report.state === 'failed') throw error;
    return { command: 'tobekilled', reason: error.message };
  }
}

async function servedQueue(findQueue: FindQueue, caller: Caller, name: string) {
  if (!caller.queues.includes(name)) {
    const served = caller.queues.length > 0 ? caller.queues.join(', ') : 'no queue';
    throw new Forbidden(`this pilot's token is for ${served}, not for "${name}"`);
  }
  const queue = await findQueue(name);
  if (!queue) throw new NotFound(`there is no queue "${name}" on this server`);
  return queue;
}

function noJobs(withheld: number, queue: string): string {
  const none = 'No jobs in PanDA';
  if (withheld === 0) return none;
  return (
    `${none} for this pilot: ${withheld} waiting need secrets, and queue "${queue}" does not give secrets over TLS alone ` +
    'to a pilot that offers no key which it proves to be its own'
  );
}
