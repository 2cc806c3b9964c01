import type { Tell } from '../events/events.ts';
import { QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import {
  DAY_MILLISECONDS,
  MAX_OPEN_JOBS_PER_OWNER,
  MAX_OWNER_FILE_BYTES,
  OWNER_FILES_DAYS,
} from '../protocol/limits.ts';
import type { Blobs } from '../store/blobs.ts';
import {
  addBroughtBytes,
  deleteBroughtBefore,
  lockBroughtBytes,
  sumBroughtBytes,
  usedBlobs,
} from '../store/brought-files.ts';
import { sumOpenJobs } from '../store/tasks.ts';
import type { JobsContext } from './context.ts';

/**
 * Runs `bring` when its owner may bring `most` bytes more of sandboxes, logs and outputs. They are counted before the first byte comes, so
 * that uploads at the same moment cannot pass the limit together; what is kept in the end counts from then on. An upload that ended
 * with its server counts as expected until it is forgotten with its day.
 *
 * @param bring says how many bytes it has kept, as soon as it has, whether they are of use or not
 * @throws {QuotaExceeded} beyond `MAX_OWNER_FILE_BYTES` within `OWNER_FILES_DAYS`
 */
export async function withRoom<T>(
  { store, clock, maxFileBytes = MAX_OWNER_FILE_BYTES }: Pick<JobsContext, 'store' | 'clock' | 'maxFileBytes'>,
  owner: OwnerId,
  most: number,
  bring: (kept: (bytes: number) => void) => Promise<T>,
): Promise<T> {
  const day = dayOf(clock());
  await store.grow(async (tx) => {
    const brought = await lockBroughtBytes(tx, owner, day - OWNER_FILES_DAYS + 1);
    if (brought + most > maxFileBytes) {
      throw new QuotaExceeded(
        `file: within ${OWNER_FILES_DAYS} days you and your jobs have uploaded ${brought} bytes of sandboxes, logs and outputs; at most ` +
          `${maxFileBytes} are allowed, and this file may have ${most}. Leave large data out of what you submit and bring back`,
      );
    }
    await addBroughtBytes(tx, owner, day, most);
  });
  let bytes = 0;
  try {
    return await bring((kept) => {
      bytes = kept;
    });
  } finally {
    await store.write((tx) => addBroughtBytes(tx, owner, day, bytes - most));
  }
}

/** The bytes of files that an owner brought within `OWNER_FILES_DAYS`, and the jobs of theirs that have not ended; each with the most that may be. */
export async function usedRoom(
  {
    store,
    clock,
    maxFileBytes = MAX_OWNER_FILE_BYTES,
    maxOpenJobs = MAX_OPEN_JOBS_PER_OWNER,
  }: Pick<JobsContext, 'store' | 'clock' | 'maxFileBytes' | 'maxOpenJobs'>,
  owner: OwnerId,
): Promise<{ fileBytes: number; maxFileBytes: number; openJobs: number; maxOpenJobs: number }> {
  const [fileBytes, openJobs] = await Promise.all([
    sumBroughtBytes(store.db, owner, dayOf(clock()) - OWNER_FILES_DAYS + 1),
    sumOpenJobs(store.db, owner),
  ]);
  return { fileBytes, maxFileBytes, openJobs, maxOpenJobs };
}

/** A file that nothing names is kept this long: its row may be about to be written. */
const ORPHAN_MILLISECONDS = DAY_MILLISECONDS;
const AT_ONCE = 500;

/** Removes files that no sandbox, log or output is kept in any more, and counts of days that are over. @returns how many files */
export async function removeOrphans({
  store,
  blobs,
  clock,
  tell,
}: Pick<JobsContext, 'store' | 'clock'> & { blobs: Blobs; tell?: Tell }): Promise<number> {
  const before = clock() - ORPHAN_MILLISECONDS;
  let removed = 0;
  const counted = { files: 0, bytes: 0 };
  let old: string[] = [];
  const removeUnused = async () => {
    const used = await usedBlobs(store.db, old);
    for (const sha256 of old) if (!used.has(sha256) && (await blobs.delete(sha256, before))) removed += 1;
    old = [];
  };
  for await (const { sha256, size, keptAt } of blobs.list()) {
    counted.files += 1;
    counted.bytes += size;
    if (keptAt < before) old.push(sha256);
    if (old.length === AT_ONCE) await removeUnused();
  }
  await removeUnused();
  tell?.({ event: 'files.counted', ...counted });
  await blobs.removeAbandoned();
  await store.write((tx) => deleteBroughtBefore(tx, dayOf(clock()) - OWNER_FILES_DAYS));
  return removed;
}

function dayOf(milliseconds: number): number {
  return Math.floor(milliseconds / DAY_MILLISECONDS);
}
