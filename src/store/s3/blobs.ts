import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { NotFound, Unavailable } from '../../protocol/errors.ts';
import { DAY_MILLISECONDS } from '../../protocol/limits.ts';
import type { BlobCipher } from '../blob-cipher.ts';
import { ADDRESS, type Blobs, checkedStream, HELD_MILLISECONDS, measured, type OnDamage } from '../blobs.ts';
import { type Bucket, PART_BYTES } from './client.ts';

// Keys, below the prefix:
//
//     files/12/NAME      a blob; NAME is made of its address with a key
//     incoming/UUID      one of more than PART_BYTES, until its digest is known
//     deleting/NAME/UUID somebody is about to delete it: a mark for each who is, as one must not take away another's
//     held/UUID          somebody reads all blobs: none is deleted

const FILES = 'files/';
const INCOMING = 'incoming/';
const DELETING = 'deleting/';
const HELD = 'held/';

/** What every blob is bound to; its digest says which one it is. */
const CONTEXT = 'blob';

/** An upload that is still under way is not ended by others. */
const ABANDONED_MILLISECONDS = DAY_MILLISECONDS;
/** A deletion is given up after this long, and its mark counts for twice that. */
const DELETING_MILLISECONDS = 300_000;
const WAIT_MILLISECONDS = 200;
const WAITS = 100;

/**
 * Blobs in a bucket, encrypted. Any number of servers may share it.
 *
 * @param ready is awaited before anything is written or deleted
 */
export function openS3Blobs(
  bucket: Bucket,
  cipher: BlobCipher,
  { ready, onDamage }: { ready: () => Promise<void>; onDamage: OnDamage },
): Blobs {
  const nameOf = (sha256: string) => cipher.nameOf(sha256);
  const keyOf = (name: string) => `${FILES}${name.slice(0, 2)}/${name}`;

  /**
   * Puts a blob to its key, and again as long as somebody may have deleted it meanwhile: no mark after it was put and the blob still
   * there says that a later deletion sees how new it is.
   */
  async function settle(sha256: string, place: (key: string) => Promise<void>): Promise<void> {
    const name = nameOf(sha256);
    for (let waits = 0; waits < WAITS; waits++) {
      await place(keyOf(name));
      const isMarked = await hasFresh(marksOf(name), 2 * DELETING_MILLISECONDS);
      if (!isMarked && (await bucket.head(keyOf(name)))) return;
      await pause(WAIT_MILLISECONDS);
    }
    throw new Unavailable('the same file is being deleted all the time: try again later');
  }

  const marksOf = (name: string) => `${DELETING}${name}/`;

  async function hasFresh(below: string, milliseconds: number): Promise<boolean> {
    for await (const { changedAt } of bucket.list(below)) {
      if (changedAt > Date.now() - milliseconds) return true;
    }
    return false;
  }

  return {
    async put(content, { maxBytes, inspect }) {
      const read = { hash: createHash('sha256'), size: 0 };
      const source = measured(content, { maxBytes, inspect }, read);
      try {
        await ready();
        const first: Buffer[] = [];
        for (let next = await source.next(); !next.done; next = await source.next()) {
          first.push(next.value);
          if (read.size > PART_BYTES) return await putLarge(first);
        }
        const sha256 = read.hash.digest('hex');
        const sealed = await collect(cipher.seal(CONTEXT, first));
        await settle(sha256, (key) => bucket.put(key, sealed));
        return { sha256, size: read.size };
      } finally {
        // First, as a source that waits for a silent sender would not end.
        content.destroy();
        await source.return(undefined);
      }

      async function putLarge(first: Buffer[]) {
        const incoming = INCOMING + randomUUID();
        let failure: unknown;
        async function* whole() {
          try {
            while (first.length > 0) yield first.shift() as Buffer;
            yield* source;
          } catch (error) {
            failure = error;
            throw error;
          }
        }
        try {
          const body = Readable.from(cipher.seal(CONTEXT, whole()), { objectMode: false });
          // The library looks for an error where it reads, and not between.
          body.on('error', () => {});
          await bucket.upload(incoming, body);
          const sha256 = read.hash.digest('hex');
          await settle(sha256, (key) => bucket.copy(incoming, key));
          return { sha256, size: read.size };
        } catch (error) {
          throw failure ?? error;
        } finally {
          await bucket.delete(incoming).catch(() => {}); // What stays is removed as abandoned.
        }
      }
    },

    async get(sha256) {
      if (!ADDRESS.test(sha256)) throw new NotFound('no such file');
      const { size, body } = await bucket.get(keyOf(nameOf(sha256)));
      return {
        size: cipher.plainSize(size),
        stream: checkedStream(sha256, body, { open: (raw) => cipher.open(CONTEXT, raw), onDamage }),
      };
    },

    async *list() {
      for await (const { key, size, changedAt } of bucket.list(FILES)) {
        const sha256 = cipher.addressOf(key.slice(key.lastIndexOf('/') + 1));
        if (sha256 !== undefined) yield { sha256, size: cipher.plainSize(size), keptAt: changedAt };
      }
    },

    async delete(sha256, before) {
      if (!ADDRESS.test(sha256)) return true;
      await ready();
      const name = nameOf(sha256);
      const began = Date.now();
      if (await hasFresh(HELD, HELD_MILLISECONDS)) return (await bucket.head(keyOf(name))) === undefined;
      const mark = marksOf(name) + randomUUID();
      await bucket.put(mark, Buffer.alloc(0));
      try {
        const found = await bucket.head(keyOf(name));
        if (!found || found.changedAt >= before) return !found;
        if (Date.now() - began > DELETING_MILLISECONDS) return false;
        await bucket.delete(keyOf(name));
        return true;
      } finally {
        await bucket.delete(mark);
      }
    },

    async hold() {
      await ready();
      const mark = HELD + randomUUID();
      const renew = () => bucket.put(mark, Buffer.alloc(0));
      await renew();
      const timer = setInterval(() => renew().catch(() => {}), HELD_MILLISECONDS / 10).unref();
      return async () => {
        clearInterval(timer);
        await bucket.delete(mark);
      };
    },

    async removeAbandoned() {
      await ready();
      const before = Date.now() - ABANDONED_MILLISECONDS;
      await bucket.abortUploads(INCOMING, before);
      for (const below of [INCOMING, DELETING, HELD]) {
        for await (const { key, changedAt } of bucket.list(below)) if (changedAt < before) await bucket.delete(key);
      }
    },
  };
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
