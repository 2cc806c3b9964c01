import { appendAudit } from '../audit/audit.ts';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { KEPT_VERSIONS } from '../protocol/limits.ts';
import { type SecretKind, splitWireName, type WireName, wireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import {
  type AttributeChange,
  type Attributes,
  attributesOf,
  NO_ATTRIBUTES,
  toldAttributes,
} from '../protocol/secret-attributes.ts';
import { checkValue, utf8Length } from '../protocol/text.ts';
import { type DataKey, hashName, secretIdOf } from '../sealing/data-key.ts';
import { openName, openValue, sealName, sealValue } from '../sealing/value-format.ts';
import { deleteOldVersions, insertVersion } from '../store/secret-versions.ts';
import {
  advanceSecret,
  deleteSecretRow,
  deleteSecretRows,
  findSecret,
  insertSecret,
  listSecretRows,
} from '../store/secrets.ts';
import { bindAttributes } from './attributes.ts';
import type { SealedSecret } from './current-secrets.ts';
import { type Changing, lockOwner, type Reading, underActiveKey } from './owners.ts';
import { checkQuota } from './quota.ts';
import { asText } from './secret-names.ts';

/** A secret whose value is in memory. */
export interface OpenedSecret {
  id: string;
  name: WireName;
  value: Plaintext;
  version: number;
  attributes: Attributes;
}

/** A secret without its value; times are milliseconds since 1970 UTC. */
export interface SecretInfo {
  id: string;
  name: WireName;
  kind: SecretKind;
  attributes: Attributes;
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  createdAt: number;
  updatedAt: number;
}

/**
 * Keeps a value as the next version of a secret, and of the versions before it the last few.
 *
 * @param options `attributes`: those it names change; a new secret carries no others. `restored`: the version that the value is
 * from and the secret that must still be there; without it the secret is made when it is not there
 * @throws {InvalidValue} {@link checkValue}
 * @throws {DecryptionFailed} when the secret's row was changed behind the vault
 * @throws {QuotaExceeded} when the owner would keep too many secrets or too many bytes
 * @throws {NotFound} when the secret to restore was deleted meanwhile
 */
export async function setSecret(
  changing: Changing,
  owner: OwnerId,
  secret: { name: WireName; value: Plaintext },
  options: { attributes?: AttributeChange; restored?: { id: string; version: number } } = {},
): Promise<{ version: number }> {
  const { clock } = changing;
  const { name, value } = secret;
  const { attributes: change = {}, restored } = options;
  checkValue(value.reveal());
  const size = utf8Length(value.reveal());

  return underActiveKey(changing, owner, async (tx, dataKey, head) => {
    const now = clock();
    const nameHash = hashName(dataKey, name);
    const [found] = await findSecret(tx, { ownerId: owner, nameHash });
    if (restored && found?.id !== restored.id) throw new NotFound('the secret was deleted before it was restored');
    await checkQuota(tx, owner, { added: found ? 0 : 1, grown: size - (found?.size ?? 0) });

    const id = found?.id ?? secretIdOf(nameHash);
    const version = (found?.current_version ?? 0) + 1;
    const attributes = found
      ? await bindAttributes(tx, dataKey, found, { name, nameHash }, change)
      : { ...NO_ATTRIBUTES, ...change };
    if (found) {
      await advanceSecret(tx, { id, version, size, now });
    } else {
      const nameCiphertext = sealName(dataKey, { nameHash, attributes }, name);
      const { kind } = splitWireName(name);
      const row = { id, ownerId: owner, dataKeyId: dataKey.id, nameHash, nameCiphertext, attributes, kind, size, now };
      await insertSecret(tx, row);
    }
    const ciphertext = sealValue(dataKey, { nameHash, version, attributes }, secret);
    await insertVersion(tx, { secretId: id, version, ownerId: owner, dataKeyId: dataKey.id, ciphertext, size, now });
    if (version > KEPT_VERSIONS) await deleteOldVersions(tx, { secretId: id, lastVersion: version - KEPT_VERSIONS });

    if (restored) {
      const detail = { secret: id, version, from: restored.version };
      await appendAudit(tx, clock, owner, 'owner', 'secret.restore', detail, head);
    } else {
      const detail = { secret: id, version, ...toldAttributes(change) };
      await appendAudit(tx, clock, owner, 'owner', 'secret.set', detail, head);
    }
    return { version };
  });
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
  const wanted = new Set(names.map((name) => asText(hashName(dataKey, name))));
  return openAll(
    reading,
    owner,
    all.filter(({ nameHash }) => wanted.has(asText(nameHash))),
  );
}

/** An owner's secrets without values, sorted by name. @throws {DecryptionFailed} when a name does not open */
export async function listSecrets({ store, dataKeys }: Reading, owner: OwnerId): Promise<SecretInfo[]> {
  const listed: SecretInfo[] = [];
  for (const row of await listSecretRows(store.db, owner)) {
    const dataKey = await dataKeys.get(owner, row.data_key_id);
    const attributes = attributesOf(row);
    listed.push({
      id: row.id,
      name: openName(dataKey, { nameHash: row.name_hash, attributes }, row.name_ciphertext),
      kind: row.kind as SecretKind,
      attributes,
      version: row.current_version,
      size: row.size,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    });
  }
  return listed.sort(byName);
}

/**
 * Deletes a secret with all its versions. As in PanDA, a name that no string has is the name of a file.
 *
 * @returns whether there was one
 */
export async function deleteSecret(changing: Changing, owner: OwnerId, name: WireName): Promise<boolean> {
  // An owner without secrets gets no data key.
  if (!(await changing.dataKeys.active(owner))) return false;
  const names = splitWireName(name).kind === 'string' ? [name, wireName(name, 'file')] : [name];
  return underActiveKey(changing, owner, async (tx, dataKey, head) => {
    for (const candidate of names) {
      const [found] = await findSecret(tx, { ownerId: owner, nameHash: hashName(dataKey, candidate) });
      if (!found) continue;
      await deleteSecretRow(tx, owner, found.id);
      await appendAudit(tx, changing.clock, owner, 'owner', 'secret.delete', { secret: found.id }, head);
      return true;
    }
    return false;
  });
}

/** Deletes every secret of an owner. @returns how many there were */
export async function deleteAllSecrets({ store, clock }: Changing, owner: OwnerId): Promise<number> {
  return store.write(async (tx) => {
    const head = await lockOwner(tx, owner);
    const secrets = await deleteSecretRows(tx, owner);
    if (secrets.length > 0) await appendAudit(tx, clock, owner, 'owner', 'secret.delete_all', { secrets }, head);
    return secrets.length;
  });
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
  const opened = sealed.map(({ id, dataKeyId, nameHash, version, attributes, ciphertext }): OpenedSecret => {
    const dataKey = keys.get(dataKeyId) as DataKey;
    return { id, version, attributes, ...openValue(dataKey, { nameHash, version, attributes }, ciphertext) };
  });
  return opened.sort(byName);
}

function byName(a: { name: WireName }, b: { name: WireName }): number {
  return a.name < b.name ? -1 : 1;
}
