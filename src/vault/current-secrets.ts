import { LRUCache } from 'lru-cache';
import type { OwnerId } from '../protocol/ids.ts';
import { MAX_REMEMBERED_DATA_KEYS, MAX_REMEMBERED_TEXTS_PER_OWNER } from '../protocol/limits.ts';
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
import { createReturning } from '../store/returning.ts';
import { type CurrentVersionRow, findCurrentVersions, findCurrentVersionsOfNames } from '../store/secret-versions.ts';
import { findRevision } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import { keyOf, keysOf, openOrDamage } from './damaged-secrets.ts';
import type { DataKeys } from './data-keys.ts';
import { mayBeReplaced, nameHashes as nameHashesOf, withoutReplaced } from './one-name.ts';

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
 * Owners' secrets at this moment, in ciphertext, remembered up to `cacheBytes`, and of no more owners than have their data key remembered. An
 * owner who was not here lately has nothing remembered until the second time.
 * Other servers write the same database, so each time the owner's revision is read and what was remembered at another one is read anew.
 */
export interface CurrentSecrets {
  /** Every secret of the owner, all as of one moment; in no order. */
  of(owner: OwnerId): Promise<readonly SealedSecret[]>;
  /** Those of the owner's secrets that have one of these names, of either kind, all as of one moment; read each time, whatever else the owner keeps. */
  named(owner: OwnerId, names: readonly WireName[]): Promise<readonly SealedSecret[]>;
  /**
   * The text that `write` makes of the owner's secrets: one that always makes the same text for the same `use`, as it is remembered while they
   * stay as they are. It is sealed under a key that is forgotten with the unwrapped data key, so that it opens as long as they would and no longer.
   *
   * @returns the text, which the caller wipes
   */
  text(owner: OwnerId, { use, now, write }: TextRequest): Promise<Buffer>;
  forget(owner: OwnerId): void;
  close(): void;
}

/** A text about an owner's secrets. */
export interface TextRequest {
  /** The kind of the text, and all that it depends on beside the secrets and the time. */
  use: string;
  /** Milliseconds since 1970 UTC; left out where the text does not depend on the time. */
  now?: number;
  /** Makes it of all the owner's secrets. */
  write(secrets: readonly SealedSecret[]): Promise<WrittenText>;
}

export interface WrittenText {
  /** UTF-8, in memory of its own. */
  text: Buffer;
  /** False where not all opened that it is about: it is not remembered. */
  isWhole: boolean;
  /** From then on another is to be made: milliseconds since 1970 UTC. */
  until?: number;
}

/** The weight of a remembered row beside its ciphertext, in bytes: ids, hash, objects. */
const ROW_OVERHEAD_BYTES = 500;

const NO_TEXTS: ReadonlyMap<string, RememberedText> = new Map();

/** An owner's secrets in one state: as they are stored, once they were asked for, and sealed texts of them by use, the oldest first. */
interface Remembered {
  revision: number;
  secrets?: readonly SealedSecret[] | undefined;
  texts: ReadonlyMap<string, RememberedText>;
}

interface RememberedText {
  dataKeyId: string;
  sealed: Uint8Array;
  /** It was made at `from`, and is good until before `until`: a clock that is set back makes it anew. */
  from: number;
  until: number;
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
    sizeCalculation: ({ secrets = [], texts }) =>
      secrets.reduce((sum, { ciphertext }) => sum + (ciphertext?.length ?? 0) + ROW_OVERHEAD_BYTES, 0) +
      [...texts].reduce((sum, [use, { sealed }]) => sum + use.length + sealed.length + ROW_OVERHEAD_BYTES, 0) +
      ROW_OVERHEAD_BYTES,
  });

  const isReturning = createReturning(MAX_REMEMBERED_DATA_KEYS);
  const isWorthRemembering = (owner: OwnerId) => isReturning(owner) || remembered.has(owner);

  return {
    async of(owner) {
      const known = await rememberedNow(owner);
      if (known?.secrets) return known.secrets;
      const isRemembered = isWorthRemembering(owner);
      const read = await readSecrets(owner);
      if (!read) return [];
      if (!isRemembered) return read.secrets;
      const secrets = read.secrets.map(withOwnBytes);
      remembered.set(owner, { ...read, secrets, texts: rememberedAt(owner, read.revision)?.texts ?? NO_TEXTS });
      return secrets;
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

    async text(owner, { use, now = 0, write }) {
      const known = await rememberedNow(owner);
      const made = known?.texts.get(use);
      if (known && made && made.from <= now && now < made.until) {
        const dataKey = await dataKeys.get(owner, made.dataKeyId);
        const text = openText(dataKey, { revision: known.revision, use }, made.sealed);
        if (text) return text;
      }
      const isRemembered = isWorthRemembering(owner);
      const read = known?.secrets ? { revision: known.revision, secrets: known.secrets } : await readSecrets(owner);
      const { text, isWhole, until = Number.POSITIVE_INFINITY } = await write(read?.secrets ?? []);
      if (!isRemembered) return text;
      const [dataKeyId, ...others] = new Set(read?.secrets.map((secret) => secret.dataKeyId));
      if (!read || !isWhole || dataKeyId === undefined || others.length > 0) return text;
      const { revision } = read;
      const dataKey = await dataKeys.get(owner, dataKeyId);
      const sealed = sealText(dataKey, { revision, use }, Buffer.from(text));
      const then = rememberedAt(owner, revision);
      const texts = [...(then?.texts ?? NO_TEXTS)].filter(([other]) => other !== use);
      // One text is all that most owners are asked for, and ciphertext beside it would take the room of another's.
      const secrets = then?.secrets ?? (texts.length > 0 ? read.secrets.map(withOwnBytes) : undefined);
      const kept = texts.slice(-(MAX_REMEMBERED_TEXTS_PER_OWNER - 1));
      remembered.set(owner, {
        revision,
        secrets,
        texts: new Map([...kept, [use, { dataKeyId, sealed, from: now, until }]]),
      });
      return text;
    },

    forget: (owner) => remembered.delete(owner),
    close: () => remembered.clear(),
  };

  function rememberedAt(owner: OwnerId, revision: number): Remembered | undefined {
    const known = remembered.get(owner);
    return known?.revision === revision ? known : undefined;
  }

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
    if (!rows.some(mayBeReplaced)) return rows.map(sealedSecret);
    const all = rows.map((row) => ({ ...row, ...sealedSecret(row) }));
    const keys = await keysOf(dataKeys, owner, all);
    const current = withoutReplaced(all, (secret) => {
      const name = openOrDamage(() => openName(keyOf(keys, secret), secret, secret.nameCiphertext));
      return 'opened' in name ? name.opened : undefined;
    });
    return current.map(sealedSecret);
  }
}

function sealedSecret(row: WholeRow): SealedSecret {
  return {
    id: row.id,
    dataKeyId: row.data_key_id,
    nameHash: row.name_hash,
    nameCiphertext: row.name_ciphertext,
    version: row.version,
    attributes: attributesOf(row),
    expiredAt: row.expired_at,
    ciphertext: row.ciphertext,
  };
}

/** For being remembered. */
function withOwnBytes(secret: SealedSecret): SealedSecret {
  const { nameHash, nameCiphertext, ciphertext } = secret;
  return {
    ...secret,
    nameHash: ownBytes(nameHash),
    nameCiphertext: ownBytes(nameCiphertext),
    ciphertext: ciphertext && ownBytes(ciphertext),
  };
}

/** The secret's own columns are null together, for an owner without secrets. */
type WholeRow = AttributeColumns & {
  [C in Exclude<keyof CurrentVersionRow, AttributeName | Nullable | 'revision'>]: NonNullable<CurrentVersionRow[C]>;
} & Pick<CurrentVersionRow, Nullable>;
type Nullable = 'ciphertext' | 'expired_at';
