import { NotFound } from '../../protocol/errors.ts';
import type { BlobCipher } from '../blob-cipher.ts';
import { LIVE_LOG_KINDS, type LiveLogKind, type LiveLogOf, type LiveLogs, pieceOf } from '../live-logs.ts';
import { MAX_SIGNED_HEAD_BYTES, MAX_SIGNED_PART_BYTES, recordOf, signedPartAt } from '../signed-parts.ts';
import type { Bucket } from './client.ts';

const LIVE = 'live/';

/** A segment is written anew as it grows, up to this size: between many objects and many bytes written again. */
const SEGMENT_BYTES = 64 * 1024;
/** From so many logs on, all are listed once instead of each one. */
const MANY = 20;

/** Some bytes of a log, one object; another one may begin before its end, and then has what belongs there. */
interface Segment {
  key: string;
  start: number;
  end: number;
}

/**
 * Live logs in a bucket, where nothing can be appended: each is a row of encrypted segments, `live/JOB.ATTEMPT/KIND/OFFSET`, of which the last one
 * is replaced while it is small. Any number of servers may take parts of a log: each looks what is there.
 */
export function openS3LiveLogs(bucket: Bucket, cipher: BlobCipher, ready: () => Promise<void>): LiveLogs {
  const folderOf = ({ jobId, attempt }: LiveLogOf) => `${LIVE}${jobId}.${attempt}/`;
  const keyOf = (log: LiveLogOf, kind: LiveLogKind, start: number) =>
    `${folderOf(log)}${kind}/${String(start).padStart(12, '0')}`;

  async function segmentsOf(log: LiveLogOf): Promise<Record<LiveLogKind, Segment[]>> {
    const found: Record<LiveLogKind, Segment[]> = { log: [], signed: [] };
    for await (const { key, size } of bucket.list(folderOf(log))) {
      const [, kind, start] = /\/(log|signed)\/(\d{12})$/.exec(key) ?? [];
      if (kind === undefined) continue;
      const segments = found[kind as LiveLogKind];
      const end = Number(start) + cipher.plainSize(size);
      // Behind a gap there is nothing.
      if (Number(start) === 0 || Number(start) <= endOf(segments)) segments.push({ key, start: Number(start), end });
    }
    return found;
  }

  async function readSegment(key: string): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of cipher.open(key, [await bucket.read(key)])) parts.push(part);
    return Buffer.concat(parts);
  }

  async function writeSegment(key: string, bytes: Uint8Array): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of cipher.seal(key, [bytes])) parts.push(part);
    await bucket.put(key, Buffer.concat(parts));
  }

  async function readBytes(segments: readonly Segment[], from: number, most: number): Promise<Buffer> {
    const wanted = segments.flatMap(({ key, start, end: ownEnd }, n) => {
      const end = Math.min(ownEnd, segments[n + 1]?.start ?? ownEnd);
      return end > from && start < from + most ? [{ key, start, end }] : [];
    });
    const pieces = await Promise.all(
      wanted.map(async ({ key, start, end }) =>
        (await readSegment(key)).subarray(Math.max(0, from - start), Math.min(end, from + most) - start),
      ),
    );
    return Buffer.concat(pieces);
  }

  /** Adds bytes at the end. */
  async function extend(log: LiveLogOf, kind: LiveLogKind, segments: readonly Segment[], bytes: Uint8Array) {
    const last = segments.at(-1);
    const size = endOf(segments);
    if (last && size - last.start + bytes.length <= SEGMENT_BYTES) {
      await writeSegment(last.key, Buffer.concat([await readSegment(last.key), bytes]));
    } else {
      await writeSegment(keyOf(log, kind, size), bytes);
    }
    return size + bytes.length;
  }

  return {
    async append(log, { offset, bytes, signature, maxBytes }) {
      await ready();
      return unlessGone({ size: 0, full: false }, async () => {
        const kind: LiveLogKind = signature === undefined ? 'log' : 'signed';
        const segments = (await segmentsOf(log))[kind];
        const size = endOf(segments);
        if (signature !== undefined) {
          const isThere = offset < size && signedPartAt(await readBytes(segments, offset, MAX_SIGNED_PART_BYTES), 0);
          if (offset !== size || isThere) return { size, full: false };
          const record = recordOf({ bytes, signature });
          if (offset + record.length > maxBytes) return { size, full: true };
          return { size: await extend(log, kind, segments, record), full: false };
        }
        const fresh = offset > size ? Buffer.alloc(0) : bytes.subarray(size - offset, Math.max(maxBytes - offset, 0));
        if (fresh.length === 0) return { size, full: size >= maxBytes };
        const grown = await extend(log, kind, segments, fresh);
        return { size: grown, full: grown >= maxBytes };
      });
    },

    async read(log, offset, maxBytes) {
      return unlessGone({ bytes: Buffer.alloc(0), next: offset, more: false }, async () => {
        const segments = await segmentsOf(log);
        for (const kind of LIVE_LOG_KINDS) {
          if (segments[kind].length === 0) continue;
          const most = kind === 'signed' ? maxBytes + MAX_SIGNED_HEAD_BYTES : maxBytes;
          return pieceOf(kind, await readBytes(segments[kind], offset, most), { offset, most });
        }
        return { bytes: Buffer.alloc(0), next: offset, more: false };
      });
    },

    async remove(logs) {
      await ready();
      const folders = new Set(logs.map(folderOf));
      for (const below of logs.length > MANY ? [LIVE] : folders) {
        for await (const { key } of bucket.list(below)) {
          if (folders.has(logFolder(key))) await bucket.delete(key);
        }
      }
    },

    async removeOlder(time) {
      await ready();
      const logs = new Map<string, { newest: number; keys: string[] }>();
      for await (const { key, changedAt } of bucket.list(LIVE)) {
        const log = logs.get(logFolder(key)) ?? { newest: 0, keys: [] };
        log.newest = Math.max(log.newest, changedAt);
        log.keys.push(key);
        logs.set(logFolder(key), log);
      }
      const old = [...logs.values()].filter(({ newest }) => newest < time);
      for (const { keys } of old) for (const key of keys) await bucket.delete(key);
      return old.length;
    },
  };
}

/** A log may be removed while it is read: then there is none. */
function unlessGone<T>(gone: T, act: () => Promise<T>): Promise<T> {
  return act().catch((error) => {
    if (error instanceof NotFound) return gone;
    throw error;
  });
}

function endOf(segments: readonly Segment[]): number {
  return segments.at(-1)?.end ?? 0;
}

/** `live/JOB.ATTEMPT/` of the key of a segment. */
function logFolder(key: string): string {
  return key.slice(0, key.indexOf('/', LIVE.length) + 1);
}
