import { appendAudit } from '../audit/audit.ts';
import { Conflict, DecryptionFailed, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { KEPT_VERSIONS } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import { isSealedValue } from '../protocol/sealed-value.ts';
import {
  type AttributeChange,
  type Attributes,
  attributesOf,
  NO_ATTRIBUTES,
  toldAttributes,
} from '../protocol/secret-attributes.ts';
import { byName } from '../protocol/secrets-text.ts';
import { checkValue, ownText, utf8Length } from '../protocol/text.ts';
import { type DataKey, secretIdOf } from '../sealing/data-key.ts';
import { openName, openValue, sealName, sealValue } from '../sealing/value-format.ts';
import { deleteOldVersions, insertVersion, replaceVersion } from '../store/secret-versions.ts';
import { advanceSecret, deleteSecretRow, deleteSecretRows, insertSecret, listSecretRows } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';
import { bindAttributes } from './attributes.ts';
import type { SealedSecret } from './current-secrets.ts';
import {
  type Damage,
  type DamagedSecret,
  describeDamaged,
  keyOf,
  keysOf,
  openOrDamage,
  wholeOrNone,
} from './damaged-secrets.ts';
import { checkEnding, hasEnded } from './expiry.ts';
import { nameHashes, withoutReplaced } from './one-name.ts';
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
  attributes: Attributes;
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  /** True when its owner's client sealed the value: this system cannot open it. */
  sealed: boolean;
  createdAt: number;
  updatedAt: number;
  /** Its end has come: no job gets it. */
  expired: boolean;
  /** When a job last got it, to `USE_NOTED_SECONDS`; null when none did. */
  lastUsedAt: number | null;
}

/**
 * Keeps a value as the next version of a secret, and of the versions before it the last few.
 *
 * @param options `attributes`: those it names change; a new secret carries no others. `restored`: the version that the value is
 * from and the secret that must still be there; without it the secret is made when it is not there
 * @throws {InvalidValue} {@link checkValue}
 * @throws {DecryptionFailed} when the secret's row was changed behind the vault
 * @throws {Conflict} when the value is plain and the secret's current one sealed: a program that does not seal took its place
 * @throws {QuotaExceeded} when the owner would keep too many secrets or too many bytes
 * @throws {NotFound} when the secret to restore was deleted meanwhile
 * @throws {InvalidArgument} when its end has come, and the change names no later one
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
  const sealed = isSealedValue(value.reveal()) ? 1 : 0;

  return underActiveKey(changing, owner, { how: 'grow', name }, async (tx, dataKey, { head, seen }) => {
    const now = clock();
    const { found, replaced, nameHash } = seen;
    if (restored && found?.id !== restored.id) throw new NotFound('the secret was deleted before it was restored');
    const rows = found ? [found, ...replaced] : [];
    if (sealed === 0 && rows.some((row) => row.sealed === 1)) throw wasSealed();
    const named = change.expires !== undefined;
    const expires = change.expires ?? (named ? null : ((found?.expires as Attributes['expires']) ?? null));
    checkEnding({ attributes: { expires }, expiredAt: named ? null : (found?.expired_at ?? null) }, { named, now });
    const sizeBefore = rows.reduce((sum, row) => sum + row.size, 0);
    await checkQuota(tx, owner, { added: 1 - rows.length, grown: size - sizeBefore }, changing.limits);
    for (const row of replaced) await deleteSecretRow(tx, owner, row.id);

    const id = found?.id ?? secretIdOf(nameHash);
    const version = (found?.current_version ?? 0) + 1;
    const attributes = found ? await bindAttributes(tx, dataKey, found, name, change) : { ...NO_ATTRIBUTES, ...change };
    if (found) {
      await advanceSecret(tx, { id, version, size, sealed, now });
    } else {
      const nameCiphertext = sealName(dataKey, { nameHash, attributes }, name);
      const row = {
        id,
        ownerId: owner,
        dataKeyId: dataKey.id,
        nameHash,
        nameCiphertext,
        attributes,
        size,
        sealed,
        now,
      };
      await insertSecret(tx, row);
    }
    const ciphertext = sealValue(dataKey, { nameHash, version, attributes }, secret);
    const row = { secretId: id, version, ownerId: owner, dataKeyId: dataKey.id, ciphertext, size, now };
    await keepVersion(tx, row, found?.oldest_version ?? null);

    if (restored) {
      const detail = { secret: id, version, from: restored.version, ...idsOf(replaced) };
      await appendAudit(tx, clock, owner, 'owner', 'secret.restore', detail, head);
    } else {
      const detail = { secret: id, version, ...toldAttributes(change), ...idsOf(replaced) };
      await appendAudit(tx, clock, owner, 'owner', 'secret.set', detail, head);
    }
    return { version };
  });
}

/** Writes a version in the place of the one that is kept no longer because of it. @param oldest the first that is there; null for none */
async function keepVersion(
  tx: Database,
  row: Parameters<typeof insertVersion>[1],
  oldest: number | null,
): Promise<void> {
  const replaced = row.version - KEPT_VERSIONS;
  if (oldest === replaced) {
    const { ownerId: _ownerId, ...change } = row;
    await replaceVersion(tx, { ...change, replaced });
    return;
  }
  await insertVersion(tx, row);
  // An earlier release kept more, or one in between was lost.
  if (oldest !== null && oldest < replaced) {
    await deleteOldVersions(tx, { secretId: row.secretId, lastVersion: replaced });
  }
}

/**
 * Opens an owner's secrets, or those of the given names that are there; sorted by name, all as of one moment.
 *
 * @throws {DecryptionFailed} when one of them does not open, with its id; none is answered then
 */
export async function openSecrets(
  reading: Reading,
  owner: OwnerId,
  names?: readonly WireName[],
): Promise<OpenedSecret[]> {
  if (names) {
    const opened = await openAll(reading, owner, await reading.current.named(owner, names));
    // A string is not answered to whom asks for a file of its name, nor the other way about.
    const meant = opened.filter(({ name }) => names.includes(name));
    if (meant.length === new Set(names).size) return meant;
  }
  const all = await reading.current.of(owner);
  if (!names || all.length === 0) return openAll(reading, owner, all);
  // One that is not there may be in a row that was changed behind the vault: all rows tell.
  const dataKey = [...(await keysOf(reading.dataKeys, owner, all)).values()][0] as DataKey;
  const wanted = new Set(names.flatMap((name) => nameHashes(dataKey, name).map(asText)));
  const found = all.filter(({ nameHash }) => wanted.has(asText(nameHash)));
  return (await openAll(reading, owner, found)).filter(({ name }) => names.includes(name));
}

/** An owner's secrets that open, sorted by name, and what is known of the others; all as of one moment. */
export interface ReadableSecrets {
  secrets: OpenedSecret[];
  damaged: DamagedSecret[];
}

/** See `Vault.readableText`. */
export function writeReadable(
  reading: Reading,
  owner: OwnerId,
  write: (readable: ReadableSecrets) => string,
): Promise<Buffer> {
  return reading.current.text(owner, {
    use: 'shown',
    async write(sealed) {
      const { secrets, damages } = await openEach(reading, owner, sealed);
      const text = write({ secrets, damaged: await describeDamaged(reading, owner, damages) });
      return { text: ownText(text), isWhole: damages.size === 0 };
    },
  });
}

/** An owner's secrets without values, sorted by name, and those whose names do not open. */
export async function listSecrets(
  reading: Reading,
  owner: OwnerId,
  now: number,
): Promise<{ secrets: SecretInfo[]; damaged: DamagedSecret[] }> {
  const rows = (await listSecretRows(reading.store.db, owner)).map((row) => ({ ...row, dataKeyId: row.data_key_id }));
  const keys = await keysOf(reading.dataKeys, owner, rows);
  const damages = new Map<string, Damage>();
  const named = rows.flatMap((row) => {
    const attributes = attributesOf(row);
    const name = openOrDamage(() =>
      openName(keyOf(keys, row), { nameHash: row.name_hash, attributes }, row.name_ciphertext),
    );
    if ('opened' in name) return { ...row, name: name.opened, attributes };
    damages.set(row.id, name.damage);
    return [];
  });
  const listed = withoutReplaced(named, ({ name }) => name).map((row) => ({
    id: row.id,
    name: row.name,
    attributes: row.attributes,
    version: row.current_version,
    size: row.size,
    sealed: row.sealed === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expired: hasEnded({ attributes: row.attributes, expiredAt: row.expired_at }, now),
    lastUsedAt: row.last_used_at,
  }));
  return { secrets: listed.sort(byName), damaged: await describeDamaged(reading, owner, damages) };
}

/** Deletes the secret of a name, of either kind, with all its versions. @returns false when there was none */
export async function deleteSecret(changing: Changing, owner: OwnerId, name: WireName): Promise<boolean> {
  // An owner without secrets gets no data key.
  if (!(await changing.dataKeys.active(owner))) return false;
  return underActiveKey(changing, owner, { how: 'write', name }, async (tx, _dataKey, { head, seen }) => {
    const { found, replaced } = seen;
    if (!found) return false;
    for (const row of [found, ...replaced]) await deleteSecretRow(tx, owner, row.id);
    const detail = { secret: found.id, ...idsOf(replaced) };
    await appendAudit(tx, changing.clock, owner, 'owner', 'secret.delete', detail, head);
    return true;
  });
}

/**
 * Deletes a secret by its id, with all its versions: nothing of it has to open.
 *
 * @returns false when the owner has none of that id
 */
export async function deleteSecretById({ store, clock }: Changing, owner: OwnerId, id: string): Promise<boolean> {
  return store.write(async (tx) => {
    const head = await lockOwner(tx, owner);
    if (!(await deleteSecretRow(tx, owner, id))) return false;
    await appendAudit(tx, clock, owner, 'owner', 'secret.delete', { secret: id }, head);
    return true;
  });
}

/** Deletes every secret of an owner. @returns the number of them */
export async function deleteAllSecrets({ store, clock }: Changing, owner: OwnerId): Promise<number> {
  return store.write(async (tx) => {
    const head = await lockOwner(tx, owner);
    const secrets = await deleteSecretRows(tx, owner);
    if (secrets.length > 0) await appendAudit(tx, clock, owner, 'owner', 'secret.delete_all', { secrets }, head);
    return secrets.length;
  });
}

/** Opens them all, sorted by name. @throws {DecryptionFailed} when one of them does not open, with its id */
export async function openAll(
  reading: Reading,
  owner: OwnerId,
  sealed: readonly SealedSecret[],
): Promise<OpenedSecret[]> {
  const { secrets, damages } = await openEach(reading, owner, sealed);
  for (const [id, damage] of damages) throw wholeOrNone(id, damage);
  return secrets;
}

/** Opens those that open, sorted by name; `damages`: the others, by id. */
async function openEach(
  { dataKeys }: Reading,
  owner: OwnerId,
  sealed: readonly SealedSecret[],
): Promise<{ secrets: OpenedSecret[]; damages: Map<string, Damage> }> {
  const keys = await keysOf(dataKeys, owner, sealed);
  const damages = new Map<string, Damage>();
  const secrets: OpenedSecret[] = [];
  // In one go: between other requests' openings, what each leaves behind would live long enough to cost the collector more.
  for (const secret of sealed) {
    const { id, nameHash, version, attributes } = secret;
    const value = openOrDamage(() =>
      openValue(keyOf(keys, secret), { nameHash, version, attributes }, ciphertextOf(secret)),
    );
    if ('opened' in value) secrets.push({ id, version, attributes, ...value.opened });
    else damages.set(id, value.damage);
  }
  return { secrets: secrets.sort(byName), damages };
}

function ciphertextOf({ ciphertext }: SealedSecret): Uint8Array {
  if (ciphertext) return ciphertext;
  throw new DecryptionFailed('a secret does not open: its current version is missing from the database');
}

function wasSealed(): Conflict {
  return new Conflict(
    'the secret was sealed by its owner, and this value is not: nothing was changed. Set it with a pbook that has your key ' +
      '("pbook keys import"), or delete the secret first',
  );
}

/** For the audit: those that went because another of their name had replaced them. */
function idsOf(replaced: readonly { id: string }[]): { replaced?: string[] } {
  return replaced.length > 0 ? { replaced: replaced.map(({ id }) => id) } : {};
}
