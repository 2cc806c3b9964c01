import { Type } from 'typebox';
import { MAX_ASKED_JOBS } from '../limits.ts';
import { BYTES, call, type Data, Id, Nothing, orNull } from './call.ts';

const JobId = Type.Integer({ ...Id, description: 'the id of a job, `PandaID`', examples: [1] });
const JobIds = Type.Array(Id, {
  minItems: 1,
  maxItems: MAX_ASKED_JOBS,
  description: 'ids of jobs, `PandaID`',
  examples: [[1, 2]],
});
const TaskId = Type.Integer({ ...Id, description: 'the id of a task, `jediTaskID`', examples: [10000000] });
const Attempt = Type.Integer({ ...Id, description: 'the attempt of the job, from 1', examples: [1] });
const Timeout = Type.Optional(Type.Integer({ description: 'taken as PanDA has it, without effect' }));
const Time = Type.String({ description: 'UTC, YYYY-MM-DD HH:MM:SS', examples: ['2026-11-20 16:40:11'] });

export const getJobStatus = call({
  path: 'job/get_status',
  http: 'GET',
  panda: true,
  summary: 'The states of jobs, in the order that they were asked for.',
  parameters: Type.Object({ job_ids: JobIds, timeout: Timeout }),
  answer: Type.Array(
    Type.Object({
      status: Type.String({ description: 'unknown for a job that is not one of the caller' }),
      command: orNull(Type.String(), { description: 'tobekilled when it is to stop' }),
    }),
  ),
});

/** A job in PanDA's names. */
export type JobDescription = Data<typeof JobDescription>;
const JobDescription = Type.Object({
  PandaID: JobId,
  jediTaskID: TaskId,
  taskID: TaskId,
  reqID: TaskId,
  jobsetID: Type.Integer({ description: "the job's number within its task, from 1" }),
  jobStatus: Type.String({ description: 'the state', examples: ['finished'] }),
  attemptNr: Type.Integer({ description: 'the attempt that runs, or ran last; 0 before the first' }),
  maxAttempt: Type.Integer({ description: 'how many attempts it may have' }),
  computingSite: orNull(Type.String(), { description: 'the queue' }),
  modificationHost: orNull(Type.String(), { description: 'the node' }),
  transExitCode: orNull(Type.Integer(), { description: "the payload's exit status" }),
  pilotErrorCode: orNull(Type.Integer()),
  pilotErrorDiag: orNull(Type.String(), { description: 'the reason why the attempt failed' }),
  creationTime: Time,
  modificationTime: Time,
  startTime: orNull(Time, { description: 'the start of the payload' }),
  endTime: orNull(Time),
  Files: Type.Array(Type.Unknown(), { description: 'always empty: job/get_files lists them' }),
});

export const getJobDescription = call({
  path: 'job/get_description',
  http: 'GET',
  panda: true,
  summary: 'Describes jobs, in the order that they were asked for.',
  parameters: Type.Object({ job_ids: JobIds, timeout: Timeout }),
  answer: Type.Array(orNull(JobDescription, { description: 'null for a job that is not one of the caller' })),
});

export const setDebugMode = call({
  path: 'job/set_debug_mode',
  http: 'POST',
  panda: true,
  summary: 'Accepted and without effect: the output of a running job is always visible to its owner.',
  parameters: Type.Object({ job_id: JobId, mode: Type.Boolean({ description: 'on or off' }) }),
  answer: Nothing,
});

/** A log or output that a job brought back. */
export type ListedJobFile = Data<typeof ListedJobFile>;
const ListedJobFile = Type.Object({
  job_id: JobId,
  serial: Type.Integer({ description: "the job's number within its task, from 1" }),
  attempt: Attempt,
  name: Type.String({ description: 'its name', examples: ['user.alice.first.000001.out.txt'] }),
  kind: Type.Enum(['log', 'output']),
  size: Type.Integer({ description: 'bytes' }),
  signature: Type.Optional(
    Type.String({ description: "extension, of a job with a grant: its node's word for the bytes, payload.signature" }),
  ),
  location: Type.Optional(
    Type.String({
      description: 'where it is, when it is not kept here: a pilot of PanDA puts its files where its site wants them',
    }),
  ),
});

export const getJobFiles = call({
  path: 'job/get_files',
  http: 'GET',
  panda: false,
  summary:
    "Logs and outputs that a task's jobs brought back, of each job's last attempt, in the order of serial and name.",
  parameters: Type.Object({ task_id: TaskId }),
  answer: Type.Array(ListedJobFile),
});

export const getJobFile = call({
  path: 'job/get_file',
  http: 'GET',
  panda: false,
  summary: 'The content of one log or output.',
  parameters: Type.Object({
    job_id: JobId,
    attempt: Attempt,
    name: Type.String({ description: 'as `get_files` tells it', examples: ['user.alice.first.000001.out.txt'] }),
  }),
  answer: BYTES,
});
