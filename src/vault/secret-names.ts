import { NotFound } from '../protocol/errors.ts';
import { shownExpiry } from '../protocol/expiry.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { attributesOf } from '../protocol/secret-attributes.ts';
import { checkTrusted, trustedQueues } from '../protocol/trusted-queues.ts';
import type { DataKey } from '../sealing/data-key.ts';
import { openName } from '../sealing/value-format.ts';
import { findSecretNames, findSecretRows } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';
import { keyOf, keysOf, openOrDamage } from './damaged-secrets.ts';
import { type Ending, hasEnded } from './expiry.ts';
import { nameHashes, withoutReplaced } from './one-name.ts';
import type { Reading } from './owners.ts';

/**
 * The ids of an owner's secrets, in the order of `names`.
 *
 * @param task the queue of a task that names them, null for any, and when it was submitted: they must be allowed to go there then
 * @throws {NotFound} naming all that are not there, or have expired @throws {Forbidden} naming all that may not go there
 */
export async function idsOfNames(
  { store, dataKeys }: Reading,
  owner: OwnerId,
  names: readonly WireName[],
  task?: { queue: string | null; now: number },
): Promise<string[]> {
  if (names.length === 0) return [];
  const dataKey = await dataKeys.active(owner);
  const found = dataKey ? await findAll(store.db, dataKey, names) : [];
  if (found.length < names.length) throw noSuchSecret(names.filter((name) => !found.some((one) => one.name === name)));
  if (task) {
    const over = found.filter((secret) => hasEnded(secret, task.now));
    if (over.length > 0) throw expired(over);
    checkTrusted(found, task.queue);
  }
  return found.map(({ id }) => id);
}

/** The names of those secrets that are still there. One whose name does not open is left out. */
export async function namesOfIds(
  { store, dataKeys }: Reading,
  owner: OwnerId,
  ids: readonly string[],
): Promise<Map<string, WireName>> {
  const names = new Map<string, WireName>();
  if (ids.length === 0) return names;
  const rows = (await findSecretNames(store.db, owner, ids)).map((row) => ({ ...row, dataKeyId: row.data_key_id }));
  const keys = await keysOf(dataKeys, owner, rows);
  for (const row of rows) {
    const place = { nameHash: row.name_hash, attributes: attributesOf(row) };
    const name = openOrDamage(() => openName(keyOf(keys, row), place, row.name_ciphertext));
    if ('opened' in name) names.set(row.id, name.opened);
  }
  return names;
}

export function noSuchSecret(names: readonly WireName[]): NotFound {
  const quoted = names.map((name) => `"${splitWireName(name).name}"`);
  return new NotFound(`you have no secret named ${quoted.join(', ')}`);
}

function expired(secrets: readonly (Ending & { name: WireName })[]): NotFound {
  const which = secrets.map(({ name, attributes: { expires } }) => {
    return `"${splitWireName(name).name}" expired at ${shownExpiry(expires ?? '')}`;
  });
  return new NotFound(
    `${which.join('; ')}: no job gets it any more. Give it a new value and another end (set_secret --expires)`,
  );
}

async function findAll(db: Database, dataKey: DataKey, names: readonly WireName[]) {
  const hashes = names.map((name) => nameHashes(dataKey, name));
  const rows = await findSecretRows(db, dataKey.ownerId, hashes.flat());
  const byHash = new Map(rows.map((row) => [asText(row.name_hash), row]));
  return names.flatMap((name, n) => {
    const ofName = (hashes[n] ?? []).flatMap((hash) => byHash.get(asText(hash)) ?? []);
    return withoutReplaced(ofName, () => name).map((row) => ({
      id: row.id,
      name,
      queues: trustedQueues(row.queues),
      attributes: attributesOf(row),
      expiredAt: row.expired_at,
    }));
  });
}

/** A hash as what a `Map` can look up. */
export function asText(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1');
}
