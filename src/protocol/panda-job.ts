import type { PilotJob } from './calls/pilot.ts';
import type { ListedTask } from './calls/task.ts';
import type { OwnerId } from './ids.ts';
import type { SealedSecrets } from './sealed.ts';
import { isEndedTask, type TaskState } from './states.ts';

/** Jobs and tasks as they leave `jobs/`, and as PanDA's programs know them. */

/** A job that a pilot was given, with a lease. */
export interface LeasedJob {
  jobId: number;
  taskId: number;
  /** From 1. */
  attempt: number;
  ownerId: OwnerId;
  /** For show. */
  ownerName: string;
  /** The task's name without its `/`, and the job's id. */
  name: string;
  /** From 1 within its task. */
  serial: number;
  usesSecrets: boolean;
  /** The only secrets that it gets, or null for all of its owner's. */
  secretIds: readonly string[] | null;
  /** Address of the script that PanDA's own pilot runs the parameters with. */
  transformation: string;
  /** What to run: read it with `parseJobParameters`. */
  parameters: string;
  /** SHA-256, hex, of its sandbox, where this server keeps it. */
  sandboxSha256?: string | undefined;
  /** The file names under which outputs are brought back. */
  outputs: readonly string[];
  logName: string;
  /** 0 when there is no limit. */
  maxWalltimeSeconds: number;
  coreCount: number;
  /** MB, 0 when none was asked for. */
  memory: number;
  /** MB that its working directory may take, 0 for no limit. */
  disk: number;
  processingType: string;
  prodSourceLabel: string;
}

/** Where a server serves the script that runs a job's parameters for pilots other than ours, below its own address. */
export const TRANSFORMATION_PATH = '/trf/user/runPandaSecrets';

/** A JOB of PanDA: every field that its pilots read. Lists are text with commas; `NULL` is PanDA's word for not set. */
export interface PandaJob extends PilotJob {
  /** The outputs and, last, the log. */
  outFiles: string;
  [field: string]: unknown;
}

/** @param secrets the job's secrets, in the one form in which this pilot may have them */
export function toPilotJob(
  job: LeasedJob,
  secrets: { secrets?: string; sealedSecrets?: SealedSecrets; secretsLeftOut?: number } = {},
): PandaJob {
  const files = [...job.outputs, job.logName];
  const dataset = job.name.slice(0, job.name.lastIndexOf('.'));
  const scope = scopeOf(dataset);
  const repeated = (text: string, times: number) => Array(times).fill(text).join(',');
  return {
    PandaID: job.jobId,
    taskID: job.taskId,
    jobsetID: job.taskId,
    reqID: job.taskId,
    jobDefinitionID: 0,
    attemptNr: job.attempt,
    jobName: job.name,
    transformation: job.transformation,
    jobPars: job.parameters,
    ...(job.sandboxSha256 !== undefined && { sandboxSha256: job.sandboxSha256 }),
    prodSourceLabel: job.prodSourceLabel,
    prodUserID: job.ownerName,
    processingType: job.processingType,
    transferType: 'NULL',
    swRelease: 'NULL',
    homepackage: 'NULL',
    cmtConfig: 'NULL',
    nucleus: 'NULL',
    cloud: '',
    sourceSite: 'NULL',
    destinationSE: 'NULL',
    resource_type: job.coreCount > 1 ? 'MCORE' : 'SCORE',
    coreCount: job.coreCount,
    minRamCount: job.memory,
    maxDiskCount: job.disk,
    maxCpuCount: job.maxWalltimeSeconds * job.coreCount,
    maxWalltime: job.maxWalltimeSeconds,
    currentPriority: 1000,
    nSent: 0,
    inFiles: '',
    GUID: '',
    checksum: '',
    fsize: '',
    scopeIn: '',
    ddmEndPointIn: '',
    realDatasetsIn: '',
    dispatchDblock: '',
    dispatchDBlockToken: '',
    prodDBlocks: '',
    prodDBlockToken: '',
    outFiles: files.join(','),
    logFile: job.logName,
    logGUID: guidOf(job),
    scopeOut: repeated(scope, job.outputs.length),
    scopeLog: scope,
    ddmEndPointOut: repeated('', files.length),
    realDatasets: repeated(dataset, files.length),
    destinationDblock: repeated(dataset, files.length),
    destinationDBlockToken: repeated('', files.length),
    dispatchDBlockTokenForOut: repeated('NULL', files.length),
    fileDestinationSE: repeated('NULL', files.length),
    ...secrets,
  };
}

/** PanDA's scope of a dataset: `user.NAME` for a user's, in lower case, else its first part. */
function scopeOf(dataset: string): string {
  const parts = dataset.toLowerCase().split('.');
  return parts.slice(0, parts[0] === 'user' || parts[0] === 'group' ? 2 : 1).join('.');
}

/** A UUID (version 8, RFC 9562) of this attempt's log: the same for every answer about the attempt. */
function guidOf({ jobId, attempt }: LeasedJob): string {
  const job = jobId.toString(16).padStart(16, '0');
  return `${job.slice(0, 8)}-${job.slice(8, 12)}-8000-8000-${job.slice(12)}${attempt.toString(16).padStart(8, '0')}`;
}

/** A task, for its owner. Times are milliseconds since 1970 UTC. */
export interface TaskInfo {
  taskId: number;
  name: string;
  ownerName: string;
  state: TaskState;
  queue: string | null;
  usesSecrets: boolean;
  maxAttempts: number;
  /** Why it ended. */
  diagnosis: string;
  createdAt: number;
  modifiedAt: number;
  endedAt: number | undefined;
  jobs: JobCounts;
}

/** How many of a task's jobs are where. */
export interface JobCounts {
  total: number;
  /** Not acquired, or again after an attempt failed. */
  waiting: number;
  /** A pilot has them. */
  active: number;
  finished: number;
  failed: number;
  cancelled: number;
}

export function toListedTask(task: TaskInfo): ListedTask {
  const { total, finished, failed } = task.jobs;
  return {
    jediTaskID: task.taskId,
    reqID: task.taskId,
    taskName: task.name,
    userName: task.ownerName,
    creationDate: pandaTime(task.createdAt),
    modificationTime: pandaTime(task.modifiedAt),
    superStatus: superStatus(task.state),
    status: task.state,
    errorDialog: task.diagnosis,
    pctfinished: Math.floor((100 * finished) / total),
    pctfailed: Math.floor((100 * failed) / total),
    nfiles: total,
    nfilesfinished: finished,
    nfilesfailed: failed,
    site: task.queue,
  };
}

/** What PanDA's clients group states by: how it ended, `ready` or `running`. */
export function superStatus(state: TaskState): string {
  if (isEndedTask(state) || state === 'registered' || state === 'ready') return state;
  return 'running';
}

/** UTC as PanDA writes it, "YYYY-MM-DD HH:MM:SS". */
export function pandaTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ');
}
