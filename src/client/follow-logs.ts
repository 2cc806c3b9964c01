import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Unavailable } from '../protocol/errors.ts';
import { FOLLOW_SECONDS, LIVE_LOG_WAIT_SECONDS } from '../protocol/limits.ts';
import { isEndedJob } from '../protocol/states.ts';
import type { Client } from './client.ts';
import { describeJobs } from './jobs.ts';
import { repeatUnanswered } from './repeat-unanswered.ts';
import { writeLog } from './results.ts';

/** A few more bytes of a job's log. */
export interface LogPiece {
  jobId: number;
  /** The job's number within its task, from 1, and how many there are. */
  serial: number;
  jobs: number;
  attempt: number;
  bytes: Uint8Array;
}

export interface FollowOptions {
  everySeconds?: number;
  /** Ends it. */
  signal?: AbortSignal | undefined;
  /** Told when the server does not answer, once each time. */
  onTrouble?: (error: Unavailable) => void;
}

/** The place up to which a job's log was read. */
interface Cursor {
  jobId: number;
  serial: number;
  attempt: number;
  /** The server's, of what follows. */
  offset: number;
  /** Bytes of the log that were read. */
  read: number;
  ended: boolean;
  /** The server knows how to wait for more. */
  mayWait?: boolean;
  /** The longest that it is asked to: less once an answer that waited was lost, as a proxy may give up sooner. */
  waitSeconds: number;
}

type Calls = Pick<Client, 'getJobIds' | 'getJobDescription' | 'getJobLog' | 'getJobFile'>;

/**
 * The logs of a task's jobs as they grow, until every job has ended: those of attempts that run as their pilots send them, the
 * rest of each when the whole log has come, and then those of the job's next attempt.
 *
 * @throws what the calls throw; `Unavailable` only after a while; an AbortError when it was ended
 */
export async function* followLogs(
  client: Calls,
  taskId: number,
  { everySeconds = FOLLOW_SECONDS, signal, onTrouble = () => {} }: FollowOptions = {},
): AsyncGenerator<LogPiece> {
  const ask = async <T>(call: () => Promise<T>) => {
    const answer = await unlessAborted(repeatUnanswered(call, { everySeconds, signal, onTrouble }), signal);
    signal?.throwIfAborted();
    return answer;
  };
  const ids = await ask(() => client.getJobIds(taskId));
  const cursors = ids.map(
    (jobId, place): Cursor => ({
      jobId,
      serial: place + 1,
      attempt: 1,
      offset: 0,
      read: 0,
      ended: false,
      waitSeconds: LIVE_LOG_WAIT_SECONDS,
    }),
  );
  for (;;) {
    const open = cursors.filter(({ ended }) => !ended);
    const described = await ask(() =>
      describeJobs(
        client,
        open.map(({ jobId }) => jobId),
      ),
    );
    const found = new Map(described.map((job) => [job.PandaID, job]));
    let since = performance.now();
    for (const cursor of open) {
      const { attemptNr = 0, jobStatus = 'cancelled' } = found.get(cursor.jobId) ?? {};
      cursor.ended = isEndedJob(jobStatus);
      // A job that was described as ended has brought its log: it is read to its end.
      for (; cursor.attempt <= attemptNr; cursor.attempt += 1, cursor.offset = 0, cursor.read = 0) {
        const isRunning = cursor.attempt === attemptNr && !cursor.ended;
        // Of a job that is alone the server answers when there is more: then nothing is asked in vain.
        const waits = isRunning && open.length === 1;
        since = yield* readOn(client, cursor, { jobs: ids.length, isRunning, waits }, ask);
        if (cursor.attempt === attemptNr) break;
      }
    }
    if (cursors.every(({ ended }) => ended)) return;
    const pause = everySeconds * Math.max(1, open.length / MANY_JOBS) * 1000;
    await delay(Math.max(0, pause - (performance.now() - since)), undefined, { signal });
  }
}

/** An answer may wait for seconds: who stops does not. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return answer;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** From this many jobs on, they are asked for the less often the more they are. */
const MANY_JOBS = 100;

/** Reads a log as far as it is there now. @returns when the last question was asked, by `performance.now()` */
async function* readOn(
  client: Calls,
  cursor: Cursor,
  { jobs, isRunning, waits }: { jobs: number; isRunning: boolean; waits: boolean },
  ask: <T>(call: () => Promise<T>) => Promise<T>,
): AsyncGenerator<LogPiece, number> {
  const { jobId, serial, attempt } = cursor;
  for (;;) {
    const since = performance.now();
    const waitSeconds = waits ? cursor.waitSeconds : 0;
    let wait = cursor.mayWait && waitSeconds > 0 && { wait_seconds: waitSeconds };
    const part = await ask(async () => {
      try {
        return await client.getJobLog({ job_id: jobId, attempt, offset: cursor.offset, ...wait });
      } catch (error) {
        if (wait) cursor.waitSeconds = Math.floor(waitSeconds / 2);
        wait = false;
        throw error;
      }
    });
    cursor.mayWait = part.more !== undefined;
    const isNew = part.next !== cursor.offset;
    if (isNew) {
      cursor.offset = part.next;
      cursor.read += part.content.length;
      yield { jobId, serial, jobs, attempt, bytes: part.content };
      // A server that says so has nothing more: of a job that runs, the rest is for the next time.
      if (part.more === false && part.log_file === null && isRunning && waitSeconds === 0) return since;
      continue;
    }
    if (part.log_file === null) return since;
    const file = { job_id: jobId, attempt, name: part.log_file };
    for await (const bytes of wholeLog(client, file, cursor.read)) {
      cursor.read += bytes.length;
      yield { jobId, serial, jobs, attempt, bytes };
    }
    return since;
  }
}

/** The bytes of a whole log, from one on. */
async function* wholeLog(
  client: Pick<Calls, 'getJobFile'>,
  file: { job_id: number; attempt: number; name: string },
  from: number,
): AsyncGenerator<Uint8Array> {
  const text = new PassThrough();
  writeLog(client, file, text).then(
    () => text.end(),
    (error) => text.destroy(error),
  );
  let left = from;
  for await (const chunk of text as AsyncIterable<Buffer>) {
    const bytes = chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
    if (bytes.length > 0) yield bytes;
  }
}
