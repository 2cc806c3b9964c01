import { Type } from 'typebox';
import {
  LAUNCHED_JOIN_TOKEN_SECONDS,
  MAX_BATCH_ID_CHARS,
  MAX_COUNTED_JOBS,
  MAX_DIAGNOSIS_CHARS,
  MAX_KINDS_SHOWN,
  MAX_LAUNCHED_JOIN_TOKEN_SECONDS,
} from '../limits.ts';
import { QUEUE_STATES } from '../states.ts';
import { call } from './call.ts';

/** The calls of a launcher: a program that starts pilots of its queues in a batch system. Of other queues it learns nothing. */

const Queue = Type.String({ description: "the name of a queue of the launcher's", examples: ['SITE_A'] });
const BatchId = Type.String({
  pattern: `^[\\w.:@/+-]{1,${MAX_BATCH_ID_CHARS}}$`,
  description: 'the id of a batch job, as the batch system has it; each has one pilot at a time',
  examples: ['4711'],
});
const TokenId = Type.String({
  pattern: '^join-[0-9a-f]{16}$',
  description: 'the part of a join token that names it',
  examples: ['join-0123456789abcdef'],
});

export const getLoad = call({
  path: 'launcher/get_load',
  http: 'GET',
  panda: false,
  summary: 'How much waits for pilots of a queue, and what they need: a launcher decides by it.',
  parameters: Type.Object({ queue: Queue }),
  answer: Type.Object({
    state: Type.Enum([...QUEUE_STATES], { description: 'a paused queue gives out no job' }),
    waiting: Type.Integer({
      description: `jobs that a pilot of the queue would be given, counted up to ${MAX_COUNTED_JOBS}`,
    }),
    needs: Type.Array(
      Type.Object({
        cores: Type.Integer({ description: 'cores of each job' }),
        memory_mb: Type.Integer({ description: 'MB of each job, 0 where none was asked for' }),
        walltime_seconds: Type.Integer({
          description: 'the longest that each may run, 0 where no limit was asked for',
        }),
        jobs: Type.Integer({ description: 'how many of those that wait' }),
      }),
      { description: `the needs of those, the most frequent first, at most ${MAX_KINDS_SHOWN} kinds` },
    ),
    running: Type.Integer({ description: 'attempts that pilots of the queue have now' }),
    pilots: Type.Integer({ description: 'pilots that joined the queue and are active' }),
  }),
});

export const createJoinToken = call({
  path: 'launcher/create_join_token',
  http: 'POST',
  panda: false,
  summary:
    'A token with which the pilot of one batch job joins a queue, once. Earlier ones of the same batch job that were not used are void. It is ' +
    'refused while a pilot of that batch job is active.',
  parameters: Type.Object({
    queue: Queue,
    batch_id: BatchId,
    ttl_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LAUNCHED_JOIN_TOKEN_SECONDS,
        description: `how long it is good; ${LAUNCHED_JOIN_TOKEN_SECONDS} without it`,
      }),
    ),
  }),
  answer: Type.Object({
    token: Type.String({ description: 'for `panda-pilot --token-file`' }),
    token_id: TokenId,
    expires_at: Type.String({ description: 'ISO 8601, UTC', examples: ['2026-11-20T16:40:11.000Z'] }),
  }),
});

export const withdrawJoinToken = call({
  path: 'launcher/withdraw_join_token',
  http: 'POST',
  panda: false,
  summary: 'Takes back a join token that no pilot has used.',
  parameters: Type.Object({ queue: Queue, token_id: TokenId }),
  answer: Type.Object({
    withdrawn: Type.Boolean({ description: 'false when a pilot has joined with it, or it is there no more' }),
  }),
});

export const reportEnd = call({
  path: 'launcher/report_end',
  http: 'POST',
  panda: false,
  summary:
    'Tells that a batch job has ended: its join token is void, the session of its pilot ends, and the jobs that this had are run again ' +
    'elsewhere, or fail, at once. Their owners read the reason. It may be repeated.',
  parameters: Type.Object({
    queue: Queue,
    batch_id: BatchId,
    reason: Type.String({
      minLength: 1,
      maxLength: MAX_DIAGNOSIS_CHARS / 2,
      description: 'why it ended, for the owners of its jobs: no addresses, no names of other users',
      examples: ['time limit reached'],
    }),
  }),
  answer: Type.Object({
    pilots: Type.Integer({ description: 'pilots that joined from it' }),
    jobs: Type.Integer({ description: 'jobs that these had, and that were taken from them now' }),
  }),
});

export const listBatchJobs = call({
  path: 'launcher/list_batch_jobs',
  http: 'GET',
  panda: false,
  summary: 'The batch jobs of the launcher that a pilot is in, or may join from: of which it has told no end.',
  parameters: Type.Object({ queue: Queue }),
  answer: Type.Array(
    Type.Object({
      batch_id: BatchId,
      joined: Type.Boolean({ description: 'false while a join token waits for the pilot' }),
    }),
  ),
});

/** The calls by the names of the functions that do what they say, at the server and in a client. */
export const LAUNCHER_CALLS = { getLoad, createJoinToken, withdrawJoinToken, reportEnd, listBatchJobs } as const;
