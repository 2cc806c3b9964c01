import { LRUCache } from 'lru-cache';
import type { OwnerId } from '../protocol/ids.ts';
import {
  type AttributeColumns,
  type AttributeName,
  type Attributes,
  attributesOf,
} from '../protocol/secret-attributes.ts';
import { openName } from '../sealing/value-format.ts';
import { type CurrentVersionRow, findCurrentVersions } from '../store/secret-versions.ts';
import { findRevision } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import { keyOf, keysOf, openOrDamage } from './damaged-secrets.ts';
import type { DataKeys } from './data-keys.ts';
import { withoutReplaced } from './one-name.ts';

/** The current version of a secret, encrypted as it is stored. */
export interface SealedSecret {
  id: string;
  dataKeyId: string;
  nameHash: Uint8Array;
  nameCiphertext: Uint8Array;
  version: number;
  attributes: Attributes;
  /** When its end was noted. */
  expiredAt: number | null;
  /** Null when the current version is missing from the database. */
  ciphertext: Uint8Array | null;
}

/**
 * Owners' secrets at this moment, in ciphertext, remembered up to `cacheBytes`. Other servers write the same database, so
 * each time the owner's revision is read and what was remembered at another one is read anew.
 */
export interface CurrentSecrets {
  /** Every secret of the owner, all as of one moment; in no order. */
  of(owner: OwnerId): Promise<readonly SealedSecret[]>;
  forget(owner: OwnerId): void;
  close(): void;
}

/** The weight of a remembered row beside its ciphertext, in bytes: ids, hash, objects. */
const ROW_OVERHEAD_BYTES = 500;

export function createCurrentSecrets(options: {
  store: Store;
  dataKeys: DataKeys;
  cacheBytes: number;
}): CurrentSecrets {
  const { store, dataKeys, cacheBytes } = options;
  const remembered = new LRUCache<OwnerId, { revision: number; secrets: readonly SealedSecret[] }>({
    maxSize: cacheBytes,
  });

  return {
    async of(owner) {
      const known = remembered.get(owner);
      if (known) {
        const [now] = await findRevision(store.db, { ownerId: owner });
        if (now?.revision === known.revision) return known.secrets;
      }
      const rows = await findCurrentVersions(store.db, { ownerId: owner });
      const [first] = rows;
      if (!first) return [];
      const secrets = first.id === null ? [] : await sealedSecrets(owner, rows as WholeRow[]);
      const bytes = secrets.reduce((sum, { ciphertext }) => sum + (ciphertext?.length ?? 0) + ROW_OVERHEAD_BYTES, 0);
      remembered.set(owner, { revision: first.revision, secrets }, { size: ROW_OVERHEAD_BYTES + bytes });
      return secrets;
    },

    forget: (owner) => remembered.delete(owner),
    close: () => remembered.clear(),
  };

  async function sealedSecrets(owner: OwnerId, rows: readonly WholeRow[]): Promise<SealedSecret[]> {
    const secrets = rows.map((row) => ({
      id: row.id,
      dataKeyId: row.data_key_id,
      nameHash: row.name_hash,
      nameCiphertext: row.name_ciphertext,
      version: row.version,
      attributes: attributesOf(row),
      expiredAt: row.expired_at,
      ciphertext: row.ciphertext,
      hashed_as: row.hashed_as,
      updated_at: row.updated_at,
    }));
    const keys = await keysOf(dataKeys, owner, secrets);
    return withoutReplaced(secrets, (secret) => {
      const name = openOrDamage(() => openName(keyOf(keys, secret), secret, secret.nameCiphertext));
      return 'opened' in name ? name.opened : undefined;
    }).map(({ hashed_as: _hashedAs, updated_at: _updatedAt, ...secret }) => secret);
  }
}

/** The secret's own columns are null together, for an owner without secrets. */
type WholeRow = AttributeColumns & {
  [C in Exclude<keyof CurrentVersionRow, AttributeName | Nullable>]: NonNullable<CurrentVersionRow[C]>;
} & Pick<CurrentVersionRow, Nullable>;
type Nullable = 'ciphertext' | 'expired_at';
