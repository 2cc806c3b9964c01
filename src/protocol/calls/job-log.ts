import { Type } from 'typebox';
import { call, Id, MAX_WHOLE } from './call.ts';

const Offset = Type.Integer({ minimum: 0, maximum: MAX_WHOLE, description: 'bytes from the start of the log' });

/** The body is bytes of the log (`application/octet-stream`), at most `MAX_LIVE_LOG_PART_BYTES`. */
export const appendJobLog = call({
  path: 'pilot/append_job_log',
  http: 'POST',
  panda: false,
  summary:
    "Adds to the log of the pilot's running attempt (body: the bytes from `offset` on; arguments: query string). What is there " +
    'already is not added again; the answer says how much there is.',
  parameters: Type.Object({ job_id: Id, attempt_nr: Id, offset: Offset }),
});

/** `data` of `append_job_log`. */
export interface KeptLog {
  /** How many bytes of the log the server has: where the next part begins. */
  size: number;
  /** The server takes no more of it: it is as long as a log of a running job may be, or its final form has arrived. */
  full: boolean;
}

export const getJobLog = call({
  path: 'job/get_log',
  http: 'GET',
  panda: false,
  summary:
    'What there is of the log of a running attempt, from a byte on; and the name of the whole log once it has come.',
  parameters: Type.Object({
    job_id: Id,
    attempt: Type.Optional(Type.Integer({ ...Id, description: 'the one that runs, or ran last, when left out' })),
    offset: Type.Optional(Offset),
  }),
});

/** `data` of `get_log`. */
export interface JobLogPart {
  job_id: number;
  attempt: number;
  offset: number;
  /** Base64 of at most `MAX_LIVE_LOG_ANSWER_BYTES`; empty when there is nothing more so far. */
  content: string;
  /** The file that `job/get_file` answers the whole log from: it begins with the bytes that were given here. */
  log_file: string | null;
}
