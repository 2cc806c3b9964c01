import type { Client } from '../client/client.ts';
import { goneFromServer } from '../client/secrets.ts';
import { Conflict, InvalidArgument, NotFound, UnknownCall } from '../protocol/errors.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import { SealedRefusal, type SealedRefusalCode } from '../protocol/sealed-refusal.ts';
import { isSealedValue } from '../protocol/sealed-value.ts';
import type { GivenAttributes } from '../protocol/secret-attributes.ts';
import { parseTrustedQueues } from '../protocol/trusted-queues.ts';
import { type OpenedSecret, openEnvelope, sealEnvelope } from './envelope.ts';
import type { Mark } from './marks.ts';
import type { OwnKeys } from './own-keys.ts';
import { readSiteRecord, type SiteRecord } from './site-record.ts';
import type { TrustedSite, TrustedSites } from './trusted-sites.ts';

/** A secret as its owner has it. */
export interface OwnSecret {
  name: WireName;
  /** Not there when it is not what its owner sealed, or cannot be opened here. */
  value: Plaintext | undefined;
  /** Its mark, as of when it was sealed and opened. */
  sealed?: Pick<OpenedSecret, 'version' | 'sites'> & {
    /** This device knows it from the server alone: an older one could be shown in its place. */
    unproven: boolean;
  };
  /** `no-key`: it is sealed, and there is no key here. */
  problem?: SealedRefusalCode | 'no-key';
}

type Secrets = Pick<Client, 'setSecret' | 'getSecrets' | 'getSiteRecord'>;

/**
 * Opens what a server has under the names of a user's secrets. A plain value under a name that was ever sealed here is no value of
 * the user's.
 *
 * @param everSealed names that were sealed here, also by a key that is gone, as their user calls them
 */
export async function openOwnSecrets(
  values: ReadonlyMap<WireName, Plaintext>,
  own: OwnKeys | undefined,
  everSealed: ReadonlySet<string> = new Set(),
): Promise<OwnSecret[]> {
  const marks = new Map((await own?.marks.list())?.map((mark) => [plainName(mark.name as WireName), mark]));
  const opened: OwnSecret[] = [];
  for (const [name, value] of values) {
    const mark = marks.get(plainName(name));
    const isPlain = !isSealedValue(value.reveal());
    if (isPlain && !mark && !everSealed.has(plainName(name))) opened.push({ name, value });
    else if (isPlain) opened.push({ name, value: undefined, problem: 'secret-not-sealed' });
    else opened.push(await openOwn(name, value, own, mark));
  }
  const seen = opened.flatMap(({ name, sealed }) => {
    const known = marks.get(plainName(name));
    if (!sealed || (known && !known.deleted && known.taken >= sealed.version)) return [];
    const { version, sites, unproven } = sealed;
    return [{ name, version, sites: sites.map(({ id }) => id), unproven }];
  });
  if (seen.length > 0) await own?.marks.take(seen);
  return opened;
}

/** One that is sealed. */
async function openOwn(
  name: WireName,
  value: Plaintext,
  own: OwnKeys | undefined,
  mark: Mark | undefined,
): Promise<OwnSecret> {
  if (!own) return { name, value: undefined, problem: 'no-key' };
  try {
    const expected = { signer: own.keys.signer.publicKey, name, atLeast: mark?.taken ?? 0 };
    const found = await openEnvelope(value.reveal(), [own.keys.age.identity], expected);
    const { version, sites } = found;
    if (mark?.deleted && version <= mark.taken) return { name, value: undefined, problem: 'secret-deleted' };
    return { name, value: found.value, sealed: { version, sites, unproven: mark?.unproven ?? true } };
  } catch (error) {
    if (!(error instanceof SealedRefusal)) throw error;
    return { name, value: undefined, problem: error.code };
  }
}

/** A value that is to be sealed, and for whom. */
export interface SealOptions {
  /** `queues`: those whose sites may open it; as it was where left out, all that are trusted for a new one. */
  attributes?: GivenAttributes;
  /** Seconds since 1970. */
  now: number;
}

/**
 * Seals a value for its owner and for the sites of its queues that are trusted here, and has the server keep it.
 *
 * @returns the server's message, and the queues that can open it
 * @throws {InvalidArgument} for a queue whose site is not trusted @throws {SealedRefusal} when a site is not what it was
 */
export async function setSealed(
  client: Secrets,
  own: OwnKeys,
  name: WireName,
  value: Plaintext,
  options: SealOptions,
): Promise<{ message: string; queues: string[] }> {
  return await own.exclusively(async () => {
    const { message, queues, version } = await sealAndSet(client, own, name, value, options);
    await own.marks.take([{ name, version, unproven: false }]);
    return { message, queues };
  });
}

/** Only while nothing else of this device seals. */
async function sealAndSet(
  client: Secrets,
  own: OwnKeys,
  name: WireName,
  value: Plaintext,
  { attributes = {}, now }: SealOptions,
): Promise<{ message: string; queues: string[]; version: number }> {
  const mark = await own.marks.of(name);
  const queues = attributes.queues === undefined ? (mark?.queues ?? null) : parseTrustedQueues([...attributes.queues]);
  const sites = await currentSites(client, own, queues && [...queues], now);
  const version = await own.marks.make(name, {
    queues: queues && [...queues],
    sites: sites.map(({ identity }) => identity),
    now: Math.floor(now * 1000),
  });
  const sealed = await sealEnvelope(own.keys, { name, version, value, sites });
  const message = await client.setSecret(name, sealed, attributes);
  return { message, queues: sites.map(({ queue }) => queue), version };
}

/**
 * The records of the sites that are trusted for these queues, the newest that the server shows of them.
 *
 * @param queues null for all that are trusted, without those whose records have ended
 * @throws {InvalidArgument} for a queue whose site is not trusted @throws {SealedRefusal} when a site is not what it was
 */
export async function currentSites(
  client: Pick<Client, 'getSiteRecord'>,
  { sites }: Pick<OwnKeys, 'sites'>,
  queues: readonly string[] | null,
  now: number,
): Promise<SiteRecord[]> {
  const trusted = await sites.list();
  const missing = queues?.filter((queue) => !trusted.some((site) => site.queue === queue)) ?? [];
  if (missing.length > 0) {
    throw new InvalidArgument(
      `the site of ${missing.join(', ')} is not trusted on this device, so nothing is sealed for it: ` +
        `get the site's ID from its own page and run "pbook keys trust ${missing[0]}=SITE-ID"`,
    );
  }
  const wanted = trusted.filter(({ queue }) => queues === null || queues.includes(queue));
  const records: SiteRecord[] = [];
  for (const site of wanted) {
    try {
      records.push(await currentRecord(client, sites, site, now));
    } catch (error) {
      // One of all that are trusted keeps nobody from sealing for the others.
      const isEnded = error instanceof SealedRefusal && error.code === 'site-record-ended';
      if (!isEnded || queues !== null) throw error;
    }
  }
  return records;
}

async function currentRecord(
  client: Pick<Client, 'getSiteRecord'>,
  sites: TrustedSites,
  { queue, id, records: [latest = ''] }: TrustedSite,
  now: number,
): Promise<SiteRecord> {
  const shown = await siteRecord(client, queue);
  const record = shown === null ? readSiteRecord(latest) : await sites.trust(queue, id, shown, now);
  if (record.end <= now) throw new SealedRefusal('site-record-ended', queue);
  return record;
}

/** The record of a queue, as the server shows it; null from a server that has none. */
export async function siteRecord(client: Pick<Client, 'getSiteRecord'>, queue: string): Promise<string | null> {
  try {
    const record = await client.getSiteRecord(queue);
    return typeof record === 'string' ? record : null;
  } catch (error) {
    if (error instanceof UnknownCall || error instanceof NotFound) return null;
    throw error;
  }
}

/**
 * Seals a secret anew for the sites that are trusted now: only the version that is the newest, as this device knows it.
 *
 * @returns the queues that can open it now; undefined when nothing had to be done
 * @throws {SealedRefusal} when it is not what its owner sealed last, and stays as it was; or when the new one does not read back: the
 * one before it is then among its versions
 */
export async function resealSecret(
  client: Secrets,
  own: OwnKeys,
  { name: marked }: Pick<Mark, 'name'>,
  now: number,
): Promise<string[] | undefined> {
  return await own.exclusively(async () => {
    const mark = await own.marks.of(marked as WireName);
    if (!mark || mark.deleted) return undefined;
    const name = mark.name as WireName;
    const current = await openNamed(client, own, name, mark.taken);
    const sites = await currentSites(client, own, mark.queues, now);
    const before = current.sites.map(({ id, serial }) => `${id} ${serial}`);
    const after = sites.map(({ identity, serial }) => `${identity} ${serial}`);
    if (before.join() === after.join()) return undefined;
    const { queues, version } = await sealAndSet(client, own, name, current.value, { now });
    // The one before it is good until this one is there.
    await openNamed(client, own, name, version);
    await own.marks.take([{ name, version }]);
    return queues;
  });
}

async function openNamed(client: Secrets, own: OwnKeys, name: WireName, atLeast: number): Promise<OpenedSecret> {
  const shown = splitWireName(name).name;
  const found = (await client.getSecrets([name])).get(name);
  if (!found) throw goneFromServer(shown);
  if (!isSealedValue(found.reveal())) throw new SealedRefusal('secret-not-sealed', shown);
  const expected = { signer: own.keys.signer.publicKey, name, atLeast };
  return await openEnvelope(found.reveal(), [own.keys.age.identity], expected).catch((error: unknown) => {
    throw error instanceof SealedRefusal ? new SealedRefusal(error.code, shown) : error;
  });
}

/**
 * Makes a kept version's value the current one again, sealed anew with a new version.
 *
 * @param kept the text of that version
 * @returns undefined when it was not sealed: the server restores it @throws {SealedRefusal} when it is not the user's own
 */
export async function restoreSealed(
  client: Secrets,
  own: OwnKeys | undefined,
  name: WireName,
  kept: Plaintext,
  now: number,
): Promise<{ message: string; sealedAt: number } | undefined> {
  const shown = splitWireName(name).name;
  const isSealed = isSealedValue(kept.reveal());
  if (!own) {
    if (isSealed) throw new Conflict(`${shown} is sealed, and this device has no key: "pbook keys import" brings it`);
    return undefined;
  }
  if (!isSealed) {
    if (await own.marks.of(name)) throw new SealedRefusal('secret-not-sealed', shown);
    return undefined;
  }
  const expected = { signer: own.keys.signer.publicKey, name, atLeast: 0 };
  const { value, version } = await openEnvelope(kept.reveal(), [own.keys.age.identity], expected);
  const { message } = await setSealed(client, own, name, value, { now });
  return { message, sealedAt: version };
}

function plainName(name: WireName): string {
  return splitWireName(name).name;
}
