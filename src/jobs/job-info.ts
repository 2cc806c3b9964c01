import type { OwnerId } from '../protocol/ids.ts';
import type { JobState } from '../protocol/states.ts';
import { readJobs } from '../store/jobs.ts';
import type { Store } from '../store/store.ts';
import { getTask } from './task-info.ts';

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

export async function jobsOfTask(store: Store, owner: OwnerId, taskId: number): Promise<JobInfo[]> {
  await getTask(store, owner, taskId);
  return (await readJobs(store.db, { owner, taskId })).map(toJobInfo);
}

export async function getJobs(store: Store, owner: OwnerId, ids: readonly number[]): Promise<JobInfo[]> {
  return ids.length === 0 ? [] : (await readJobs(store.db, { owner, ids })).map(toJobInfo);
}

export async function getJobsOfPilot(store: Store, pilotId: string, ids: readonly number[]): Promise<JobInfo[]> {
  return ids.length === 0 ? [] : (await readJobs(store.db, { pilotId, ids })).map(toJobInfo);
}

function toJobInfo(row: Awaited<ReturnType<typeof readJobs>>[number]): JobInfo {
  return {
    jobId: row.id,
    taskId: row.task_id,
    serial: row.serial,
    state: row.state as JobState,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    killRequested: row.kill_requested === 1,
    queue: row.queue ?? row.wanted_queue,
    node: row.node ?? undefined,
    exitCode: row.exit_code ?? undefined,
    errorCode: row.error_code ?? undefined,
    diagnosis: row.diagnosis ?? '',
    createdAt: row.created_at,
    modifiedAt: row.modified_at,
    startedAt: row.started_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
  };
}
