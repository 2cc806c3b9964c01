import type { JobInfo } from '../jobs/jobs.ts';
import type { JobDescription } from '../protocol/calls/job.ts';
import { pandaTime } from '../protocol/panda-time.ts';

/** A job as PanDA's `job/get_description` tells it, in its names, for the fields that this system has. */
export function toJobDescription(job: JobInfo): JobDescription {
  return {
    PandaID: job.jobId,
    jediTaskID: job.taskId,
    taskID: job.taskId,
    reqID: job.taskId,
    jobsetID: job.serial,
    jobStatus: job.state,
    attemptNr: job.attempt,
    maxAttempt: job.maxAttempts,
    computingSite: job.queue,
    modificationHost: job.node ?? null,
    transExitCode: job.exitCode ?? null,
    pilotErrorCode: job.errorCode ?? null,
    pilotErrorDiag: job.diagnosis || null,
    creationTime: pandaTime(job.createdAt),
    modificationTime: pandaTime(job.modifiedAt),
    startTime: job.startedAt === undefined ? null : pandaTime(job.startedAt),
    endTime: job.endedAt === undefined ? null : pandaTime(job.endedAt),
    Files: [],
  };
}
