import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type SecretKind, splitWireName, type WireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import { type DataKey, hashName } from '../sealing/data-key.ts';
import { openName, openValue } from '../sealing/value-format.ts';
import { findSecretIds, findSecretNames, listSecretRows } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import type { CurrentSecrets, SealedSecret } from './current-secrets.ts';
import type { DataKeys } from './data-keys.ts';

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

/** Opens the secrets of those ids. @throws {NotFound} naming the ids that are not there @throws {DecryptionFailed} as above */
export async function openSecretsById(
  reading: Reading,
  owner: OwnerId,
  ids: readonly string[],
): Promise<OpenedSecret[]> {
  const wanted = new Set(ids);
  const found = (await reading.current.of(owner)).filter(({ id }) => wanted.has(id));
  for (const { id } of found) wanted.delete(id);
  if (wanted.size > 0) {
    throw new NotFound(`secrets that were asked for are no longer there: ${[...wanted].join(', ')}`);
  }
  return openAll(reading, owner, found);
}

/** What an owner keeps, sorted by name. @throws {DecryptionFailed} when a name does not open */
export async function listSecrets({ store, dataKeys }: Reading, owner: OwnerId): Promise<SecretInfo[]> {
  const listed: SecretInfo[] = [];
  for (const row of await listSecretRows(store.db, owner)) {
    const dataKey = await dataKeys.get(owner, row.data_key_id);
    listed.push({
      id: row.id,
      name: openName(dataKey, { nameHash: row.name_hash }, row.name_ciphertext),
      kind: row.kind as SecretKind,
      version: row.current_version,
      size: row.size,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    });
  }
  return listed.sort(byName);
}

/** The ids of an owner's secrets, in the order of `names`. @throws {NotFound} naming all that are not there */
export async function idsOfNames(
  { store, dataKeys }: Reading,
  owner: OwnerId,
  names: readonly WireName[],
): Promise<string[]> {
  if (names.length === 0) return [];
  const dataKey = await dataKeys.active(owner);
  const hashes = names.map((name) => (dataKey ? hashName(dataKey, name) : Buffer.alloc(0)));
  const rows = dataKey ? await findSecretIds(store.db, owner, hashes) : [];
  const ids = new Map(rows.map((row) => [asText(row.name_hash), row.id]));
  const missing = names.filter((_, n) => !ids.has(asText(hashes[n] as Buffer)));
  if (missing.length > 0) throw noSuchSecret(missing);
  return hashes.map((hash) => ids.get(asText(hash)) as string);
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
    names.set(row.id, openName(dataKey, { nameHash: row.name_hash }, row.name_ciphertext));
  }
  return names;
}

export function noSuchSecret(names: readonly WireName[]): NotFound {
  const quoted = names.map((name) => `"${splitWireName(name).name}"`);
  return new NotFound(`you have no secret named ${quoted.join(', ')}`);
}

async function openAll(
  { dataKeys }: Reading,
  owner: OwnerId,
  sealed: readonly SealedSecret[],
): Promise<OpenedSecret[]> {
  const opened: OpenedSecret[] = [];
  for (const { id, dataKeyId, nameHash, version, ciphertext } of sealed) {
    const dataKey = await dataKeys.get(owner, dataKeyId);
    const { name, value } = openValue(dataKey, { nameHash, version }, ciphertext);
    opened.push({ id, name, value, version });
  }
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
