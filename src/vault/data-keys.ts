import { randomUUID } from 'node:crypto';
import { DecryptionFailed } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { DATA_KEY_SECONDS, MAX_REMEMBERED_DATA_KEYS } from '../protocol/limits.ts';
import { type DataKey, dataKeyContext, importDataKey, newDataKey } from '../sealing/data-key.ts';
import type { RootKeys } from '../sealing/root-keys.ts';
import { findActiveDataKey, findDataKey, insertFirstDataKey, type WrappedDataKey } from '../store/data-keys.ts';
import { ReturningCache } from '../store/returning.ts';
import type { Store } from '../store/store.ts';
import { keepWrapped } from '../store/wrapped-keys.ts';

/** The owners' data keys, unwrapped. One is remembered for `DATA_KEY_SECONDS`, and `MAX_REMEMBERED_DATA_KEYS` at most beside the few of just now. */
export interface DataKeys {
  /** The key that the owner's values are under at this moment, by the database; none for an owner who never kept one. */
  active(owner: OwnerId): Promise<DataKey | undefined>;
  /** The same, made when there is none. @throws {MissingRootKey} @throws {Unavailable} as the root key's provider does */
  activeOrNew(owner: OwnerId): Promise<DataKey>;
  /**
   * The key that was active when it was last looked for, to begin with: the transaction that uses it must see, under the
   * owner's lock, that it still is, and otherwise ask {@link DataKeys.activeOrNew}.
   */
  lastActive(owner: OwnerId): Promise<DataKey>;
  /** The owner's key of that id. @throws {DecryptionFailed} when there is none, or it is another owner's */
  get(owner: OwnerId, id: string): Promise<DataKey>;
  /** The id of {@link DataKeys.lastActive}'s key, and of the key that is active now; undefined for none. */
  lastActiveId(owner: OwnerId): string | undefined;
  activeId(owner: OwnerId): Promise<string | undefined>;
  /** Forgets a key that was destroyed. */
  forget(id: string): void;
  /** Forgets the keys whose time is over. No request takes one of them, but they are in memory until then. */
  forgetOld(): void;
  close(): void;
}

export function createDataKeys(options: { store: Store; rootKeys: RootKeys; clock: () => number }): DataKeys {
  const { store, rootKeys, clock } = options;
  // Promises, so that requests that arrive together wait for one unwrapping; for two, where the cache is full and many other owners' do as well.
  const unwrapped = new ReturningCache<Promise<DataKey>>(bounds(clock));
  /** The ids of keys that were active; the keys themselves are in `unwrapped` alone, to be forgotten in one place. */
  const activeIds = new ReturningCache<string>(bounds(clock));
  const making = new Map<OwnerId, Promise<void>>();

  function remember(id: string, unwrapping: Promise<DataKey>): Promise<DataKey> {
    unwrapped.set(id, unwrapping);
    unwrapping.catch(() => unwrapped.delete(id));
    return unwrapping;
  }

  async function unwrap(owner: OwnerId, { id, root_key_id, wrapped }: WrappedDataKey): Promise<DataKey> {
    const key = { id, ownerId: owner };
    const bytes = await rootKeys.get(root_key_id).unwrap(wrapped, dataKeyContext(key));
    const dataKey = importDataKey({ ...key, bytes });
    bytes.fill(0);
    return dataKey;
  }

  async function active(owner: OwnerId): Promise<DataKey | undefined> {
    const [row] = await findActiveDataKey(store.db, { ownerId: owner });
    if (!row) return undefined;
    activeIds.set(owner, row.id);
    return ownKey(owner, await (unwrapped.get(row.id) ?? remember(row.id, unwrap(owner, row))));
  }

  async function activeOrNew(owner: OwnerId): Promise<DataKey> {
    for (;;) {
      const found = await active(owner);
      if (found) return found;
      const made = making.get(owner) ?? makeFirst(owner).finally(() => making.delete(owner));
      making.set(owner, made);
      await made;
    }
  }

  async function makeFirst(owner: OwnerId): Promise<void> {
    const id = randomUUID();
    const bytes = newDataKey();
    try {
      await keepWrapped(
        store,
        'grow',
        rootKeys,
        async (active) => ({
          root_key_id: active.id,
          wrapped: await active.wrap(bytes, dataKeyContext({ id, ownerId: owner })),
        }),
        (tx, wrapped) => insertFirstDataKey(tx, { id, owner_id: owner, ...wrapped, created_at: clock() }),
      );
    } finally {
      bytes.fill(0);
    }
  }

  return {
    active,

    activeOrNew,

    async lastActive(owner) {
      const id = activeIds.get(owner);
      const known = id === undefined ? undefined : unwrapped.get(id);
      return known ? ownKey(owner, await known) : activeOrNew(owner);
    },

    async get(owner, id) {
      return ownKey(owner, await (unwrapped.get(id) ?? remember(id, findAndUnwrap(owner, id))));
    },

    lastActiveId: (owner) => activeIds.get(owner),

    async activeId(owner) {
      const [row] = await findActiveDataKey(store.db, { ownerId: owner });
      return row?.id;
    },

    forget: (id) => unwrapped.delete(id),
    forgetOld: () => unwrapped.purgeStale(),

    close() {
      unwrapped.clear();
      activeIds.clear();
    },
  };

  async function findAndUnwrap(owner: OwnerId, id: string): Promise<DataKey> {
    const [row] = await findDataKey(store.db, { id, ownerId: owner });
    if (!row) throw notThere();
    return unwrap(owner, row);
  }
}

/** A key's time counts from when it was unwrapped, however often it is used. */
function bounds(clock: () => number) {
  return {
    max: MAX_REMEMBERED_DATA_KEYS,
    ttl: DATA_KEY_SECONDS * 1000,
    perf: { now: clock },
  };
}

/** A row that was moved here from another owner names that owner's key, which may well be remembered. */
function ownKey(owner: OwnerId, dataKey: DataKey): DataKey {
  if (dataKey.ownerId !== owner) throw notThere();
  return dataKey;
}

function notThere() {
  return new DecryptionFailed("a secret does not open: the key it names is not one of its owner's");
}
