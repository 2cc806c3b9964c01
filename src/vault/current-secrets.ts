import { LRUCache } from 'lru-cache';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_REMEMBERED_DATA_KEYS } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import {
  type AttributeColumns,
  type AttributeName,
  type Attributes,
  attributesOf,
} from '../protocol/secret-attributes.ts';
import { ownBytes } from '../sealing/own-bytes.ts';
import { openText, sealText } from '../sealing/remembered-text.ts';
import { openName } from '../sealing/value-format.ts';
import { type CurrentVersionRow, findCurrentVersions, findCurrentVersionsOfNames } from '../store/secret-versions.ts';
import { findRevision } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import { keyOf, keysOf, openOrDamage } from './damaged-secrets.ts';
import type { DataKeys } from './data-keys.ts';
import { nameHashes as nameHashesOf, withoutReplaced } from './one-name.ts';

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
 * Owners' secrets at this moment, in ciphertext, remembered up to `cacheBytes`, and of no more owners than have their data key remembered.
 * Other servers write the same database, so each time the owner's revision is read and what was remembered at another one is read anew.
 */
export interface CurrentSecrets {
  /** Every secret of the owner, all as of one moment; in no order. */
  of(owner: OwnerId): Promise<readonly SealedSecret[]>;
  /** Those of the owner's secrets that have one of these names, of either kind, all as of one moment; read each time, whatever else the owner keeps. */
  named(owner: OwnerId, names: readonly WireName[]): Promise<readonly SealedSecret[]>;
  /**
   * The text that `write` makes of the owner's secrets: the same function for every call, as its text is remembered while they stay as
   * they are. It is sealed under a key that is forgotten with the unwrapped data key, so that it opens as long as they would and no longer.
   *
   * @param write its text as UTF-8, and whether every one of the secrets opened: another text is not remembered
   * @returns the text, which the caller wipes
   */
  text(
    owner: OwnerId,
    write: (secrets: readonly SealedSecret[]) => Promise<{ text: Buffer; isWhole: boolean }>,
  ): Promise<Buffer>;
  forget(owner: OwnerId): void;
  close(): void;
}

/** The weight of a remembered row beside its ciphertext, in bytes: ids, hash, objects. */
const ROW_OVERHEAD_BYTES = 500;

/** An owner's secrets in one state: as they are stored, once they were asked for, and the sealed text of them. */
interface Remembered {
  revision: number;
  secrets?: readonly SealedSecret[] | undefined;
  text?: { dataKeyId: string; sealed: Uint8Array } | undefined;
}

export function createCurrentSecrets(options: {
  store: Store;
  dataKeys: DataKeys;
  cacheBytes: number;
}): CurrentSecrets {
  const { store, dataKeys, cacheBytes } = options;
  const remembered = new LRUCache<OwnerId, Remembered>({
    // A text opens no longer than its owner's data key is remembered.
    max: MAX_REMEMBERED_DATA_KEYS,
    maxSize: cacheBytes,
    sizeCalculation: ({ secrets = [], text }) =>
      secrets.reduce((sum, { ciphertext }) => sum + (ciphertext?.length ?? 0) + ROW_OVERHEAD_BYTES, 0) +
      (text?.sealed.length ?? 0) +
      ROW_OVERHEAD_BYTES,
  });

  return {
    async of(owner) {
      const known = await rememberedNow(owner);
      if (known?.secrets) return known.secrets;
      const read = await readSecrets(owner);
      if (!read) return [];
      const text = known?.revision === read.revision ? known.text : undefined;
      remembered.set(owner, { ...read, text });
      return read.secrets;
    },

    async named(owner, names) {
      if (names.length === 0) return [];
      for (;;) {
        const dataKey = await dataKeys.active(owner);
        if (!dataKey) return [];
        const nameHashes = names.flatMap((name) => nameHashesOf(dataKey, name));
        const rows = await findCurrentVersionsOfNames(store.db, { ownerId: owner, nameHashes });
        // Renewed in between: the names stand under other hashes now.
        if (rows[0]?.active_key !== dataKey.id) continue;
        return await sealedSecrets(owner, rows.filter(({ id }) => id !== null) as WholeRow[]);
      }
    },

    async text(owner, write) {
      const known = await rememberedNow(owner);
      if (known?.text) {
        const dataKey = await dataKeys.get(owner, known.text.dataKeyId);
        const text = openText(dataKey, known.revision, known.text.sealed);
        if (text) return text;
      }
      const read = known?.secrets ? { revision: known.revision, secrets: known.secrets } : await readSecrets(owner);
      const { text, isWhole } = await write(read?.secrets ?? []);
      const [dataKeyId, ...others] = new Set(read?.secrets.map((secret) => secret.dataKeyId));
      if (!read || !isWhole || dataKeyId === undefined || others.length > 0) return text;
      const sealed = sealText(await dataKeys.get(owner, dataKeyId), read.revision, Buffer.from(text));
      // Only texts are asked for of most owners, and ciphertext beside them would take the room of another's.
      remembered.set(owner, { revision: read.revision, secrets: known?.secrets, text: { dataKeyId, sealed } });
      return text;
    },

    forget: (owner) => remembered.delete(owner),
    close: () => remembered.clear(),
  };

  /** What is remembered of the owner, where that is how things are now. */
  async function rememberedNow(owner: OwnerId): Promise<Remembered | undefined> {
    const known = remembered.get(owner);
    if (!known) return undefined;
    const [now] = await findRevision(store.db, { ownerId: owner });
    return now?.revision === known.revision ? known : undefined;
  }

  /** Undefined for no such owner. */
  async function readSecrets(owner: OwnerId): Promise<{ revision: number; secrets: SealedSecret[] } | undefined> {
    const rows = await findCurrentVersions(store.db, { ownerId: owner });
    const [first] = rows;
    if (!first) return undefined;
    return {
      revision: first.revision,
      secrets: first.id === null ? [] : await sealedSecrets(owner, rows as WholeRow[]),
    };
  }

  async function sealedSecrets(owner: OwnerId, rows: readonly WholeRow[]): Promise<SealedSecret[]> {
    const secrets = rows.map((row) => ({
      id: row.id,
      dataKeyId: row.data_key_id,
      nameHash: ownBytes(row.name_hash),
      nameCiphertext: ownBytes(row.name_ciphertext),
      version: row.version,
      attributes: attributesOf(row),
      expiredAt: row.expired_at,
      ciphertext: row.ciphertext && ownBytes(row.ciphertext),
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
  [C in Exclude<keyof CurrentVersionRow, AttributeName | Nullable | 'revision'>]: NonNullable<CurrentVersionRow[C]>;
} & Pick<CurrentVersionRow, Nullable>;
type Nullable = 'ciphertext' | 'expired_at';
