import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../files/make-folder.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { RELEASED_SECONDS } from '../protocol/version.ts';
import { forgetEnded } from '../sealed/ledger.ts';
import { readSiteKey, type SiteKey } from '../sealed/site-key-file.ts';
import { isSystemFolder } from './visible-system.ts';

/** The key of a node's site, for the life of a pilot. */
export interface NodeSiteKey {
  /** Its folder, which no payload may see: its record, requests and the ledger are beside it. */
  folder: string;
  /** The runs under each grant are noted here. */
  ledger: string;
  /** Reads it anew: it may be renewed while pilots run. @throws as `readSiteKey` */
  read(): Promise<SiteKey>;
  /** Tells if the site's word for it holds, so that jobs with sealed secrets may be asked for. */
  isValid(): Promise<boolean>;
}

/**
 * Opens the key that a pilot is started with.
 *
 * @param isMemoryProtected against other processes of the pilot's user
 * @throws {Misconfigured} when it would not be safe here, or is none
 * @throws {SealedRefusal} when its record is not of this key or queue, or has ended
 */
export async function openSiteKey(
  file: string,
  { queue, isMemoryProtected }: { queue: string; isMemoryProtected: boolean },
): Promise<NodeSiteKey> {
  if (!isMemoryProtected) {
    throw new Misconfigured(
      '--site-key: this Node cannot keep its memory from other processes of its user; Node 26 or newer can',
    );
  }
  const first = await readSiteKey(file);
  const path = await realpath(file);
  const folder = dirname(path);
  if (isSystemFolder(folder)) {
    throw new Misconfigured(`--site-key: "${file}" must be in a folder of its own, which jobs do not see`);
  }
  if (first.queue !== queue) throw new SealedRefusal('site-record-other', file);
  if (!holds(first)) throw new SealedRefusal('site-record-ended', file);
  const ledger = `${path}.runs`;
  await makeFolder(ledger, 0o700);
  await forgetEnded(ledger, nodeSeconds());
  let known = first;
  const read = async () => {
    known = await readSiteKey(path);
    return known;
  };
  return {
    folder,
    ledger,
    read,
    async isValid() {
      if (holds(known)) return true;
      return await read().then(holds, () => false);
    },
  };
}

/** Seconds since 1970 by this node's own clock: a server has no part in it. */
export function nodeSeconds(): number {
  return Math.max(Date.now() / 1000, RELEASED_SECONDS);
}

function holds({ record }: SiteKey): boolean {
  const now = nodeSeconds();
  return record.from <= now && now < record.end;
}
