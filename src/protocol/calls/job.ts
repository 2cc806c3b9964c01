import { Type } from 'typebox';
import { MAX_ASKED_JOBS } from '../limits.ts';
import { call, Id } from './call.ts';

const JobIds = Type.Array(Id, { minItems: 1, maxItems: MAX_ASKED_JOBS });

export const getJobStatus = call({
  path: 'job/get_status',
  http: 'GET',
  panda: true,
  summary: 'The states of jobs.',
  parameters: Type.Object({ job_ids: JobIds, timeout: Type.Optional(Type.Integer()) }),
});

export const getJobDescription = call({
  path: 'job/get_description',
  http: 'GET',
  panda: true,
  summary: 'What is known of jobs.',
  parameters: Type.Object({ job_ids: JobIds, timeout: Type.Optional(Type.Integer()) }),
});

export const setDebugMode = call({
  path: 'job/set_debug_mode',
  http: 'POST',
  panda: true,
  summary: 'Accepted and without effect: the output of a running job is always visible to its owner.',
  parameters: Type.Object({ job_id: Id, mode: Type.Boolean() }),
});

export const getJobFiles = call({
  path: 'job/get_files',
  http: 'GET',
  panda: false,
  summary: "Logs and outputs that a task's jobs brought back, of each job's last attempt.",
  parameters: Type.Object({ task_id: Id }),
});

/** One file in the answer of `get_files`, in the order of serial and name. */
export interface ListedJobFile {
  job_id: number;
  /** The job's number within its task, from 1. */
  serial: number;
  attempt: number;
  name: string;
  kind: 'log' | 'output';
  /** Bytes. */
  size: number;
  /** Where it is when it is not kept here: a pilot of PanDA's puts its files where its site wants them. */
  location?: string;
}

/** Answers the bytes themselves (`application/octet-stream`); an error is an envelope as everywhere. */
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
});
