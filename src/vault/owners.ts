import { appendAudit } from '../audit/audit.ts';
import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import type { WireName } from '../protocol/names.ts';
import type { DataKey } from '../sealing/data-key.ts';
import type { AuditHead } from '../store/audit.ts';
import { deleteDataKeys, findActiveDataKey } from '../store/data-keys.ts';
import { deleteSecretRows, lockSecrets } from '../store/secrets.ts';
import type { Database, Store } from '../store/store.ts';
import type { CurrentSecrets } from './current-secrets.ts';
import type { DataKeys } from './data-keys.ts';
import { type FoundSecret, findSecret } from './one-name.ts';
import type { SecretLimits } from './quota.ts';

/** The parts of the vault that a change uses. */
export interface Changing {
  store: Store;
  dataKeys: DataKeys;
  clock: () => number;
  limits: SecretLimits;
}

/** The parts of the vault that reading uses. */
export interface Reading {
  store: Store;
  dataKeys: DataKeys;
  current: CurrentSecrets;
}

/**
 * Deletes an owner's secrets and data key, so that copies in backups open no more either; the audit stays. Another server
 * that remembers the key forgets it within `DATA_KEY_SECONDS`.
 *
 * @throws {NotFound} when there is no such owner
 */
export async function destroyOwner(
  { store, dataKeys, clock }: Omit<Changing, 'limits'>,
  owner: OwnerId,
): Promise<void> {
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
 *
 * @param how as the store's function of that name
 * @param name of the secret that is changed. It is looked for together with the key, by a statement that is sent with the one that locks the owner and
 * runs behind it: it sees what was there when the lock was had
 * @param work changes this owner's rows alone
 */
export async function underActiveKey<T>(
  { store, dataKeys }: Changing,
  owner: OwnerId,
  { how, name }: { how: 'write' | 'grow'; name: WireName },
  work: (tx: Database, dataKey: DataKey, locked: { head: AuditHead; seen: FoundSecret }) => Promise<T>,
): Promise<T> {
  let dataKey = await dataKeys.lastActive(owner);
  for (;;) {
    const done = await store[how](
      async (tx) => {
        const [head, seen] = await Promise.all([lockOwner(tx, owner), findSecret(tx, dataKey, name)]);
        return seen && { result: await work(tx, dataKey, { head, seen }) };
      },
      { owner },
    );
    if (done) return done.result;
    dataKey = await dataKeys.activeOrNew(owner);
  }
}

/** Makes one owner's changes run one after another; each counts with its entry in the audit. @throws {NotFound} when there is no such owner */
export async function lockOwner(tx: Database, ownerId: OwnerId): Promise<AuditHead> {
  const [head] = await lockSecrets(tx, { ownerId });
  if (!head) throw new NotFound('there is no such owner');
  return head;
}
