import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';

/** In a data folder while a restore is not finished: no server starts there. */
export const UNFINISHED = 'restore-unfinished';

/** @throws {Misconfigured} when a restore into the folder was not finished */
export async function refuseUnfinished(data: string): Promise<void> {
  const found = await lstat(join(data, UNFINISHED)).catch(() => undefined);
  if (!found) return;
  throw new Misconfigured(
    `a restore into ${data} was not finished: what is there is a part of a backup. Empty the folder, and restore again`,
  );
}
