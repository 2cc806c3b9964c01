import { Type } from 'typebox';
import { MAX_ASKED_JOBS } from '../limits.ts';
import { BYTES, call, type Data, Id, Nothing, orNull } from './call.ts';

const JobIds = Type.Array(Id, { minItems: 1, maxItems: MAX_ASKED_JOBS });
const Time = Type.String({ description: 'UTC, YYYY-MM-DD HH:MM:SS' });

export const getJobStatus = call({
  path: 'job/get_status',
  http: 'GET',
  panda: true,
  summary: 'The states of jobs, in the order that they were asked for.',
  parameters: Type.Object({ job_ids: JobIds, timeout: Type.Optional(Type.Integer()) }),
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
  PandaID: Id,
  jediTaskID: Id,
  taskID: Id,
  reqID: Id,
  jobsetID: Type.Integer({ description: "the job's number within its task, from 1" }),
  jobStatus: Type.String(),
  attemptNr: Type.Integer({ description: 'the attempt that runs, or ran last; 0 before the first' }),
  maxAttempt: Type.Integer(),
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
  parameters: Type.Object({ job_ids: JobIds, timeout: Type.Optional(Type.Integer()) }),
  answer: Type.Array(orNull(JobDescription, { description: 'null for a job that is not one of the caller' })),
});

export const setDebugMode = call({
  path: 'job/set_debug_mode',
  http: 'POST',
  panda: true,
  summary: 'Accepted and without effect: the output of a running job is always visible to its owner.',
  parameters: Type.Object({ job_id: Id, mode: Type.Boolean() }),
  answer: Nothing,
});

/** A log or output that a job brought back. */
export type ListedJobFile = Data<typeof ListedJobFile>;
const ListedJobFile = Type.Object({
  job_id: Id,
  serial: Type.Integer({ description: "the job's number within its task, from 1" }),
  attempt: Id,
  name: Type.String(),
  kind: Type.Enum(['log', 'output']),
  size: Type.Integer({ description: 'bytes' }),
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
  parameters: Type.Object({ task_id: Id }),
  answer: Type.Array(ListedJobFile),
});

export const getJobFile = call({
  path: 'job/get_file',
  http: 'GET',
  panda: false,
  summary: 'The content of one log or output.',
  parameters: Type.Object({
    job_id: Id,
    attempt: Id,
    name: Type.String(),
  }),
  answer: BYTES,
});
