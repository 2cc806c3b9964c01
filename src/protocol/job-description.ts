import { pandaTime } from './panda-job.ts';

/** A job for its owner, with its attempt that runs, or ran last. Times are milliseconds since 1970 UTC. */
export interface DescribedJob {
  jobId: number;
  taskId: number;
  serial: number;
  state: string;
  attempt: number;
  maxAttempts: number;
  queue: string | null;
  node: string | undefined;
  exitCode: number | undefined;
  errorCode: number | undefined;
  diagnosis: string;
  createdAt: number;
  modifiedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
}

/** What PanDA's `job/get_description` tells of a job, in its names, for the fields that this system has. */
export function toJobDescription(job: DescribedJob): Record<string, unknown> {
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
