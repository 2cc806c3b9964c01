import { constants } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFullDisk } from '../protocol/full-disk.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';

/** Which log is meant. */
export interface LiveLogOf {
  jobId: number;
  attempt: number;
}

/**
 * The logs of running attempts as far as they have arrived, one growing file each. Nothing is locked: a log has one pilot
 * that writes it, and what it writes twice is the same bytes at the same place. So the folder may be shared by many servers.
 * A log that is lost with its machine does no harm: the pilot brings the whole one at the end.
 */
export interface LiveLogs {
  /**
   * Adds `bytes`, which belong at `offset`, as far as they are not there yet; nothing when there is a gap before them, or the
   * log has `maxBytes`.
   *
   * @returns the number of bytes that there are now
   * @throws {NoSpace} while the disk is full
   */
  append(log: LiveLogOf, part: { offset: number; bytes: Uint8Array; maxBytes: number }): Promise<number>;
  /** At most `maxBytes` from `offset` on; none when there is no such log. */
  read(log: LiveLogOf, offset: number, maxBytes: number): Promise<Buffer>;
  remove(log: LiveLogOf): Promise<void>;
  /** Removes those that nobody has added to since `time`, in milliseconds; how many. */
  removeOlder(time: number): Promise<number>;
}

/** Live logs in a folder (0700), made when need be. */
export async function openLiveLogs(folder: string, reserve: Reserve = NO_RESERVE): Promise<LiveLogs> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = ({ jobId, attempt }: LiveLogOf) => join(folder, `${jobId}.${attempt}.log`);

  return {
    async append(log, { offset, bytes, maxBytes }) {
      reserve.refuseGrowth();
      const file = await open(pathOf(log), constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        const { size } = await file.stat();
        if (offset > size) return size;
        const fresh = bytes.subarray(size - offset, Math.max(maxBytes - offset, 0));
        if (fresh.length === 0) return size;
        // The end of a disk takes a part without an error.
        const { bytesWritten } = await file.write(fresh, 0, fresh.length, size);
        return size + bytesWritten;
      } catch (error) {
        if (isFullDisk(error)) reserve.giveUp();
        throw error;
      } finally {
        await file.close();
      }
    },

    async read(log, offset, maxBytes) {
      const file = await open(pathOf(log), 'r').catch(missing);
      if (!file) return Buffer.alloc(0);
      try {
        const buffer = Buffer.allocUnsafe(Math.min(maxBytes, Math.max((await file.stat()).size - offset, 0)));
        if (buffer.length === 0) return buffer;
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },

    remove: (log) => rm(pathOf(log), { force: true }),

    async removeOlder(time) {
      let removed = 0;
      for (const name of await readdir(folder)) {
        const path = join(folder, name);
        const { mtimeMs = time } = (await stat(path).catch(missing)) ?? {};
        if (mtimeMs >= time) continue;
        await rm(path, { force: true });
        removed += 1;
      }
      return removed;
    },
  };
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
