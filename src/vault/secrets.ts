import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type SecretKind, splitWireName, type WireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import { checkTrusted, type TrustedQueues } from '../protocol/trusted-queues.ts';
import { type DataKey, hashName } from '../sealing/data-key.ts';
import { openName, openValue } from '../sealing/value-format.ts';
import { findSecretIds, findSecretNames, listSecretRows } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import type { CurrentSecrets, SealedSecret } from './current-secrets.ts';
import type { DataKeys } from './data-keys.ts';
import { queuesOf } from './trusted-queues.ts';

/** A secret whose value is in memory. */
export interface OpenedSecret {
  id: string;
  name: WireName;
  value: Plaintext;
  version: number;
}

/** A secret without its value; times are milliseconds since 1970 UTC. */
export interface SecretInfo {
  id: string;
  name: WireName;
  kind: SecretKind;
  queues: TrustedQueues;
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  createdAt: number;
  updatedAt: number;
}

/** What reading needs of the vault. */
export interface Reading {
  store: Store;
  dataKeys: DataKeys;
  current: CurrentSecrets;
}

/**
 * Opens an owner's secrets, or those of the given names that are there; sorted by name, all as of one moment.
 *
 * @throws {DecryptionFailed} when one of them does not open; none is answered then
 */
export async function openSecrets(
  reading: Reading,
  owner: OwnerId,
  names?: readonly WireName[],
): Promise<OpenedSecret[]> {
  const all = await reading.current.of(owner);
  const [first] = all;
  if (!first) return [];
  if (!names) return openAll(reading, owner, all);
  // All of an owner's rows are under one data key.
  const dataKey = await reading.dataKeys.get(owner, first.dataKeyId);
  const wanted = hashesOf(dataKey, names);
  return openAll(
    reading,
    owner,
    all.filter(({ nameHash }) => wanted.has(asText(nameHash))),
  );
}

/** What an owner keeps, sorted by name. @throws {DecryptionFailed} when a name does not open */
export async function listSecrets({ store, dataKeys }: Reading, owner: OwnerId): Promise<SecretInfo[]> {
  const listed: SecretInfo[] = [];
  for (const row of await listSecretRows(store.db, owner)) {
    const dataKey = await dataKeys.get(owner, row.data_key_id);
    listed.push({
      id: row.id,
      name: openName(dataKey, { nameHash: row.name_hash, queues: row.queues }, row.name_ciphertext),
      kind: row.kind as SecretKind,
      queues: queuesOf(row.queues),
      version: row.current_version,
      size: row.size,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    });
  }
  return listed.sort(byName);
}

/**
 * The ids of an owner's secrets, in the order of `names`.
 *
 * @param task the queue of a task that names them, null for any; they must be allowed to go there
 * @throws {NotFound} naming all that are not there @throws {Forbidden} naming all that may not go there
 */
export async function idsOfNames(
  { store, dataKeys }: Reading,
  owner: OwnerId,
  names: readonly WireName[],
  task?: { queue: string | null },
): Promise<string[]> {
  if (names.length === 0) return [];
  const dataKey = await dataKeys.active(owner);
  const hashes = names.map((name) => (dataKey ? hashName(dataKey, name) : Buffer.alloc(0)));
  const rows = dataKey ? await findSecretIds(store.db, owner, hashes) : [];
  const byHash = new Map(rows.map((row) => [asText(row.name_hash), row]));
  const found = names.flatMap((name, n) => {
    const row = byHash.get(asText(hashes[n] as Buffer));
    return row ? [{ id: row.id, name, queues: queuesOf(row.queues) }] : [];
  });
  if (found.length < names.length) throw noSuchSecret(names.filter((name) => !found.some((one) => one.name === name)));
  if (task) checkTrusted(found, task.queue);
  return found.map(({ id }) => id);
}

/** The names of those secrets that are still there. */
export async function namesOfIds(
  { store, dataKeys }: Reading,
  owner: OwnerId,
  ids: readonly string[],
): Promise<Map<string, WireName>> {
  const names = new Map<string, WireName>();
  if (ids.length === 0) return names;
  for (const row of await findSecretNames(store.db, owner, ids)) {
    const dataKey = await dataKeys.get(owner, row.data_key_id);
    names.set(row.id, openName(dataKey, { nameHash: row.name_hash, queues: row.queues }, row.name_ciphertext));
  }
  return names;
}

export function noSuchSecret(names: readonly WireName[]): NotFound {
  const quoted = names.map((name) => `"${splitWireName(name).name}"`);
  return new NotFound(`you have no secret named ${quoted.join(', ')}`);
}

/** Opens them all, sorted by name. @throws {DecryptionFailed} when one of them does not open; none is answered then */
export async function openAll(
  { dataKeys }: Reading,
  owner: OwnerId,
  sealed: readonly SealedSecret[],
): Promise<OpenedSecret[]> {
  const keys = new Map<string, DataKey>();
  for (const { dataKeyId } of sealed) {
    if (!keys.has(dataKeyId)) keys.set(dataKeyId, await dataKeys.get(owner, dataKeyId));
  }
  // In one go: between other requests' openings, what each leaves behind would live long enough to cost the collector more.
  const opened = sealed.map(({ id, dataKeyId, nameHash, version, queues, ciphertext }): OpenedSecret => {
    const { name, value } = openValue(keys.get(dataKeyId) as DataKey, { nameHash, version, queues }, ciphertext);
    return { id, name, value, version };
  });
  return opened.sort(byName);
}

function hashesOf(dataKey: DataKey, names: readonly WireName[]): Set<string> {
  return new Set(names.map((name) => asText(hashName(dataKey, name))));
}

function asText(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1');
}

function byName(a: { name: WireName }, b: { name: WireName }): number {
  return a.name < b.name ? -1 : 1;
}
