import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Delivery } from '../../delivery/delivery.ts';
import { type Caller, pilotId } from '../../identity/caller.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import * as calls from '../../protocol/calls/pilot.ts';
import { refused, succeeded } from '../../protocol/envelope.ts';
import { Conflict, Forbidden, InvalidArgument, NotFound, PandaError } from '../../protocol/errors.ts';
import { MAX_JOBS_PER_ACQUIRE, MAX_UPLOAD_BYTES } from '../../protocol/limits.ts';
import { type LeasedJob, toPilotJob } from '../../protocol/panda-job.ts';
import { KEMS, type SealingKey } from '../../protocol/sealed.ts';
import type { Blobs } from '../../store/blobs.ts';
import { callerOf } from '../plugins/authentication.ts';
import { streamBodies } from '../plugins/body.ts';
import { withoutMessage } from '../plugins/request-log.ts';
import { route } from '../route.ts';

export type FindQueue = (name: string) => Promise<{ name: string; allowTlsSecrets: boolean } | undefined>;

interface PilotRooms {
  jobs: Jobs;
  delivery: Delivery;
  blobs: Blobs;
  findQueue: FindQueue;
}

/** What a pilot asks and reports. It serves the queues that its token names, and touches only attempts that it holds. */
export async function pilotRoutes(app: FastifyInstance, rooms: PilotRooms, logger: Logger): Promise<void> {
  const { jobs, blobs } = rooms;

  route(app, calls.acquireJobs, async (args, request) => {
    const { site_name: queueName, sealing_keys: keys, n_jobs: count, task_id: taskId } = args;
    const caller = callerOf(request);
    const queue = await servedQueue(rooms.findQueue, caller, queueName);
    const pilot = { pilotId: pilotId(caller), queue: queue.name, node: args.node ?? '' };
    const offers = usableOffers(keys);
    const { jobs: leased, withheld } = await jobs.acquire({
      ...pilot,
      count: Math.min(Math.max(count ?? 1, 1), MAX_JOBS_PER_ACQUIRE),
      ...(taskId && { taskId }),
      mayHaveSecrets: offers !== undefined || queue.allowTlsSecrets,
    });
    const given = await Promise.all(leased.map((job) => withSecrets(job)));
    const ready = given.filter((job) => job !== undefined);
    return ready.length > 0 ? succeeded({ StatusCode: 0, jobs: ready }) : refused(noJobs(withheld, queue.name));

    /** The job as its pilot gets it; a job whose secrets cannot be had fails, with the reason for its owner. */
    async function withSecrets(job: LeasedJob) {
      if (!job.usesSecrets) return toPilotJob(job);
      try {
        return toPilotJob(job, await rooms.delivery.deliver(job, pilot, offers));
      } catch (error) {
        const reason = error instanceof PandaError ? error.message : 'internal error';
        logger.error({ path: calls.acquireJobs.path, jobId: job.jobId, ...withoutMessage(error) });
        const retriable = !(error instanceof NotFound);
        await jobs.failAttempt(job.jobId, job.attempt, `its secrets could not be delivered: ${reason}`, { retriable });
        return undefined;
      }
    }
  });

  route(app, calls.updateJob, async (args, request) => {
    const state = given(args.job_status, 'job_status');
    const report = {
      jobId: args.job_id,
      attempt: given(args.attempt_nr, 'attempt_nr'),
      state,
      node: args.node ?? undefined,
      exitCode: args.trans_exit_code ?? undefined,
      errorCode: args.pilot_error_code || args.exe_error_code || undefined,
      diagnosis: args.pilot_error_diag || args.exe_error_diag || undefined,
    };
    try {
      const { command } = await jobs.report(pilotId(callerOf(request)), report);
      return succeeded({ StatusCode: 0, command } satisfies calls.JobCommand);
    } catch (error) {
      if (!(error instanceof Conflict) || state === 'finished' || state === 'failed') throw error;
      // It lost the attempt and still runs it. Of the two ways to say so, a pilot heeds this one.
      return succeeded({ StatusCode: 0, command: 'tobekilled' } satisfies calls.JobCommand, error.message);
    }
  });

  route(app, calls.getPilotJobStatus, async ({ job_ids: jobIds }, request) => {
    const known = await jobs.getJobsOfPilot(pilotId(callerOf(request)), jobIds);
    const found = new Map(
      known.map(({ jobId, state, attempt }) => [jobId, { status: state, attempt_number: attempt }]),
    );
    return succeeded(
      jobIds.map((jobId) => ({ job_id: jobId, ...(found.get(jobId) ?? { status: 'not found', attempt_number: 0 }) })),
    );
  });

  await app.register(async (uploads) => {
    streamBodies(uploads);
    route(
      uploads,
      calls.uploadJobFile,
      async ({ job_id: jobId, attempt_nr: attempt, kind, name }, request) => {
        const pilot = pilotId(callerOf(request));
        await jobs.checkUpload(pilot, { jobId, attempt });
        const blob = await blobs.put(request.body as Readable, { maxBytes: MAX_UPLOAD_BYTES });
        await jobs.addFile(pilot, { jobId, attempt, kind, name, ...blob });
        return succeeded(null, 'OK');
      },
      { argumentsFrom: 'query' },
    );
  });

  // What a worker says of itself and its node is not kept; a pilot must not fail on saying it.
  for (const call of [calls.updateWorkerStatus, calls.updateWorkerNode, calls.updateWorkerNodeGpu]) {
    route(app, call, async () => succeeded(null, 'OK'));
  }
}

/** PanDA's schema leaves it out at times; here a report says nothing without it. @throws {InvalidArgument} */
function given<T>(value: T | null | undefined, name: string): T {
  if (value === null || value === undefined) throw new InvalidArgument(`missing a required argument: '${name}'`);
  return value;
}

/** @throws {Forbidden} when the pilot's token is not for that queue @throws {NotFound} */
async function servedQueue(findQueue: FindQueue, caller: Caller, name: string) {
  if (!caller.queues.includes(name)) {
    const served = caller.queues.length > 0 ? caller.queues.join(', ') : 'no queue';
    throw new Forbidden(`this pilot's token is for ${served}, not for "${name}"`);
  }
  const queue = await findQueue(name);
  if (!queue) throw new NotFound(`there is no queue "${name}" on this server`);
  return queue;
}

/**
 * The offered keys as they arrived, or undefined when none was.
 *
 * @throws {InvalidArgument} when there is none that this server can seal to: said before a job is given, which would fail
 */
function usableOffers(keys: readonly { kem: string; public_key: string }[] | undefined): SealingKey[] | undefined {
  if (!keys || keys.length === 0) return undefined;
  if (!keys.some(({ kem }) => (KEMS as readonly string[]).includes(kem))) {
    throw new InvalidArgument(`'sealing_keys' has no key of a kind that this server knows: ${KEMS.join(', ')}`);
  }
  return keys as SealingKey[];
}

/** Starts with the words that PanDA's pilots look for. */
function noJobs(withheld: number, queue: string): string {
  const none = 'No jobs in PanDA';
  if (withheld === 0) return none;
  return (
    `${none} for this pilot: ${withheld} waiting need secrets, and queue "${queue}" does not give secrets over TLS alone ` +
    'to a pilot that offers no key'
  );
}
