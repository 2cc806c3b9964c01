import { LRUCache } from 'lru-cache';
import { DecryptionFailed } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import {
  type AttributeColumns,
  type AttributeName,
  type Attributes,
  attributesOf,
} from '../protocol/secret-attributes.ts';
import type { DataKey } from '../sealing/data-key.ts';
import { openName } from '../sealing/value-format.ts';
import { type CurrentVersionRow, findCurrentVersions } from '../store/secret-versions.ts';
import { findRevision } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
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
  ciphertext: Uint8Array;
}

/**
 * Owners' secrets at this moment, in ciphertext, remembered up to `cacheBytes`. Other servers write the same database, so
 * each time the owner's revision is read and what was remembered at another one is read anew.
 */
export interface CurrentSecrets {
  /** Every secret of the owner, all as of one moment; in no order. @throws {DecryptionFailed} when a row is missing */
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
      const secrets = first.id === null ? [] : await sealedSecrets(owner, rows.map(whole));
      const bytes = secrets.reduce((sum, { ciphertext }) => sum + ciphertext.length + ROW_OVERHEAD_BYTES, 0);
      remembered.set(owner, { revision: first.revision, secrets }, { size: ROW_OVERHEAD_BYTES + bytes });
      return secrets;
    },

    forget: (owner) => remembered.delete(owner),
    close: () => remembered.clear(),
  };

  async function sealedSecrets(owner: OwnerId, rows: readonly WholeRow[]): Promise<SealedSecret[]> {
    const keys = new Map<string, DataKey>();
    for (const { data_key_id: id } of rows) if (!keys.has(id)) keys.set(id, await dataKeys.get(owner, id));
    const counting = withoutReplaced(rows, (row) =>
      openName(
        keys.get(row.data_key_id) as DataKey,
        { nameHash: row.name_hash, attributes: attributesOf(row) },
        row.name_ciphertext,
      ),
    );
    return counting.map((row) => ({
      id: row.id,
      dataKeyId: row.data_key_id,
      nameHash: row.name_hash,
      nameCiphertext: row.name_ciphertext,
      version: row.version,
      attributes: attributesOf(row),
      ciphertext: row.ciphertext,
    }));
  }
}

type WholeRow = AttributeColumns & {
  [C in Exclude<keyof CurrentVersionRow, AttributeName>]: NonNullable<CurrentVersionRow[C]>;
};

function whole(row: CurrentVersionRow): WholeRow {
  if (row.data_key_id === null || row.ciphertext === null) {
    throw new DecryptionFailed('a secret does not open: its current version is missing from the database');
  }
  // The secret's own columns are null together, for an owner without secrets.
  return row as WholeRow;
}
