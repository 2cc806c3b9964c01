import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { SIGNING_KEYS_RECHECK_SECONDS } from '../protocol/limits.ts';
import { findSigningKeys, insertSigningKeys, lockSigningKeys, updateSigningKeys } from '../store/installation-keys.ts';
import type { Database, Store } from '../store/store.ts';
import type { OwnRecords } from './own-records.ts';

const RSA_BITS = 2048;

/** The keys that sign an installation's tokens. All of its servers have the same ones, from the database. */
export interface SigningKeySet {
  /** The `iss` of this installation's tokens: `urn:panda-secrets:UUID`. */
  issuer: string;
  /** Private RS256 keys with `kid`, newest first: the first signs, all verify. */
  keys: SigningKey[];
}

export type SigningKey = JWK & { kid: string };

/** The signing keys while a server runs. */
export interface SigningKeys {
  /** As they were at the latest `SIGNING_KEYS_RECHECK_SECONDS` ago; the same object while they did not change. */
  current(): Promise<SigningKeySet>;
  /** Looks again now, but not oftener than once a second. */
  latest(): Promise<SigningKeySet>;
}

/** The first keys of an installation. */
export async function newSigningKeys(): Promise<SigningKeySet> {
  return { issuer: `urn:panda-secrets:${randomUUID()}`, keys: [await newSigningKey()] };
}

/** Keeps the first keys of an installation, sealed, unless it has some. */
export async function keepSigningKeys(tx: Database, key: OwnRecords, keys: SigningKeySet): Promise<void> {
  await insertSigningKeys(tx, { revision: 1, sealed: sealed(key, 1, keys) });
}

/**
 * Opens the signing keys of the database. While a server runs it takes up those that another one rotated, and never goes back
 * behind the ones that it has seen. What cannot be read meanwhile is as it was. `clock` is in milliseconds.
 *
 * @throws {Misconfigured} when there are none @throws {DecryptionFailed} when they were changed
 */
export async function openSigningKeys({
  store,
  records,
  clock,
}: {
  store: Pick<Store, 'db'>;
  records: OwnRecords;
  clock: () => number;
}): Promise<SigningKeys> {
  async function read(): Promise<{ revision: number; set: SigningKeySet }> {
    const row = await findSigningKeys(store.db);
    if (!row) throw new Misconfigured("the installation's signing keys are missing from the database: restore it");
    return { revision: row.revision, set: opened(records, row) };
  }

  let known = await read();
  let lookedAt = clock();

  async function noOlderThan(seconds: number): Promise<SigningKeySet> {
    const age = clock() - lookedAt;
    // Below 0 where the clock was set back.
    if (0 <= age && age < seconds * 1000) return known.set;
    lookedAt = clock();
    const found = await read().catch(() => known);
    if (found.revision > known.revision) known = found;
    return known.set;
  }

  return { current: () => noOlderThan(SIGNING_KEYS_RECHECK_SECONDS), latest: () => noOlderThan(1) };
}

/**
 * Puts a new key in front: it signs from now on, at every server within `SIGNING_KEYS_RECHECK_SECONDS`. The older ones stay, so
 * that what they signed stays good, unless `forgetOlder` says that they may be in other hands.
 *
 * @returns how many keys there are now
 */
export async function rotateSigningKey(
  { store, records, clock }: { store: Store; records: OwnRecords; clock: () => number },
  { forgetOlder = false }: { forgetOlder?: boolean } = {},
  by: AuditActor = 'operator',
): Promise<number> {
  const added = await newSigningKey();
  return store.write(async (tx) => {
    const row = await lockSigningKeys(tx);
    if (!row) throw new Misconfigured("the installation's signing keys are missing from the database: restore it");
    const before = opened(records, row);
    const set = { ...before, keys: [added, ...(forgetOlder ? [] : before.keys)] };
    const revision = row.revision + 1;
    await updateSigningKeys(tx, { revision, sealed: sealed(records, revision, set) });
    await appendAudit(tx, clock, SYSTEM, by, 'signing_key.rotate', { forgetOlder });
    return set.keys.length;
  });
}

function sealed(key: OwnRecords, revision: number, set: SigningKeySet): Buffer {
  return key.seal(placeOf(revision), JSON.stringify(set));
}

function opened(key: OwnRecords, { revision, sealed }: { revision: number; sealed: Uint8Array }): SigningKeySet {
  return JSON.parse(key.open(placeOf(revision), sealed, 'the record of the signing keys'));
}

function placeOf(revision: number): string[] {
  return ['signing keys', String(revision)];
}

async function newSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: RSA_BITS, extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'RS256', use: 'sig' };
}
