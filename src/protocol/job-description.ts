import { pandaTime } from './panda-job.ts';
import type { JobState } from './states.ts';

/** A job for its owner, with its attempt that runs, or ran last. Times are milliseconds since 1970 UTC. */
export interface JobInfo {
  jobId: number;
  taskId: number;
  /** From 1 within its task. */
  serial: number;
  state: JobState;
  /** 0 before the first. */
  attempt: number;
  maxAttempts: number;
  killRequested: boolean;
  /** Where the attempt is, or was; before the first, the queue that it is for, or null for any. */
  queue: string | null;
  node: string | undefined;
  exitCode: number | undefined;
  errorCode: number | undefined;
  /** Why the attempt failed. */
  diagnosis: string;
  createdAt: number;
  modifiedAt: number;
  /** When the payload started. */
  startedAt: number | undefined;
  endedAt: number | undefined;
}

/** What PanDA's `job/get_description` tells of a job, in its names, for the fields that this system has. */
export function toJobDescription(job: JobInfo): Record<string, unknown> {
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
