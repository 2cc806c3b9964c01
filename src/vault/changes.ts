import { NotFound, QuotaExceeded } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { KEPT_VERSIONS, MAX_OWNER_BYTES, MAX_SECRETS_PER_OWNER } from '../protocol/limits.ts';
import { splitWireName, type WireName, wireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import { checkValue, utf8Length } from '../protocol/text.ts';
import type { TrustedQueues } from '../protocol/trusted-queues.ts';
import { type DataKey, hashName, secretIdOf } from '../sealing/data-key.ts';
import { sealName, sealValue } from '../sealing/value-format.ts';
import type { AuditHead } from '../store/audit.ts';
import { deleteDataKeys, findActiveDataKey } from '../store/data-keys.ts';
import { deleteOldVersions, insertVersion } from '../store/secret-versions.ts';
import {
  advanceSecret,
  countChange,
  deleteSecretRow,
  deleteSecretRows,
  findSecret,
  insertSecret,
  sumSecrets,
} from '../store/secrets.ts';
import type { Database, Store } from '../store/store.ts';
import { appendAudit } from './audit.ts';
import type { DataKeys } from './data-keys.ts';
import { bindToQueues, queuesText } from './trusted-queues.ts';

/** What a change needs of the vault. */
export interface Changing {
  store: Store;
  dataKeys: DataKeys;
  clock: () => number;
}

/**
 * Keeps a value as the next version of a secret, and of the versions before it the last few.
 *
 * @param options `queues`: where it may go; left out, a secret that is there stays with its queues and a new one may go to
 * any. `restored`: the version that the value is from and the secret that must still be there; without it the secret is made
 * when it is not there
 * @throws {InvalidValue} {@link checkValue}
 * @throws {DecryptionFailed} when the secret's row was changed behind the vault
 * @throws {QuotaExceeded} when the owner would keep too many secrets or too many bytes
 * @throws {NotFound} when the secret to restore was deleted meanwhile
 */
export async function setSecret(
  changing: Changing,
  owner: OwnerId,
  secret: { name: WireName; value: Plaintext },
  { queues: wanted, restored }: { queues?: TrustedQueues | undefined; restored?: { id: string; version: number } } = {},
): Promise<{ version: number }> {
  const { clock } = changing;
  const { name, value } = secret;
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
    const queues = found
      ? await bindToQueues(tx, dataKey, found, { name, nameHash }, wanted)
      : queuesText(wanted ?? null);
    if (found) {
      await advanceSecret(tx, { id, version, size, now });
    } else {
      const nameCiphertext = sealName(dataKey, { nameHash, queues }, name);
      const { kind } = splitWireName(name);
      const row = { id, ownerId: owner, dataKeyId: dataKey.id, nameHash, nameCiphertext, queues, kind, size, now };
      await insertSecret(tx, row);
    }
    const ciphertext = sealValue(dataKey, { nameHash, version, queues }, secret);
    await insertVersion(tx, { secretId: id, version, ownerId: owner, dataKeyId: dataKey.id, ciphertext, size, now });
    if (version > KEPT_VERSIONS) await deleteOldVersions(tx, { secretId: id, lastVersion: version - KEPT_VERSIONS });

    if (restored) {
      const detail = { secret: id, version, from: restored.version };
      await appendAudit(tx, clock, owner, 'owner', 'secret.restore', detail, head);
    } else {
      const detail = { secret: id, version, ...(wanted !== undefined && { queues: wanted }) };
      await appendAudit(tx, clock, owner, 'owner', 'secret.set', detail, head);
    }
    return { version };
  });
}

/**
 * Deletes a secret with all its versions. As in PanDA, a name that no string has is the name of a file.
 *
 * @returns whether there was one
 */
export async function deleteSecret(changing: Changing, owner: OwnerId, name: WireName): Promise<boolean> {
  // Whoever never kept a secret gets no key for asking.
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

/**
 * Deletes an owner's secrets and data key, so that copies in backups open no more either; the audit stays. Another server
 * that remembers the key forgets it within `DATA_KEY_SECONDS`.
 *
 * @throws {NotFound} when there is no such owner
 */
export async function destroyOwner({ store, dataKeys, clock }: Changing, owner: OwnerId): Promise<void> {
  const dataKey = await store.write(async (tx) => {
    const head = await lockOwner(tx, owner);
    const secrets = await deleteSecretRows(tx, owner);
    const [active] = await findActiveDataKey(tx, { ownerId: owner });
    await deleteDataKeys(tx, owner);
    const detail = { secrets, dataKey: active?.id ?? null };
    await appendAudit(tx, clock, owner, 'operator', 'owner.destroy', detail, head);
    return active;
  });
  if (dataKey) dataKeys.forget(dataKey.id);
}

/**
 * Runs `work` in a transaction that holds the owner's lock, with the data key that is active there: the key is unwrapped
 * before the transaction, which waits for nothing, and another server may put a new one in its place until then.
 */
async function underActiveKey<T>(
  { store, dataKeys }: Changing,
  owner: OwnerId,
  work: (tx: Database, dataKey: DataKey, head: AuditHead) => Promise<T>,
): Promise<T> {
  let dataKey = await dataKeys.lastActive(owner);
  for (;;) {
    const done = await store.write(async (tx) => {
      const head = await lockOwner(tx, owner);
      const [active] = await findActiveDataKey(tx, { ownerId: owner });
      return active?.id === dataKey.id ? { result: await work(tx, dataKey, head) } : undefined;
    });
    if (done) return done.result;
    dataKey = await dataKeys.activeOrNew(owner);
  }
}

async function lockOwner(tx: Database, ownerId: OwnerId): Promise<AuditHead> {
  const [head] = await countChange(tx, { ownerId });
  if (!head) throw new NotFound('there is no such owner');
  return head;
}

async function checkQuota(tx: Database, ownerId: OwnerId, { added, grown }: { added: number; grown: number }) {
  if (added <= 0 && grown <= 0) return;
  const [kept] = await sumSecrets(tx, { ownerId });
  const count = (kept?.count ?? 0) + added;
  const bytes = (kept?.bytes ?? 0) + grown;
  if (count > MAX_SECRETS_PER_OWNER) {
    throw new QuotaExceeded(
      `you keep ${MAX_SECRETS_PER_OWNER} secrets, as many as one person may; delete one that you no longer need first`,
    );
  }
  if (bytes > MAX_OWNER_BYTES) {
    throw new QuotaExceeded(
      `with this value your secrets would have ${bytes} bytes together; at most ${MAX_OWNER_BYTES} are allowed. Delete one that you no longer need, or keep large data elsewhere and make its key the secret`,
    );
  }
}
