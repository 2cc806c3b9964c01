import { MAX_SIGNED_CHARS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { flag, list, object, type Read, text } from './exact-json.ts';
import type { OwnFile } from './own-file.ts';
import { ownFile } from './own-file.ts';
import { SITE_ID, type SiteId } from './site-id.ts';
import { checkSiteRecord, readSiteRecord, type SiteRecord } from './site-record.ts';

/** Records of a site that are kept, of two years: results that were signed under the ones before may be fetched late. */
const KEPT_RECORDS = 26;

const WHOLE_SITE = object({
  queue: text(64),
  id: SITE_ID,
  /** The newest first, as the site signed them. */
  records: list(text(MAX_SIGNED_CHARS), KEPT_RECORDS),
  untrusted: flag,
});
/** Files and bundles of earlier releases hold trusted ones alone. */
const SITE: Read<TrustedSite> = (value) => WHOLE_SITE({ untrusted: false, ...(value as object) });
export const SITES = object({ sites: list(SITE, 1000) });

/** A queue whose site the user trusts, because its ID came from the site itself. */
export interface TrustedSite {
  queue: string;
  id: SiteId;
  records: string[];
  /** It was trusted before: its records stay, so that no older one is taken later, and old results can be read when it is trusted again. */
  untrusted: boolean;
}

/** The sites that a user trusts, on this device. No server can add one. */
export interface TrustedSites {
  list(): Promise<TrustedSite[]>;
  /** With those that were trusted before. */
  known(): Promise<TrustedSite[]>;
  /**
   * Takes what the server shows of a queue, once it is checked against what is known of it. One that was trusted before is trusted again,
   * with the records that were kept.
   *
   * @throws {SealedRefusal} as `checkSiteRecord`, `site-key-changed` also where another site is trusted for the queue
   */
  trust(queue: string, id: SiteId, record: string, now: number): Promise<SiteRecord>;
  /** Adds those of another device, for queues of which no site is known here. */
  put(sites: readonly TrustedSite[]): Promise<void>;
  /** Its records stay. @returns the site that was trusted, if any */
  untrust(queue: string): Promise<TrustedSite | undefined>;
}

export function trustedSites(path: string): TrustedSites {
  const file: OwnFile<{ sites: TrustedSite[] }> = ownFile(path, 'list of trusted sites', SITES);
  const none = { sites: [] };
  const known = async () => (await file.read())?.sites ?? [];
  return {
    list: async () => (await known()).filter(({ untrusted }) => !untrusted),
    known,
    async trust(queue, id, record, now) {
      let taken: SiteRecord | undefined;
      await file.change(none, ({ sites }) => {
        const ofQueue = sites.filter((site) => site.queue === queue);
        const isOther = ofQueue.some((site) => site.id !== id && !site.untrusted);
        if (isOther) throw new SealedRefusal('site-key-changed', queue);
        const before = ofQueue.find((site) => site.id === id);
        const kept = before?.records ?? [];
        taken = checkSiteRecord(record, { queue, id, record: kept[0] }, now);
        const records = record === kept[0] ? kept : [record, ...kept].slice(0, KEPT_RECORDS);
        return { sites: [...sites.filter((site) => site !== before), { queue, id, records, untrusted: false }] };
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
        removed = sites.find((site) => site.queue === queue && !site.untrusted);
        return { sites: sites.map((site) => (site === removed ? { ...site, untrusted: true } : site)) };
      });
      return removed;
    },
  };
}
