import { Type } from 'typebox';
import { MAX_LIVE_LOG_PART_BYTES, MAX_SIGNED_CHARS } from '../limits.ts';
import { SIGNED_WORD } from '../sealed-value.ts';
import { call, type Data, Id, MAX_WHOLE, orNull } from './call.ts';

const Offset = Type.Integer({
  minimum: 0,
  maximum: MAX_WHOLE,
  description: 'where it begins: 0 at first, then as the answer before told',
  examples: [0],
});
const Signature = Type.String({
  pattern: SIGNED_WORD,
  maxLength: MAX_SIGNED_CHARS,
  description: "of a job with a grant: the node's word for the bytes of this part, payload.signature",
  examples: ['eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl'],
});
const JobId = Type.Integer({ ...Id, description: 'the id of a job, `PandaID`', examples: [1] });

/** The part of a running attempt's log that the server has. */
export type KeptLog = Data<typeof KeptLog>;
const KeptLog = Type.Object({
  size: Type.Integer({ description: 'what the server has: the next part begins there' }),
  full: Type.Boolean({
    description:
      'the server takes no more: the log is as long as that of a running job may be, or its final form has arrived',
  }),
});

/** The body is bytes of the log, at most `MAX_LIVE_LOG_PART_BYTES`. */
export const appendJobLog = call({
  path: 'pilot/append_job_log',
  http: 'POST',
  panda: false,
  summary:
    "Adds to the log of the pilot's running attempt (body: the bytes from `offset` on; arguments: query string). What is there " +
    'already is not added again; the answer says how much there is. A part with a signature is kept whole with it, or not at all.',
  parameters: Type.Object({
    job_id: JobId,
    attempt_nr: Type.Integer({ ...Id, description: 'the attempt that the pilot runs', examples: [1] }),
    offset: Offset,
    signature: Type.Optional(Signature),
  }),
  body: 'application/octet-stream',
  maxBodyBytes: MAX_LIVE_LOG_PART_BYTES,
  hasTime: true,
  answer: KeptLog,
});

/** Some bytes of the log of a running attempt. */
export type JobLogPart = Data<typeof JobLogPart>;
const JobLogPart = Type.Object({
  job_id: JobId,
  attempt: Type.Integer({ description: 'from 1; 0 before the first' }),
  offset: Offset,
  content: Type.String({
    description: 'base64 of at most `MAX_LIVE_LOG_ANSWER_BYTES`; empty when there is nothing more so far',
  }),
  next: Type.Optional(
    Type.Integer({
      description: 'of a job with a grant, whose parts have signatures between them: the `offset` of what follows',
    }),
  ),
  parts: Type.Optional(
    Type.Array(Type.Object({ size: Type.Integer({ description: 'bytes of it' }), signature: Signature }), {
      description:
        'of a job with a grant: the parts that `content` is made of, whole and in order, as its node signed them',
    }),
  ),
  more: Type.Optional(
    Type.Boolean({
      description:
        'the log had more than one answer holds; a server of an earlier release does not say so, and does not know `wait_seconds`',
    }),
  ),
  log_file: orNull(Type.String(), {
    description:
      'the file that job/get_file answers the whole log from: it begins with the bytes that were given here; null until it has come',
  }),
  log_signature: Type.Optional(
    Type.String({
      description: "of a job with a grant: its node's word for the bytes of `log_file`, payload.signature",
    }),
  ),
});

export const getJobLog = call({
  path: 'job/get_log',
  http: 'GET',
  panda: false,
  summary:
    'Answers the log of a running attempt from a byte on, as far as it has come; and the name of the whole log once it is there.',
  parameters: Type.Object({
    job_id: JobId,
    attempt: Type.Optional(Type.Integer({ ...Id, description: 'the one that runs, or ran last, when left out' })),
    offset: Type.Optional(Offset),
    wait_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_WHOLE,
        description:
          'how long the answer may wait for more, where there is none: it comes as soon as there is, or after fewer seconds without; no wait when left out',
        examples: [0],
      }),
    ),
  }),
  answer: JobLogPart,
});
