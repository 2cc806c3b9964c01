import type { Readable } from 'node:stream';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_UPLOAD_BYTES } from '../protocol/limits.ts';
import type { Blobs } from '../store/blobs.ts';
import type { JobsContext } from './context.ts';
import { withRoom } from './file-room.ts';
import type { JobFile } from './files.ts';
import type { JobLogs } from './job-logs.ts';
import type { Jobs } from './jobs.ts';

/** The content of what attempts bring back. */
export interface JobFiles {
  /**
   * Keeps a log or output of the pilot's attempt, at most `MAX_UPLOAD_BYTES`; durable when it answers. A log takes the place
   * of what was shown of it while the job ran.
   *
   * @param size how many bytes it has, where that is known
   * @throws {NotFound} @throws {Conflict} when the attempt is not, or no longer, this pilot's
   * @throws {InvalidArgument} when the job has no file of that kind and name
   * @throws {QuotaExceeded} as `withRoom`. Each before the bytes are taken
   */
  keep(
    pilotId: string,
    file: Pick<JobFile, 'jobId' | 'attempt' | 'kind' | 'name'> & { signature?: string | undefined },
    content: Readable,
    size?: number,
  ): Promise<void>;
  /** @throws {NotFound} when there is no such file, or its pilot put it elsewhere: the message says where */
  open(owner: OwnerId, file: Pick<JobFile, 'jobId' | 'attempt' | 'name'>): Promise<{ size: number; stream: Readable }>;
}

export function createJobFiles({
  jobs,
  blobs,
  jobLogs,
  ...room
}: { jobs: Jobs; blobs: Blobs; jobLogs: JobLogs } & Pick<JobsContext, 'store' | 'clock' | 'maxFileBytes'>): JobFiles {
  return {
    async keep(pilotId, file, content, size = MAX_UPLOAD_BYTES) {
      const owner = await jobs.checkUpload(pilotId, file);
      const maxBytes = Math.min(size, MAX_UPLOAD_BYTES);
      await withRoom(room, owner, maxBytes, async (kept) => {
        const blob = await blobs.put(content, { maxBytes });
        kept(blob.size);
        await jobs.addFile(pilotId, { ...file, ...blob });
      });
      if (file.kind === 'log') await jobLogs.replaced(file);
    },

    async open(owner, { jobId, attempt, name }) {
      const { sha256, location } = await jobs.findFile(owner, jobId, attempt, name);
      if (sha256 === null) throw new NotFound(`${name} is not kept here: the job's pilot put it at ${location}`);
      return blobs.get(sha256);
    },
  };
}
