import type { Client } from '../client/client.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import type { Grant } from './grant.ts';
import { type GrantedTask, knownBy, namesOf, type SeenAttempt } from './granted-tasks.ts';
import { siteRecord } from './own-secrets.ts';
import { type Result, readResult } from './result.ts';
import { readSiteRecord, type SiteRecord } from './site-record.ts';
import type { TrustedSites } from './trusted-sites.ts';

/** Which result it is, as its reader asked for it. */
export interface WantedResult extends Pick<Result, 'kind' | 'name' | 'serial'> {
  /** The server's number of the attempt. */
  attempt: number;
  /** True of what the server calls the last attempt's. */
  isLatest: boolean;
}

/** Checks what the jobs of one task bring back against what its user signed. */
export interface ResultCheck {
  /**
   * Checks all but the bytes; and the number of a live part, which its reader knows.
   *
   * @param word the node's signature
   * @throws {SealedRefusal} `result-unsigned`, `result-format`, `result-untrusted`, `result-forged`, `result-other`, `result-old`
   */
  check(word: string | undefined, wanted: WantedResult): Promise<Result>;
  /** The latest attempt at a job of which something was seen, by the server's number; 0 when nothing was. */
  latest(serial: number): number;
  /** The latest attempts that were seen, those of before included, where they changed. */
  seen(): SeenAttempt[];
}

export interface ResultCheckOptions {
  sites: TrustedSites;
  /** The grant that the server shows of the task, for a nonce that is not known here: another device may have signed again. */
  shownGrant(): Promise<Grant | undefined>;
  /** Told of such a grant, when it is the user's own and later than those that are known. */
  learn(grant: Grant): Promise<void>;
  /** Seconds since 1970. */
  now: number;
}

export function resultCheck(
  client: Pick<Client, 'getSiteRecord'>,
  task: GrantedTask,
  { sites, shownGrant, learn, now }: ResultCheckOptions,
): ResultCheck {
  const grants = [...task.grants];
  let hasLearned = false;
  const seen = new Map(task.seen.map((one) => [one.serial, one]));
  const attempts = new Map<string, SeenAttempt>();
  const changed = new Set<number>();
  let kept: SiteRecord[] | undefined;
  let shown: SiteRecord[] | undefined;

  async function read(word: string, expected: Partial<Result>): Promise<{ result: Result; grant: number }> {
    kept ??= await keptRecords(task, sites);
    try {
      return await readBy(word, kept, expected);
    } catch (error) {
      if (!(error instanceof SealedRefusal) || error.code !== 'result-forged') throw error;
    }
    // A node may have a key that was not seen here so far.
    shown ??= await shownRecords(client, task, sites, now);
    return await readBy(word, [...kept, ...shown], expected);
  }

  async function readBy(word: string, records: readonly SiteRecord[], expected: Partial<Result>) {
    const { nonce } = readResult(word, signersOf(records), expected);
    const place = await placeOf(nonce);
    const grant = grants[place];
    if (!grant) throw new SealedRefusal('result-other');
    const ofGrant = records.filter(
      ({ identity, from, end }) => grant.sites.includes(identity) && end > grant.from && from < grant.end,
    );
    return { result: readResult(word, signersOf(ofGrant), expected), grant: place };
  }

  async function placeOf(nonce: string): Promise<number> {
    const place = grants.findIndex((one) => one.nonce === nonce);
    if (place >= 0 || hasLearned) return place;
    hasLearned = true;
    const found = await shownGrant();
    const isOwn = found && found.signer === task.signer && found.task === task.task;
    if (!isOwn || found.nonce !== nonce || found.end < (grants.at(-1)?.end ?? 0)) return -1;
    await learn(found);
    return grants.push(...knownBy(found).grants) - 1;
  }

  /** An attempt has one number of the server's and one place in one grant, and of two of a job the later has the later of both. */
  function checkAttempt(found: SeenAttempt, { isLatest }: WantedResult, about: string): void {
    const { serial, attempt, grant, counted } = found;
    const latest = seen.get(serial);
    const key = `${serial}.${attempt}`;
    const other = new SealedRefusal('result-other', about);
    if (counted > attempt || (grant === 0 && task.isWhole && counted !== attempt)) throw other;
    const known = attempts.get(key);
    if (known && compare(known, found) !== 0) throw other;
    if (latest) {
      const order = compare(found, latest);
      if (isLatest && order < 0) throw new SealedRefusal('result-old', about);
      if (order !== Math.sign(attempt - latest.attempt)) throw other;
    }
    attempts.set(key, found);
    if (latest && attempt <= latest.attempt) return;
    seen.set(serial, found);
    changed.add(serial);
  }

  return {
    async check(word, wanted) {
      const { serial, kind, name, attempt } = wanted;
      if (typeof word !== 'string') throw new SealedRefusal('result-unsigned', name);
      const names = serial >= 1 && serial <= task.jobs ? namesOf(task, serial) : undefined;
      const isOwn = kind === 'output' ? names?.outputs.includes(name) : names?.logName === name;
      if (!isOwn) throw new SealedRefusal('result-other', name);
      const expected = { serial, kind, name, ...(kind !== 'live' && { seq: 0, last: true }) };
      const { result, grant } = await read(word, expected).catch((error) => {
        throw error instanceof SealedRefusal ? new SealedRefusal(error.code, name) : error;
      });
      checkAttempt({ serial, attempt, grant, counted: result.attempt }, wanted, name);
      return result;
    },
    latest: (serial) => seen.get(serial)?.attempt ?? 0,
    seen: () => [...changed].flatMap((serial) => seen.get(serial) ?? []),
  };
}

function compare(one: SeenAttempt, other: SeenAttempt): number {
  return Math.sign(one.grant - other.grant || one.counted - other.counted);
}

function signersOf(records: readonly SiteRecord[]): string[] {
  return records.map(({ resultSigner }) => resultSigner);
}

/** Of the task's sites, those records that were taken on this device. @throws {SealedRefusal} `result-untrusted` */
async function keptRecords(task: GrantedTask, sites: TrustedSites): Promise<SiteRecord[]> {
  const trusted = await trustedOf(task, sites);
  if (trusted.length === 0) throw new SealedRefusal('result-untrusted');
  return trusted.flatMap(({ id, records }) => records.map(readSiteRecord).filter(({ identity }) => identity === id));
}

/** Of the same sites, what the server shows of them: a node may have renewed its key since. One that has ended still counts for results. */
async function shownRecords(
  client: Pick<Client, 'getSiteRecord'>,
  task: GrantedTask,
  sites: TrustedSites,
  now: number,
): Promise<SiteRecord[]> {
  const found: SiteRecord[] = [];
  for (const { queue, id } of await trustedOf(task, sites)) {
    const word = await siteRecord(client, queue);
    if (word === null) continue;
    try {
      const record = readSiteRecord(word);
      if (record.identity !== id || record.queue !== queue) continue;
      found.push(record);
      await sites.trust(queue, id, word, now);
    } catch (error) {
      if (!(error instanceof SealedRefusal)) throw error;
    }
  }
  return found;
}

async function trustedOf({ grants }: GrantedTask, sites: TrustedSites) {
  return (await sites.list()).filter(({ id }) => grants.some((grant) => grant.sites.includes(id)));
}
