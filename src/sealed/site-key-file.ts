import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { AlreadyExists, InvalidArgument, Misconfigured } from '../protocol/errors.ts';
import { MAX_KEPT_SITE_KEYS, MAX_SITE_RECORD_SECONDS, SITE_KEY_KEPT_SECONDS } from '../protocol/limits.ts';
import { SealedRefusal } from '../protocol/sealed-refusal.ts';
import { integer, list, object, type Readout, text, where } from './exact-json.ts';
import { type OwnFile, ownFile } from './own-file.ts';
import { type Signer, signerOf } from './signed.ts';
import { type SiteId, siteIdOf } from './site-id.ts';
import { AGE_RECIPIENT, makeSiteRecord, PUBLIC_KEY, readSiteRecord, type SiteRecord } from './site-record.ts';
import { importRoot, type NodeKeys, nodeKeysOf, ROOT_BYTES } from './user-root.ts';

/** The types that the files name, so that no sandbox takes them along (`client/private-files.ts`). */
const KEY_KIND = 'panda-secrets site key';
const IDENTITY_KIND = 'panda-secrets site identity';

const QUEUE = text(64, /^[\w.-]{1,64}$/);
const NUMBER = integer(1, Number.MAX_SAFE_INTEGER);

const KEY = where(
  object({
    kind: text(64, new RegExp(`^${KEY_KIND}$`)),
    queue: QUEUE,
    /** The newest first; `serial` is that of its record, `made` seconds since 1970. */
    keys: list(object({ root: text(43), serial: NUMBER, made: NUMBER }), MAX_KEPT_SITE_KEYS),
  }),
  ({ keys }) => keys.length > 0,
);
type KeyContent = Readout<typeof KEY>;

/** The request to an identity for its signature: public. */
const REQUEST = object({ queue: QUEUE, serial: NUMBER, recipient: AGE_RECIPIENT, resultSigner: PUBLIC_KEY });
type RecordRequest = Readout<typeof REQUEST>;

/** The keys of a site's nodes for one queue, with what the site says of the newest that it signed. */
export interface SiteKey {
  queue: string;
  id: SiteId;
  record: SiteRecord;
  /** Opens secrets: all that are kept, the newest first. */
  identities: NodeKeys['age']['identity'][];
  /** Signs results: the one of the record. */
  resultSigner: Signer;
}

/** The record is in a file beside its key; a request for one too, until the identity has signed it. */
export const recordFileOf = (keyFile: string): string => `${keyFile}.pub`;
export const requestFileOf = (keyFile: string): string => `${keyFile}.req`;

/**
 * Reads a site's key with its record.
 *
 * @throws {Misconfigured} when there is none, others can read it, it is damaged, or has no record yet
 * @throws {SealedRefusal} `site-record-format`, `site-record-forged`, `site-record-other`; `site-key-mismatch` when the record is of no key in it
 */
export async function readSiteKey(path: string): Promise<SiteKey> {
  const content = await keyFile(path).read();
  if (!content) throw new Misconfigured(`there is no site key at ${path}: "panda-pilot site-key new" makes one`);
  const record = readSiteRecord(await readRecord(path));
  if (record.queue !== content.queue) throw new SealedRefusal('site-record-other', path);
  const all = await Promise.all(content.keys.map(async ({ root }) => await keysOf(root, path)));
  const own = all.find(
    ({ age, resultSigner }) => age.recipient === record.recipient && resultSigner.publicKey === record.resultSigner,
  );
  if (!own) throw new SealedRefusal('site-key-mismatch', path);
  return {
    queue: record.queue,
    id: record.identity,
    record,
    identities: all.map(({ age }) => age.identity),
    resultSigner: own.resultSigner,
  };
}

/**
 * Makes a key for a queue. @returns what an identity has to sign
 *
 * @param now seconds since 1970
 * @throws {AlreadyExists} it is never overwritten, for what it opens would be lost
 */
export async function createSiteKey(path: string, queue: string, now: number): Promise<RecordRequest> {
  readOrInvalid(() => QUEUE(queue), `"${queue}" is no name of a queue`);
  const content: KeyContent = { kind: KEY_KIND, queue, keys: [newKey(now)] };
  if (!(await keyFile(path).create(content))) {
    throw new AlreadyExists(`there is a key in ${path} already: "panda-pilot site-key renew" adds a new one to it`);
  }
  return await requestFor(content, path);
}

/**
 * Adds a new key to those of a queue, and forgets those that were replaced long ago. The record stays as it is until there is another.
 *
 * @param now seconds since 1970
 */
export async function renewSiteKey(path: string, queue: string, now: number): Promise<RecordRequest> {
  const file = keyFile(path);
  const found = await file.read();
  if (!found) throw new Misconfigured(`there is no site key at ${path}: "panda-pilot site-key new" makes one`);
  if (found.queue !== queue) throw new InvalidArgument(`the key at ${path} is for the queue ${found.queue}`);
  const content = await file.change(found, ({ keys, ...rest }) => {
    // A key is replaced when the one before it is made.
    const kept = keys.filter((_, place) => place === 0 || (keys[place - 1]?.made ?? 0) + SITE_KEY_KEPT_SECONDS > now);
    const serial = Math.max(now, (keys[0]?.serial ?? 0) + 1);
    return { ...rest, keys: [{ ...newKey(now), serial }, ...kept].slice(0, MAX_KEPT_SITE_KEYS) };
  });
  return await requestFor(content, path);
}

/**
 * The record that a site says of a key.
 *
 * @param from seconds since 1970
 */
export function signSiteRecord(identity: Signer, request: RecordRequest, from: number): string {
  return makeSiteRecord(identity, {
    queue: request.queue,
    identity: siteIdOf(identity.publicKey),
    serial: request.serial,
    recipient: request.recipient,
    resultSigner: request.resultSigner,
    from,
    end: from + MAX_SITE_RECORD_SECONDS,
  });
}

/** Puts a record beside its key. */
export async function writeRecord(path: string, record: string): Promise<void> {
  await replace(recordFileOf(path), `${record}\n`);
}

/** Puts what is to be signed beside its key. */
export async function writeRequest(path: string, request: RecordRequest): Promise<void> {
  await replace(requestFileOf(path), `${JSON.stringify(REQUEST(request))}\n`);
}

/** @throws {InvalidArgument} when the file is no request */
export async function readRequest(file: string): Promise<RecordRequest> {
  const word = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new InvalidArgument(`${file} cannot be read (${error.code})`);
  });
  return readOrInvalid(() => REQUEST(JSON.parse(word)), `${file} is no request of "panda-pilot site-key"`);
}

const IDENTITY = object({ kind: text(64, new RegExp(`^${IDENTITY_KIND}$`)), seed: text(43) });

/** Makes a site's identity. @throws {AlreadyExists} it is never overwritten */
export async function createSiteIdentity(path: string): Promise<SiteId> {
  const seed = randomBytes(32);
  const content = { kind: IDENTITY_KIND, seed: toBase64url(seed) };
  if (!(await ownFile(path, 'site identity', IDENTITY).create(content))) {
    throw new AlreadyExists(`there is an identity in ${path} already: it is never overwritten, for users trust it`);
  }
  return siteIdOf(signerOf(seed).publicKey);
}

/** @throws {Misconfigured} when there is none, others can read it, or it is damaged */
export async function readSiteIdentity(path: string): Promise<Signer> {
  const found = await ownFile(path, 'site identity', IDENTITY).read();
  const seed = found && fromBase64url(found.seed);
  if (!found)
    throw new Misconfigured(`there is no site identity at ${path}: "panda-pilot site-identity new" makes one`);
  if (seed?.length !== 32) throw new Misconfigured(`the site identity ${path} is damaged`);
  return signerOf(seed);
}

function keyFile(path: string): OwnFile<KeyContent> {
  return ownFile(path, 'site key', KEY);
}

/** Serials go on from the time, so that a key that was lost and made anew has a later record. */
function newKey(now: number): KeyContent['keys'][number] {
  return { root: toBase64url(randomBytes(ROOT_BYTES)), serial: now, made: now };
}

async function requestFor({ queue, keys }: KeyContent, path: string): Promise<RecordRequest> {
  const [newest] = keys;
  if (!newest) throw new Misconfigured(`the site key ${path} is damaged`);
  const { age, resultSigner } = await keysOf(newest.root, path);
  return { queue, serial: newest.serial, recipient: age.recipient, resultSigner: resultSigner.publicKey };
}

async function keysOf(root: string, path: string): Promise<NodeKeys> {
  const bytes = fromBase64url(root);
  if (bytes?.length !== ROOT_BYTES) throw new Misconfigured(`the site key ${path} is damaged`);
  return await nodeKeysOf(importRoot(bytes));
}

async function readRecord(path: string): Promise<string> {
  const file = recordFileOf(path);
  const word = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Misconfigured(
      `the record of the site key, ${file}, cannot be read (${error.code}): "panda-pilot site-identity sign" makes it of ${requestFileOf(path)}`,
    );
  });
  return word.trim();
}

/** A reader finds the old content or the new one. */
async function replace(file: string, content: string): Promise<void> {
  const next = `${file}.${randomUUID()}`;
  await writeFile(next, content, { mode: 0o644, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw new Misconfigured(`${file} cannot be written (${error.code})`);
  });
  await rename(next, file);
}

function readOrInvalid<T>(read: () => T, message: string): T {
  try {
    return read();
  } catch {
    throw new InvalidArgument(message);
  }
}
