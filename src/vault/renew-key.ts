import { randomUUID } from 'node:crypto';
import { appendAudit } from '../audit/audit.ts';
import { DecryptionFailed, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { splitWireName, wireName } from '../protocol/names.ts';
import { attributesOf } from '../protocol/secret-attributes.ts';
import { type DataKey, dataKeyContext, hashName, importDataKey, newDataKey } from '../sealing/data-key.ts';
import type { RootKeys } from '../sealing/root-keys.ts';
import { openName, openValue, sealName, sealValue } from '../sealing/value-format.ts';
import { deleteDataKeys, findActiveDataKey, insertFirstDataKey } from '../store/data-keys.ts';
import { listVersionBoxes, updateVersionBox } from '../store/secret-versions.ts';
import { listSecretRows, moveSecret } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';
import { keepWrapped } from '../store/wrapped-keys.ts';
import { type Changing, lockOwner } from './owners.ts';

/** What was sealed anew. */
export interface Renewed {
  secrets: number;
  versions: number;
}

/**
 * Gives an owner a new data key: every name and every kept version is opened and sealed under it, and the older key is destroyed, in one
 * transaction. So all of it is under the one key or all under the other, whenever the process is killed. Secrets keep their ids. Another
 * server that remembers the older key forgets it within `DATA_KEY_SECONDS`; nothing in the database is under it.
 *
 * @returns undefined for an owner who has no data key
 * @throws {NotFound} when there is no such owner
 * @throws {DecryptionFailed} when a version does not open, with its secret's id: nothing was changed. It would be lost with the key
 */
export async function renewDataKey(
  { store, dataKeys, clock, rootKeys }: Changing & { rootKeys: RootKeys },
  owner: OwnerId,
): Promise<Renewed | undefined> {
  for (;;) {
    const before = await dataKeys.active(owner);
    if (!before) return undefined;
    const key = { id: randomUUID(), ownerId: owner };
    const bytes = newDataKey();
    try {
      const after = importDataKey({ ...key, bytes });
      const renewed = await keepWrapped(
        store,
        'grow',
        rootKeys,
        async (active) => ({ root_key_id: active.id, wrapped: await active.wrap(bytes, dataKeyContext(key)) }),
        async (tx, wrapped) => {
          const head = await lockOwner(tx, owner);
          const [active] = await findActiveDataKey(tx, { ownerId: owner });
          // Another process renewed it meanwhile, or destroyed it.
          if (active?.id !== before.id) return undefined;
          const done = await sealAnew(tx, owner, before, after);
          await deleteDataKeys(tx, owner);
          await insertFirstDataKey(tx, { id: key.id, owner_id: owner, ...wrapped, created_at: clock() });
          const detail = { dataKey: key.id, before: before.id, ...done };
          await appendAudit(tx, clock, owner, 'operator', 'owner.renew_key', detail, head);
          return done;
        },
      );
      if (!renewed) continue;
      dataKeys.forget(before.id);
      return renewed;
    } finally {
      bytes.fill(0);
    }
  }
}

async function sealAnew(tx: Database, owner: OwnerId, before: DataKey, after: DataKey): Promise<Renewed> {
  const done = { secrets: 0, versions: 0 };
  for (const row of await listSecretRows(tx, owner)) {
    const attributes = attributesOf(row);
    if (row.data_key_id !== before.id) throw damaged(row.id);
    const place = { nameHash: row.name_hash, attributes };
    const name = opened(row.id, () => openName(before, place, row.name_ciphertext));
    const nameHash = hashName(after, wireName(splitWireName(name).name, row.hashed_as === 'file' ? 'file' : 'string'));
    const nameCiphertext = sealName(after, { nameHash, attributes }, name);
    await moveSecret(tx, { id: row.id, dataKeyId: after.id, nameHash, nameCiphertext });
    const versions = await listVersionBoxes(tx, row.id);
    if (!versions.some(({ version }) => version === row.current_version)) throw damaged(row.id);
    for (const { version, ciphertext } of versions) {
      const value = opened(row.id, () => openValue(before, { ...place, version }, ciphertext));
      const sealed = sealValue(after, { nameHash, version, attributes }, value);
      await updateVersionBox(tx, { secretId: row.id, version, ciphertext: sealed, dataKeyId: after.id });
      done.versions += 1;
    }
    done.secrets += 1;
  }
  return done;
}

function opened<T>(id: string, open: () => T): T {
  try {
    return open();
  } catch {
    throw damaged(id);
  }
}

function damaged(id: string): DecryptionFailed {
  return new DecryptionFailed(
    `the secret with the id ${id} is damaged, and would be lost with the older key: nothing was changed. Restore it from a backup, or have ` +
      'its owner delete it ("pbook list_secrets" shows it), and try again',
  );
}

/** Renewals that one read may meet. */
const MOST_RENEWALS = 10;

/**
 * Runs what reads an owner's secrets, and again where the owner's data key was renewed meanwhile: a name is not found under the key of
 * before, and what was read under it does not open any more.
 */
export async function acrossRenewal<T>(
  { dataKeys, forget }: { dataKeys: Changing['dataKeys']; forget: (owner: OwnerId) => void },
  owner: OwnerId,
  read: () => Promise<T>,
): Promise<T> {
  let key = dataKeys.lastActiveId(owner);
  let first: unknown;
  for (let renewals = 0; ; renewals++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof DecryptionFailed || error instanceof NotFound)) throw error;
      first ??= error;
      const now = await dataKeys.activeId(owner);
      if (now === key || now === undefined || renewals === MOST_RENEWALS) {
        // Of two that found nothing, the first knows what was there when it began.
        throw error instanceof NotFound && first instanceof NotFound ? first : error;
      }
      key = now;
      forget(owner);
    }
  }
}
