import type { LeasedJob } from '../jobs/jobs.ts';
import type { ExpiringSecret, PilotJob, SealedSecrets } from '../protocol/calls/pilot.ts';

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
  secrets: {
    secrets?: string;
    sealedSecrets?: SealedSecrets;
    secretsMaskedWhole?: number[];
    secretsLeftOut?: number;
    secretsSealedLeftOut?: number;
    secretsExpired?: number;
    secretsExpiring?: ExpiringSecret[];
  } = {},
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
    transformation: job.sourceUrl + TRANSFORMATION_PATH,
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
    ...(job.grant && { grant: job.grant.word, serial: job.serial, grantAttempt: job.grant.attempt }),
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
