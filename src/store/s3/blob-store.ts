import { randomUUID } from 'node:crypto';
import { Misconfigured, NotFound } from '../../protocol/errors.ts';
import type { BlobCipher } from '../blob-cipher.ts';
import { blobPlaceName, type S3Place } from '../blob-place.ts';
import type { BlobStore } from '../blob-store.ts';
import type { OnDamage } from '../blobs.ts';
import { openS3Blobs } from './blobs.ts';
import { type Bucket, openBucket } from './client.ts';
import { openS3LiveLogs } from './live-logs.ts';

/** Two installations in one place would delete each other's files, as nobody's. */
const MARK = 'installation.json';

/** See `openBlobStore`. Opens no connection yet. */
export async function openS3BlobStore(
  place: S3Place,
  { id, blobs: cipher }: { id: string; blobs: BlobCipher },
  onDamage: OnDamage,
): Promise<Omit<BlobStore, 'name'>> {
  const bucket = await openBucket(place);
  const name = blobPlaceName({ s3: place });
  let checked: Promise<void> | undefined;
  const ready = () => {
    checked ??= claim(bucket, name, id).catch((error) => {
      checked = undefined;
      throw error;
    });
    return checked;
  };
  return {
    blobs: openS3Blobs(bucket, cipher, { ready, onDamage }),
    liveLogs: openS3LiveLogs(bucket, cipher, ready),
    async check() {
      try {
        await ready();
        const probe = `incoming/${randomUUID()}`;
        await bucket.put(probe, Buffer.alloc(0));
        for await (const _ of bucket.list(probe));
        await bucket.delete(probe);
      } catch (error) {
        throw bucket.explain(error);
      }
    },
    async close() {
      bucket.close();
    },
  };
}

/** @throws {Misconfigured} when another installation keeps its files there */
async function claim(bucket: Bucket, name: string, id: string): Promise<void> {
  const owner = async () => {
    try {
      const { id: found } = JSON.parse((await bucket.read(MARK)).toString('utf8')) as { id?: unknown };
      return String(found);
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      if (error instanceof SyntaxError) return 'of a damaged mark';
      throw error;
    }
  };
  if ((await owner()) === undefined) await bucket.create(MARK, Buffer.from(`${JSON.stringify({ id })}\n`));
  const found = await owner();
  if (found !== id) {
    throw new Misconfigured(
      `${name} has the files of another installation (${found}): name another prefix, as each would delete the other's`,
    );
  }
}
