import { DecryptionFailed, type PandaError, UnknownFormat } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import type { WireName } from '../protocol/names.ts';
import { attributesOf } from '../protocol/secret-attributes.ts';
import type { DataKey } from '../sealing/data-key.ts';
import { openName } from '../sealing/value-format.ts';
import { listSecretRows } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import type { DataKeys } from './data-keys.ts';

/** A secret that does not open, as far as it is known; times are milliseconds since 1970 UTC. */
export interface DamagedSecret {
  id: string;
  /** Null where the name does not open either. */
  name: WireName | null;
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  createdAt: number;
  updatedAt: number;
  reason: string;
}

/** The damage of one secret: another one of its owner may well open. */
export type Damage = DecryptionFailed | UnknownFormat;

/** Runs what opens something of one secret. @returns its result, or the damage that it met */
export function openOrDamage<T>(open: () => T): { opened: T } | { damage: Damage } {
  try {
    return { opened: open() };
  } catch (error) {
    return { damage: damageOf(error) };
  }
}

/** The keys that an owner's rows name, by id; one that is not the owner's is left out. @throws when none of them can be had */
export async function keysOf(
  dataKeys: DataKeys,
  owner: OwnerId,
  rows: readonly { dataKeyId: string }[],
): Promise<Map<string, DataKey>> {
  const keys = new Map<string, DataKey>();
  let damage: Damage | undefined;
  for (const id of new Set(rows.map(({ dataKeyId }) => dataKeyId))) {
    try {
      keys.set(id, await dataKeys.get(owner, id));
    } catch (error) {
      damage = damageOf(error);
    }
  }
  if (damage && keys.size === 0) throw damage;
  return keys;
}

/** The key of a row. @throws {DecryptionFailed} when {@link keysOf} left it out */
export function keyOf(keys: ReadonlyMap<string, DataKey>, { dataKeyId }: { dataKeyId: string }): DataKey {
  const key = keys.get(dataKeyId);
  if (!key) throw new DecryptionFailed("a secret does not open: the key it names is not one of its owner's");
  return key;
}

/** The error of an answer that has to be whole: names the damaged one by what a log may have. */
export function wholeOrNone(id: string, damage: Damage): PandaError {
  const message = `the secret with the id ${id} is damaged: ${damage.message}. "pbook list_secrets" tells what is known of it`;
  return damage instanceof UnknownFormat ? new UnknownFormat(message) : new DecryptionFailed(message);
}

/** Tells what the rows of damaged secrets still say. One that was deleted meanwhile is left out. */
export async function describeDamaged(
  { store, dataKeys }: { store: Store; dataKeys: DataKeys },
  owner: OwnerId,
  damages: ReadonlyMap<string, Damage>,
): Promise<DamagedSecret[]> {
  if (damages.size === 0) return [];
  const all = (await listSecretRows(store.db, owner)).map((row) => ({ ...row, dataKeyId: row.data_key_id }));
  const keys = await keysOf(dataKeys, owner, all);
  return all.flatMap((row) => {
    const reason = damages.get(row.id)?.message;
    if (reason === undefined) return [];
    const place = { nameHash: row.name_hash, attributes: attributesOf(row) };
    const named = openOrDamage(() => openName(keyOf(keys, row), place, row.name_ciphertext));
    return {
      id: row.id,
      name: 'opened' in named ? named.opened : null,
      version: row.current_version,
      size: row.size,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      reason,
    };
  });
}

function damageOf(error: unknown): Damage {
  if (error instanceof DecryptionFailed || error instanceof UnknownFormat) return error;
  throw error;
}
