import type { JobLogPart, KeptLog } from '../protocol/calls/job-log.ts';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { LIVE_LOG_KEPT_SECONDS, MAX_LIVE_LOG_ANSWER_BYTES, MAX_LIVE_LOG_BYTES } from '../protocol/limits.ts';
import { readLogOfAttempt } from '../store/job-files.ts';
import type { LiveLogs } from '../store/live-logs.ts';
import type { JobsContext } from './context.ts';
import { checkUpload } from './files.ts';
import { getJobs } from './job-info.ts';

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
    part: { offset: number; bytes: Uint8Array; signature?: string | undefined },
  ): Promise<KeptLog>;
  /** The bytes from `offset` on, of the attempt that runs, or ran last, unless told otherwise. @throws {NotFound} */
  read(owner: OwnerId, jobId: number, from: { attempt?: number | undefined; offset: number }): Promise<JobLogPart>;
  /** The whole log has come. */
  replaced(attempt: { jobId: number; attempt: number }): Promise<void>;
  /** Removes the logs that lost pilots left. @returns their number */
  removeOld(): Promise<number>;
}

export function createJobLogs({
  store,
  clock,
  liveLogs,
}: Pick<JobsContext, 'store' | 'clock'> & { liveLogs: LiveLogs }): JobLogs {
  return {
    async append(pilotId, attempt, part) {
      await checkUpload(store, pilotId, attempt);
      // A part that was late must not begin the log anew.
      if (await readLogOfAttempt(store.db, attempt.jobId, attempt.attempt)) return { size: part.offset, full: true };
      return await liveLogs.append(attempt, { ...part, maxBytes: MAX_LIVE_LOG_BYTES });
    },

    async read(owner, jobId, { attempt: wanted, offset }) {
      const [job] = await getJobs(store, owner, [jobId]);
      if (!job) throw new NotFound(`you have no job ${jobId}`);
      const attempt = wanted ?? job.attempt;
      // The part first: a whole log that arrives in between takes its place, and is named below.
      const { bytes, next, parts } = await liveLogs.read({ jobId, attempt }, offset, MAX_LIVE_LOG_ANSWER_BYTES);
      const whole = await readLogOfAttempt(store.db, jobId, attempt);
      return {
        job_id: jobId,
        attempt,
        offset,
        content: bytes.toString('base64'),
        ...(parts && { next, parts }),
        log_file: whole?.name ?? null,
        ...(whole?.signature && { log_signature: whole.signature }),
      };
    },

    replaced: (attempt) => liveLogs.remove([attempt]),

    removeOld: () => liveLogs.removeOlder(clock() - LIVE_LOG_KEPT_SECONDS * 1000),
  };
}
