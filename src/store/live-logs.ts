import { constants } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFullDisk } from '../protocol/full-disk.ts';
import { filesApart, filesAtOnce, type OpenFiles } from './open-files.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';
import {
  MAX_SIGNED_HEAD_BYTES,
  MAX_SIGNED_PART_BYTES,
  recordOf,
  type SignedPart,
  signedPartAt,
} from './signed-parts.ts';

/** Which log is meant. */
export interface LiveLogOf {
  jobId: number;
  attempt: number;
}

/** A log whose parts are signed is kept apart from one whose parts are not. */
export const LIVE_LOG_KINDS = ['log', 'signed'] as const;
export type LiveLogKind = (typeof LIVE_LOG_KINDS)[number];

/** Some bytes of such a log. */
export interface LiveLogPiece {
  bytes: Buffer;
  /** The parts that `bytes` are, of a log whose parts are signed. */
  parts?: { size: number; signature: string }[];
  /** The offset of what follows. */
  next: number;
  /** `maxBytes` ended it, and not the log. */
  more: boolean;
}

/**
 * The logs of running attempts as far as they have arrived. Nothing is locked: a log has one pilot
 * that writes it, and what it writes twice is the same bytes at the same place. So the place may be shared by many servers.
 * A log that is lost with its machine does no harm: the pilot brings the whole one at the end.
 */
export interface LiveLogs {
  /**
   * Adds `bytes`, which belong at `offset`, as far as they are not there yet; nothing when there is a gap before them, or the
   * log has `maxBytes`. A part with a signature is added whole or not at all: `offset` is the size that was told before.
   *
   * @returns the size of the log now, signatures counted; `full` when it takes no more
   * @throws {NoSpace} while the disk is full
   */
  append(
    log: LiveLogOf,
    part: { offset: number; bytes: Uint8Array; signature?: string | undefined; maxBytes: number },
  ): Promise<{ size: number; full: boolean }>;
  /** At most `maxBytes` from `offset` on; none when there is no such log. */
  read(log: LiveLogOf, offset: number, maxBytes: number): Promise<LiveLogPiece>;
  remove(logs: readonly LiveLogOf[]): Promise<void>;
  /** Removes those that nobody has added to since `time`, in milliseconds; how many. */
  removeOlder(time: number): Promise<number>;
}

/**
 * Live logs in a folder (0700), made when need be: one growing file each.
 *
 * @param options.isLocal the folder is on a disk that the process waits for anyway, as for SQLite's: a part is a few small calls, which cost a tenth when they are not
 * made by another thread
 */
export async function openLiveLogs(
  folder: string,
  reserve: Reserve = NO_RESERVE,
  { isLocal = false }: { isLocal?: boolean | undefined } = {},
): Promise<LiveLogs> {
  const files = isLocal ? filesAtOnce : filesApart;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = ({ jobId, attempt }: LiveLogOf, kind: LiveLogKind) => join(folder, `${jobId}.${attempt}.${kind}`);

  return {
    async append(log, { offset, bytes, signature, maxBytes }) {
      reserve.refuseGrowth();
      const path = pathOf(log, signature === undefined ? 'log' : 'signed');
      const file = await files.open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        if (signature !== undefined) return await appendSigned(files, file, offset, { bytes, signature }, maxBytes);
        const size = await files.size(file);
        if (offset > size) return { size, full: size >= maxBytes };
        const fresh = bytes.subarray(size - offset, Math.max(maxBytes - offset, 0));
        if (fresh.length === 0) return { size, full: size >= maxBytes };
        // The end of a disk takes a part without an error.
        const written = await files.write(file, fresh, size);
        return { size: size + written, full: size + written >= maxBytes };
      } catch (error) {
        if (isFullDisk(error)) reserve.giveUp();
        throw error;
      } finally {
        await files.close(file);
      }
    },

    async read(log, offset, maxBytes) {
      for (const kind of LIVE_LOG_KINDS) {
        const file = await openIfThere(files, pathOf(log, kind));
        if (file === undefined) continue;
        try {
          const most = kind === 'signed' ? maxBytes + MAX_SIGNED_HEAD_BYTES : maxBytes;
          return pieceOf(kind, await readAt(files, file, offset, most), { offset, most });
        } finally {
          await files.close(file);
        }
      }
      return { bytes: Buffer.alloc(0), next: offset, more: false };
    },

    async remove(logs) {
      for (const log of logs) for (const kind of LIVE_LOG_KINDS) await rm(pathOf(log, kind), { force: true });
    },

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

/** A record that a crash cut off is written again: it is the pilot's next part. */
async function appendSigned(
  files: OpenFiles,
  file: number,
  offset: number,
  part: SignedPart,
  maxBytes: number,
): Promise<{ size: number; full: boolean }> {
  const size = await files.size(file);
  if (offset > size) return { size, full: false };
  if (offset < size && signedPartAt(await readAt(files, file, offset, MAX_SIGNED_PART_BYTES), 0))
    return { size, full: false };
  const record = recordOf(part);
  if (offset + record.length > maxBytes) return { size: offset, full: true };
  await files.truncate(file, offset);
  const written = await files.write(file, record, offset);
  if (written === record.length) return { size: offset + record.length, full: false };
  // The end of a disk takes some of it without an error.
  await files.truncate(file, offset);
  return { size: offset, full: false };
}

/** The piece that was read, of at most `most` bytes from `offset` on. */
export function pieceOf(
  kind: LiveLogKind,
  bytes: Buffer,
  { offset, most }: { offset: number; most: number },
): LiveLogPiece {
  const more = bytes.length === most;
  return kind === 'signed' ? { ...wholeParts(bytes, offset), more } : { bytes, next: offset + bytes.length, more };
}

/** The signed parts that are whole in what was read from `offset` on. */
function wholeParts(bytes: Buffer, offset: number): Omit<LiveLogPiece, 'more'> {
  const found: SignedPart[] = [];
  let at = 0;
  for (;;) {
    const part = signedPartAt(bytes, at);
    if (!part) break;
    found.push(part);
    at = part.end;
  }
  return {
    bytes: Buffer.concat(found.map((part) => part.bytes)),
    parts: found.map((part) => ({ size: part.bytes.length, signature: part.signature })),
    next: offset + at,
  };
}

async function openIfThere(files: OpenFiles, path: string): Promise<number | undefined> {
  try {
    return await files.open(path, constants.O_RDONLY);
  } catch (error) {
    return missing(error as NodeJS.ErrnoException);
  }
}

async function readAt(files: OpenFiles, file: number, offset: number, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(maxBytes, Math.max((await files.size(file)) - offset, 0)));
  if (buffer.length === 0) return buffer;
  return buffer.subarray(0, await files.read(file, buffer, offset));
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
