import type { OwnKeys } from '../../sealed/own-keys.ts';
import { readSiteRecord } from '../../sealed/site-record.ts';

/** A site's record that ends within this time is warned of. */
const WARNED_SECONDS = 14 * 24 * 3600;

/** A record of a site that is trusted, for the user to read. */
export interface ShownRecord {
  queue: string;
  id: string;
  serial: number;
  /** A day. */
  until: string;
  /** Of the newest record of a queue, where it ends soon. */
  warning?: string;
}

/** The records of the sites that are trusted, of each queue the newest first. */
export async function sitesOf(keys: OwnKeys | undefined, now = Date.now() / 1000): Promise<ShownRecord[]> {
  const sites = (await keys?.sites.list()) ?? [];
  return sites.flatMap(({ queue, id, records }) =>
    records.map((word, place) => {
      const { serial, end } = readSiteRecord(word);
      const until = day(end);
      const ends = end <= now ? 'ended' : 'ends';
      const warning = `the record of the site of ${queue} ${ends} on ${until}: its site has to renew it`;
      return { queue, id, serial, until, ...(place === 0 && end - now < WARNED_SECONDS && { warning }) };
    }),
  );
}

export function day(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}
