import { join } from 'node:path';
import type { BlobCipher } from './blob-cipher.ts';
import { type BlobPlace, blobPlaceName } from './blob-place.ts';
import type { BlobStore } from './blob-store.ts';
import { type OnDamage, openBlobs } from './blobs.ts';
import { openLiveLogs } from './live-logs.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';

/**
 * Opens a folder, or a part of a bucket; its library is loaded for a bucket alone.
 *
 * @param options.installation whose files they are: a place has those of one
 * @param options.reserve of the disk that a folder is on @param options.onDamage told of a file that is not what was kept
 * @param options.isLocal `openLiveLogs`
 */
export async function openBlobStore(
  place: BlobPlace,
  {
    installation,
    reserve = NO_RESERVE,
    onDamage = () => {},
    isLocal,
  }: {
    installation: { id: string; blobs: BlobCipher };
    reserve?: Reserve;
    onDamage?: OnDamage;
    isLocal?: boolean | undefined;
  },
): Promise<BlobStore> {
  if ('s3' in place) {
    const { openS3BlobStore } = await import('./s3/blob-store.ts');
    return { ...(await openS3BlobStore(place.s3, installation, onDamage)), name: blobPlaceName(place) };
  }
  return {
    blobs: await openBlobs(place.folder, reserve, onDamage),
    liveLogs: await openLiveLogs(join(place.folder, 'live'), reserve, { isLocal }),
    name: blobPlaceName(place),
    check: async () => {},
    close: async () => {},
  };
}
