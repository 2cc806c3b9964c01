import type { FastifyInstance } from 'fastify';
import { callerId } from '../../identity/caller.ts';
import type { JobLogs } from '../../jobs/job-logs.ts';
import { appendJobLog, getJobLog } from '../../protocol/calls/job-log.ts';
import { succeeded } from '../../protocol/envelope.ts';
import { MAX_LIVE_LOG_PART_BYTES } from '../../protocol/limits.ts';
import { callerOf, ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** A pilot adds to the log of a job that runs. */
export async function pilotJobLogRoutes(pilots: FastifyInstance, { jobLogs }: { jobLogs: JobLogs }): Promise<void> {
  await pilots.register(async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_LIVE_LOG_PART_BYTES }, (_request, body, done) =>
      done(null, body),
    );
    route(app, appendJobLog, async ({ job_id: jobId, attempt_nr: attempt, offset, signature }, request) => {
      const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const part = { offset, bytes, signature };
      return succeeded(await jobLogs.append(callerId(callerOf(request)), { jobId, attempt }, part), 'OK');
    });
  });
}

/** Its owner reads it. */
export function jobLogRoutes(app: FastifyInstance, { jobLogs }: { jobLogs: JobLogs }): void {
  route(app, getJobLog, async ({ job_id: jobId, attempt, offset = 0, wait_seconds: waitSeconds }, request) => {
    const { part, waited } = await jobLogs.read(ownerOf(request), jobId, { attempt, offset, waitSeconds });
    request.waited = waited;
    return succeeded(part);
  });
}
