import type { FastifyInstance } from 'fastify';
import type { JobFiles } from '../../jobs/file-contents.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { toJobDescription } from '../../panda/job-description.ts';
import * as calls from '../../protocol/calls/job.ts';
import { succeeded } from '../../protocol/envelope.ts';
import { NotFound } from '../../protocol/errors.ts';
import { ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** PanDA's words for a job that it does not know. */
const UNKNOWN = { status: 'unknown', command: 'tobekilled' };

/** A user's jobs, and what they brought back. */
export function jobRoutes(app: FastifyInstance, { jobs, jobFiles }: { jobs: Jobs; jobFiles: JobFiles }): void {
  route(app, calls.getJobStatus, async ({ job_ids: jobIds }, request) => {
    const found = new Map((await jobs.getJobs(ownerOf(request), jobIds)).map((job) => [job.jobId, job]));
    return succeeded(
      jobIds.map((jobId) => {
        const job = found.get(jobId);
        return job ? { status: job.state, command: job.killRequested ? 'tobekilled' : null } : UNKNOWN;
      }),
    );
  });

  // The document of PanDA's API says GET, its client sends POST.
  for (const http of ['GET', 'POST'] as const) {
    route(app, { ...calls.getJobDescription, http }, async ({ job_ids: jobIds }, request) => {
      const found = new Map((await jobs.getJobs(ownerOf(request), jobIds)).map((job) => [job.jobId, job]));
      return succeeded(
        jobIds.map((jobId) => {
          const job = found.get(jobId);
          return job ? toJobDescription(job) : null;
        }),
      );
    });
  }

  route(app, calls.setDebugMode, async ({ job_id: jobId }, request) => {
    const found = await jobs.getJobs(ownerOf(request), [jobId]);
    if (found.length === 0) throw new NotFound(`you have no job ${jobId}`);
    return succeeded(null, 'without effect: the output of a running job is always visible to its owner');
  });

  route(app, calls.getJobFiles, async ({ task_id: taskId }, request) => {
    const files = await jobs.listFiles(ownerOf(request), taskId);
    const listed: calls.ListedJobFile[] = files.map(
      ({ jobId, serial, attempt, name, kind, size, location, signature }) => ({
        job_id: jobId,
        serial,
        attempt,
        name,
        kind,
        size,
        ...(location !== null && { location }),
        ...(signature !== null && { signature }),
      }),
    );
    return succeeded(listed);
  });

  route(app, calls.getJobFile, ({ job_id: jobId, attempt, name }, request) =>
    jobFiles.open(ownerOf(request), { jobId, attempt, name }),
  );
}
