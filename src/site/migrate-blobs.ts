import { recordAct } from '../audit/audit.ts';
import { DamagedFile, Misconfigured, NotFound } from '../protocol/errors.ts';
import { parseBlobPlace } from '../store/blob-place.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { listUsedBlobs } from '../store/brought-files.ts';
import { openBlobStore } from '../store/open-blob-store.ts';
import type { Installation } from './installation.ts';

/** A copy of all files. */
export interface CopiedBlobs {
  /** The places, as messages name them. */
  from: string;
  to: string;
  copied: number;
  /** Of those that were copied. */
  bytes: number;
  /** Files that were there already, of an earlier run. */
  there: number;
  /** Files that rows of the database name and that are in neither place. */
  missing: number;
  /** SHA-256 of those that are not what was kept, and were not copied. */
  damaged: string[];
}

const ROWS_AT_ONCE = 1000;
/** Each in memory up to the size of a part, and a few round trips to a storage. */
const FILES_AT_ONCE = 8;

/**
 * Copies every file that a row of the database names to another place, and reads each back from there. Nothing is removed. Servers may
 * work meanwhile; what they keep behind its back is copied by the next run. It may be killed at any moment, and begun again: what is there is
 * whole, and is not copied again. The logs of jobs that run are not copied: their pilots bring them whole at the end.
 *
 * @param places URIs; files are read from where the installation's settings say unless `from` is given
 * @param onProgress told after each file, how many were copied
 * @throws {Misconfigured} for a place that cannot be used, or twice the same @throws {Unavailable} for one that is away
 * @throws {DamagedFile} when the new place gives back something else than it was given
 */
export async function copyBlobs(
  { store, key, blobStore }: Pick<Installation, 'store' | 'key' | 'blobStore'>,
  clock: () => number,
  places: { from?: string | undefined; to: string },
  onProgress: (copied: number) => void = () => {},
): Promise<CopiedBlobs> {
  const opened: BlobStore[] = [];
  const open = async (uri: string) => {
    const place = await openBlobStore(parseBlobPlace(uri), { installation: key });
    opened.push(place);
    return place;
  };
  try {
    const from = places.from === undefined ? await blobStore() : await open(places.from);
    const to = await open(places.to);
    if (from.name === to.name) throw new Misconfigured(`${to.name} is where the files are: name another place`);
    await from.check();
    await to.check();
    await recordAct(store, clock, 'operator', 'blobs.copy', {});
    const release = await from.blobs.hold();
    try {
      const done: CopiedBlobs = {
        from: from.name,
        to: to.name,
        copied: 0,
        bytes: 0,
        there: 0,
        missing: 0,
        damaged: [],
      };
      const there = new Set<string>();
      for await (const { sha256 } of to.blobs.list()) there.add(sha256);
      for (let after = ''; ; ) {
        const some = await listUsedBlobs(store.db, after, ROWS_AT_ONCE);
        const missing = some.filter((sha256) => !there.has(sha256));
        done.there += some.length - missing.length;
        for (let at = 0; at < missing.length; at += FILES_AT_ONCE) {
          await Promise.all(missing.slice(at, at + FILES_AT_ONCE).map((sha256) => copyOne(from, to, sha256, done)));
          onProgress(done.copied);
        }
        after = some.at(-1) ?? after;
        if (some.length < ROWS_AT_ONCE) return done;
      }
    } finally {
      await release();
    }
  } finally {
    for (const place of opened) await place.close();
  }
}

async function copyOne(from: BlobStore, to: BlobStore, sha256: string, done: CopiedBlobs): Promise<void> {
  const found = await from.blobs.get(sha256).catch((error) => {
    if (error instanceof NotFound) return undefined;
    throw error;
  });
  if (!found) {
    done.missing += 1;
    return;
  }
  const kept = await to.blobs.put(found.stream, { maxBytes: Number.MAX_SAFE_INTEGER }).catch((error) => {
    if (error instanceof DamagedFile) return undefined;
    throw error;
  });
  if (!kept) {
    done.damaged.push(sha256);
    return;
  }
  // The stream fails when it is not what was kept.
  for await (const _ of (await to.blobs.get(sha256)).stream);
  done.copied += 1;
  done.bytes += kept.size;
}
