import type { JobLogPart, KeptLog } from '../protocol/calls/job-log.ts';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { LIVE_LOG_KEPT_SECONDS, MAX_LIVE_LOG_ANSWER_BYTES, MAX_LIVE_LOG_BYTES } from '../protocol/limits.ts';
import { isEndedJob } from '../protocol/states.ts';
import { readLogOfAttempt } from '../store/job-files.ts';
import type { LiveLogOf, LiveLogs } from '../store/live-logs.ts';
import type { JobsContext } from './context.ts';
import { checkUpload } from './files.ts';
import { getJobs } from './job-info.ts';
import { createLogReaders } from './log-readers.ts';

/**
 * The logs of running attempts, for their owners to follow. Each is kept as far as it has arrived until the whole log has come
 * among the attempt's files, of which it is the beginning; that of a pilot that was lost stays for `LIVE_LOG_KEPT_SECONDS`.
 */
export interface JobLogs {
  /**
   * Adds a part, as far as it is not there yet. A part with a gap before it is not taken: the answer says where to go on.
   *
   * @throws {NotFound} @throws {Conflict} when the attempt is not this pilot's, or has ended
   */
  append(
    pilotId: string,
    attempt: { jobId: number; attempt: number },
    part: { offset: number; bytes: Buffer; signature?: string | undefined },
  ): Promise<KeptLog>;
  /**
   * The bytes from `offset` on, of the attempt that runs, or ran last, unless told otherwise. Where there are none of one that runs, it waits
   * for them, `waitSeconds` at most and fewer where it chooses.
   *
   * @returns the milliseconds that it waited, too
   * @throws {NotFound}
   */
  read(
    owner: OwnerId,
    jobId: number,
    from: { attempt?: number | undefined; offset: number; waitSeconds?: number | undefined },
  ): Promise<{ part: JobLogPart; waited: number }>;
  /** The whole log has come. */
  replaced(attempt: { jobId: number; attempt: number }): Promise<void>;
  /** Removes the logs that lost pilots left. @returns their number */
  removeOld(): Promise<number>;
  /** Answers all who wait, and has nobody wait from now on. */
  close(): void;
}

export function createJobLogs({
  store,
  clock,
  liveLogs,
}: Pick<JobsContext, 'store' | 'clock'> & { liveLogs: LiveLogs }): JobLogs {
  const readers = createLogReaders();

  async function look(log: LiveLogOf, offset: number): Promise<JobLogPart> {
    // The part first: a whole log that arrives in between takes its place, and is named below.
    const { bytes, next, parts, more } = await liveLogs.read(log, offset, MAX_LIVE_LOG_ANSWER_BYTES);
    const whole = await readLogOfAttempt(store.db, log.jobId, log.attempt);
    return {
      ...partOf(log, offset, bytes),
      ...(parts && { next, parts }),
      more,
      log_file: whole?.name ?? null,
      ...(whole?.signature && { log_signature: whole.signature }),
    };
  }

  return {
    async append(pilotId, log, part) {
      await checkUpload(store, pilotId, log);
      // A part that was late must not begin the log anew.
      if (await readLogOfAttempt(store.db, log.jobId, log.attempt)) return { size: part.offset, full: true };
      const kept = await liveLogs.append(log, { ...part, maxBytes: MAX_LIVE_LOG_BYTES });
      readers.tell(log, { ...part, isSigned: part.signature !== undefined, size: kept.size });
      return kept;
    },

    async read(owner, jobId, { attempt: wanted, offset, waitSeconds = 0 }) {
      const [job] = await getJobs(store, owner, [jobId]);
      if (!job) throw new NotFound(`you have no job ${jobId}`);
      const log = { jobId, attempt: wanted ?? job.attempt };
      const mayGrow = waitSeconds > 0 && log.attempt === job.attempt && !isEndedJob(job.state);
      // Before the look, behind which a part may come.
      const waiting = mayGrow ? readers.wait(owner, log, offset, waitSeconds) : undefined;
      if (!waiting) return { part: await look(log, offset), waited: 0 };
      try {
        if (!readers.isRead(log, offset)) {
          const part = await look(log, offset);
          if ((part.next ?? offset + part.content.length) > offset || part.log_file !== null)
            return { part, waited: 0 };
        }
        const since = performance.now();
        const news = await waiting.news;
        const waited = performance.now() - since;
        if (!news?.bytes) return { part: await look(log, offset), waited };
        return { part: { ...partOf(log, offset, news.bytes), more: false, log_file: null }, waited };
      } finally {
        waiting.stop();
      }
    },

    async replaced(attempt) {
      await liveLogs.remove([attempt]);
      readers.end(attempt);
    },

    removeOld: () => liveLogs.removeOlder(clock() - LIVE_LOG_KEPT_SECONDS * 1000),

    close: () => readers.close(),
  };
}

function partOf({ jobId, attempt }: LiveLogOf, offset: number, bytes: Buffer) {
  return { job_id: jobId, attempt, offset, content: bytes.toString('base64') };
}
