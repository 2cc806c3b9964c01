import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../files/make-folder.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { fromBase64url } from '../protocol/base64url.ts';
import { MAX_GRANT_SECONDS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import type { Grant } from './grant.ts';

/**
 * Notes in a folder that a job was run once more under its grant, before anything of it is opened: nodes that share the folder run it
 * `attempts` times together, whatever a server says. Each run is a file that only one of them can make.
 *
 * @throws {SealedRefusal} `grant-replayed` when it was run so often
 */
export async function noteRun(
  folder: string,
  { nonce, end, attempts }: Pick<Grant, 'nonce' | 'end' | 'attempts'>,
  serial: number,
): Promise<void> {
  const runs = join(folder, `${end}-${fromBase64url(nonce)?.toString('hex')}`);
  await makeFolder(runs, 0o700);
  for (let run = 1; run <= attempts; run++) {
    const handle = await open(join(runs, `${serial}.${run}`), 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return undefined;
      throw error;
    });
    if (!handle) continue;
    await handle.sync().finally(() => handle.close());
    for (const made of [runs, folder]) await syncFolder(made);
    return;
  }
  throw new SealedRefusal('grant-replayed');
}

/**
 * Removes what is noted of grants that ended so long ago that no clock is that wrong.
 *
 * @param now seconds since 1970
 */
export async function forgetEnded(folder: string, now: number): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    const [, end] = /^(\d+)-[0-9a-f]{32}$/.exec(name) ?? [];
    if (end !== undefined && Number(end) + MAX_GRANT_SECONDS < now) await rm(join(folder, name), { recursive: true });
  }
}
