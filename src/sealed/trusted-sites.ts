import { MAX_SIGNED_CHARS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { list, object, text } from './exact-json.ts';
import type { OwnFile } from './own-file.ts';
import { ownFile } from './own-file.ts';
import { SITE_ID, type SiteId } from './site-id.ts';
import { checkSiteRecord, readSiteRecord, type SiteRecord } from './site-record.ts';

/** Records of a site that are kept, of two years: results that were signed under the ones before may be fetched late. */
const KEPT_RECORDS = 26;

const SITE = object({
  queue: text(64),
  id: SITE_ID,
  /** The newest first, as the site signed them. */
  records: list(text(MAX_SIGNED_CHARS), KEPT_RECORDS),
});
export const SITES = object({ sites: list(SITE, 1000) });

/** A queue whose site the user trusts, because its ID came from the site itself. */
export interface TrustedSite {
  queue: string;
  id: SiteId;
  records: string[];
}

/** The sites that a user trusts, on this device. No server can add one. */
export interface TrustedSites {
  list(): Promise<TrustedSite[]>;
  /**
   * Takes what the server shows of a queue, once it is checked against what is known of it.
   *
   * @throws {SealedRefusal} as `checkSiteRecord`, `site-key-changed` also where another site is trusted for the queue
   */
  trust(queue: string, id: SiteId, record: string, now: number): Promise<SiteRecord>;
  /** Adds those of another device, for queues of which no site is trusted here. */
  put(sites: readonly TrustedSite[]): Promise<void>;
  /** @returns the site that was trusted, if any */
  untrust(queue: string): Promise<TrustedSite | undefined>;
}

export function trustedSites(path: string): TrustedSites {
  const file: OwnFile<{ sites: TrustedSite[] }> = ownFile(path, 'list of trusted sites', SITES);
  const none = { sites: [] };
  return {
    list: async () => (await file.read())?.sites ?? [],
    async trust(queue, id, record, now) {
      let taken: SiteRecord | undefined;
      await file.change(none, ({ sites }) => {
        const known = sites.find((site) => site.queue === queue);
        if (known && known.id !== id) throw new SealedRefusal('site-key-changed', queue);
        const [latest] = known?.records ?? [];
        taken = checkSiteRecord(record, { queue, id, record: latest }, now);
        if (record === latest) return { sites };
        const records = [record, ...(known?.records ?? [])].slice(0, KEPT_RECORDS);
        return { sites: [...sites.filter((site) => site !== known), { queue, id, records }] };
      });
      return taken ?? readSiteRecord(record);
    },
    async put(more) {
      await file.change(none, ({ sites }) => ({
        sites: [...sites, ...more.filter(({ queue }) => !sites.some((site) => site.queue === queue))],
      }));
    },
    async untrust(queue) {
      let removed: TrustedSite | undefined;
      await file.change(none, ({ sites }) => {
        removed = sites.find((site) => site.queue === queue);
        return { sites: sites.filter((site) => site !== removed) };
      });
      return removed;
    },
  };
}
