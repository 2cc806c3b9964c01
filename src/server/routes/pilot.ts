import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Delivery } from '../../delivery/delivery.ts';
import { callerId } from '../../identity/caller.ts';
import type { JobFiles } from '../../jobs/file-contents.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { toPilotJob } from '../../panda/pilot-job.ts';
import type { Arguments } from '../../protocol/calls/call.ts';
import * as calls from '../../protocol/calls/pilot.ts';
import { refused, succeeded } from '../../protocol/envelope.ts';
import { InvalidArgument } from '../../protocol/errors.ts';
import type { SealingKey } from '../../protocol/sealed.ts';
import { callerOf } from '../plugins/authentication.ts';
import { streamBodies } from '../plugins/body.ts';
import { route } from '../route.ts';
import { takeReport } from '../take-report.ts';

/** The rooms behind a pilot's calls, ours or PanDA's. */
export interface PilotRooms {
  jobs: Jobs;
  delivery: Delivery;
}

/** The calls of a pilot. It serves the queues that its token names, and touches only attempts that it holds. */
export async function pilotRoutes(
  app: FastifyInstance,
  { jobs, delivery, jobFiles }: PilotRooms & { jobFiles: JobFiles },
): Promise<void> {
  route(app, calls.acquireJobs, async (args, request) => {
    const caller = callerOf(request);
    // A kind that this server does not know is passed over.
    const keys = (args.sealing_keys ?? []) as SealingKey[];
    const answer = await delivery.giveJobs(
      { pilotId: callerId(caller), queues: caller.queues, tokenMadeAt: caller.issuedAt },
      {
        queue: args.site_name,
        node: args.node ?? '',
        count: args.n_jobs ?? 1,
        taskId: args.task_id ?? undefined,
        offer: keys.length > 0 ? { keys, proven: caller.proven === true } : undefined,
        sealed: args.sealed === true,
        room: roomOf(args),
      },
    );
    if ('none' in answer) return refused(answer.none);
    return succeeded({ StatusCode: 0, jobs: answer.jobs.map(({ job, secrets }) => toPilotJob(job, secrets)) });
  });

  route(app, calls.updateJob, async (args, request) => {
    const { command, reason } = await takeReport(jobs, callerOf(request), {
      jobId: args.job_id,
      attempt: given(args.attempt_nr, 'attempt_nr'),
      state: given(args.job_status, 'job_status'),
      node: args.node ?? undefined,
      givenBack: args.given_back === true,
      exitCode: args.trans_exit_code ?? undefined,
      errorCode: args.pilot_error_code || args.exe_error_code || undefined,
      diagnosis: args.pilot_error_diag || args.exe_error_diag || undefined,
    });
    return succeeded({ StatusCode: 0, command } satisfies calls.JobCommand, reason);
  });

  route(app, calls.getPilotJobStatus, async ({ job_ids: jobIds }, request) => {
    const known = await jobs.getJobsOfPilot(callerId(callerOf(request)), jobIds);
    const found = new Map(known.map((job) => [job.jobId, job]));
    return succeeded(
      jobIds.map((jobId): calls.PilotJobStatus => {
        const job = found.get(jobId);
        if (!job) return { job_id: jobId, status: 'not found', attempt_number: 0 };
        const command = job.killRequested ? 'tobekilled' : 'NULL';
        return { job_id: jobId, status: job.state, attempt_number: job.attempt, command };
      }),
    );
  });

  await app.register(async (uploads) => {
    streamBodies(uploads);
    route(
      uploads,
      calls.uploadJobFile,
      async ({ job_id: jobId, attempt_nr: attempt, kind, name, signature }, request) => {
        const size = request.headers['content-length'];
        await jobFiles.keep(
          callerId(callerOf(request)),
          { jobId, attempt, kind, name, signature },
          request.body as Readable,
          size === undefined ? undefined : Number(size),
        );
        return succeeded(null, 'OK');
      },
    );
  });

  // A worker's words about itself and its node are not kept; a pilot must not fail on saying them.
  for (const call of [calls.updateWorkerStatus, calls.updateWorkerNode, calls.updateWorkerNodeGpu]) {
    route(app, call, async () => succeeded(null, 'OK'));
  }
}

/** PanDA's schema leaves it out at times; here a report says nothing without it. @throws {InvalidArgument} */
function given<T>(value: T | null | undefined, name: string): T {
  if (value === null || value === undefined) throw new InvalidArgument(`missing a required argument: '${name}'`);
  return value;
}

/** What a pilot has left; 0 and less say nothing, as PanDA's pilots mean it. */
function roomOf(args: Arguments<typeof calls.acquireJobs>) {
  const told = { seconds: args.remaining_time, megabytes: args.memory, cores: args.cores };
  const room = Object.entries(told).filter(([, most]) => most !== undefined && most !== null && most > 0);
  return room.length === 0 ? undefined : Object.fromEntries(room);
}
