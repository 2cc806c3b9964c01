import { MAX_SIGNED_CHARS, MAX_SITE_RECORD_SECONDS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { isAgeRecipient } from '../sealing/hybrid-age.ts';
import { integer, object, type Readout, readExact, text, where, writeExact } from './exact-json.ts';
import { isPublicKey, isSignedBy, type Signer, signed, takeApart } from './signed.ts';
import { identityOf, SITE_ID, type SiteId } from './site-id.ts';

const SECONDS = integer(0, 253_402_300_799);

export const AGE_RECIPIENT = text(2048, /^age1pq1/);
export const PUBLIC_KEY = where(text(43), isPublicKey);

const RECORD = where(
  object({
    /** The queue that the nodes serve. */
    queue: text(64, /^[\w.-]{1,64}$/),
    /** The site that vouches for them. */
    identity: SITE_ID,
    /** Of two records the later one has the larger number. */
    serial: integer(1, Number.MAX_SAFE_INTEGER),
    /** age's, of the nodes. */
    recipient: where(AGE_RECIPIENT, isAgeRecipient),
    /** Checks the signatures of the nodes' results. */
    resultSigner: PUBLIC_KEY,
    /** Seconds since 1970 UTC. */
    from: SECONDS,
    end: SECONDS,
  }),
  ({ from, end }) => from < end && end - from <= MAX_SITE_RECORD_SECONDS,
);

/** A site's statement on the keys of its nodes for a queue, signed by its identity. */
export type SiteRecord = Readout<typeof RECORD>;

/** @param identity the site's, whose id the record has */
export function makeSiteRecord(identity: Signer, record: SiteRecord): string {
  return signed(identity, 'site', writeExact(record, RECORD));
}

/**
 * Reads a record that anybody may have sent: it is signed by the identity that it names, which its reader still has to know.
 *
 * @throws {SealedRefusal} `site-record-format`, `site-record-forged`
 */
export function readSiteRecord(word: string): SiteRecord {
  const parts = word.length <= MAX_SIGNED_CHARS ? takeApart(word) : undefined;
  if (!parts) throw new SealedRefusal('site-record-format');
  const record = readOr('site-record-format', () => readExact(parts.payload, RECORD));
  if (!isSignedBy(identityOf(record.identity), 'site', parts.payload, parts.signature)) {
    throw new SealedRefusal('site-record-forged');
  }
  return record;
}

/** The reader's knowledge of a site. */
export interface KnownSite {
  queue: string;
  id: SiteId;
  /** The latest record of it that was taken. */
  record?: string | undefined;
}

/**
 * Reads the record of a site that one trusts, as a server shows it.
 *
 * @param now seconds since 1970, by one's own clock
 * @throws {SealedRefusal} as {@link readSiteRecord}, and `site-record-other`, `site-key-changed`, `site-record-ended`,
 * `site-record-older`, `site-record-forked`
 */
export function checkSiteRecord(word: string, known: KnownSite, now: number): SiteRecord {
  const record = readSiteRecord(word);
  const refuse = (code: ConstructorParameters<typeof SealedRefusal>[0]) => new SealedRefusal(code, known.queue);
  if (record.queue !== known.queue) throw refuse('site-record-other');
  if (record.identity !== known.id) throw refuse('site-key-changed');
  if (now < record.from || now >= record.end) throw refuse('site-record-ended');
  if (known.record !== undefined) {
    const { serial } = readSiteRecord(known.record);
    if (record.serial < serial) throw refuse('site-record-older');
    if (record.serial === serial && word !== known.record) throw refuse('site-record-forked');
  }
  return record;
}

/** @throws {SealedRefusal} of that code when what is read is not as its reader wants it */
export function readOr<T>(code: ConstructorParameters<typeof SealedRefusal>[0], read: () => T): T {
  try {
    return read();
  } catch {
    throw new SealedRefusal(code);
  }
}
