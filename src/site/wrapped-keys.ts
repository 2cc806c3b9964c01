import { placeOfJoinKey } from '../identity/join-tokens.ts';
import { placeOfAnswerKey } from '../identity/pilot-sessions.ts';
import { contextOf } from '../identity/wrapped-key.ts';
import {
  Conflict,
  DecryptionFailed,
  Misconfigured,
  MissingRootKey,
  type PandaError,
  UnknownFormat,
} from '../protocol/errors.ts';
import { dataKeyContext } from '../sealing/data-key.ts';
import { installationKeyContext } from '../sealing/installation-key.ts';
import type { RootKey, RootKeys } from '../sealing/root-keys.ts';
import { findInstallationKey, lockActiveRootKey } from '../store/installation-keys.ts';
import type { Database, Store } from '../store/store.ts';
import {
  countWrappedKeys,
  findKeyOfRootKey,
  findKeysOfOtherRootKeys,
  replaceWrappedKey,
  WRAPPED_KEY_COLUMNS,
  type WrappedKeyRow,
  type WrappedKeyTable,
} from '../store/wrapped-keys.ts';

/** All that root keys wrap, and the context that each row's key is bound to. */
const CONTEXTS: { readonly [T in WrappedKeyTable]: (row: WrappedKeyRow<T>) => Uint8Array } = {
  data_keys: ({ id, owner_id }) => dataKeyContext({ id, ownerId: owner_id }),
  installation_keys: ({ id }) => installationKeyContext(id),
  join_tokens: (row) => contextOf(placeOfJoinKey(row)),
  pilots: (row) => contextOf(placeOfAnswerKey(row)),
};

const ROWS_AT_ONCE = 100;

/** A key that could not be wrapped anew: it stays as it was, and its own root key is still needed. */
export interface LeftKey {
  table: WrappedKeyTable;
  id: string;
  rootKeyId: string;
  /** The code of what went wrong: a row that was changed is `ERR_DECRYPTION_FAILED`. */
  code: string;
}

export interface Rewrapped {
  /** Keys that were wrapped anew. */
  count: number;
  left: LeftKey[];
}

/**
 * Wraps under the active root key whatever another one wrapped: afterwards the others are needed by nothing but older copies of
 * the database. The servers may run; it may be broken off or killed at any moment, and begun again. One that does not open keeps none of the
 * others back.
 *
 * @param onProgress told after each page, with the keys that were wrapped so far
 * @throws {Unavailable} when a provider cannot be reached: what was done stays done
 * @throws {Conflict} when another root key becomes the active one meanwhile
 */
export async function rewrapKeys(
  store: Store,
  rootKeys: RootKeys,
  onProgress: (count: number) => void = () => {},
): Promise<Rewrapped> {
  const { active } = rootKeys;
  const done: Rewrapped = { count: 0, left: [] };
  for (const table of Object.keys(CONTEXTS) as WrappedKeyTable[]) {
    await rewrapTable(store, { rootKeys, active }, table, done, onProgress);
  }
  return done;
}

interface Rewrapping {
  rootKeys: RootKeys;
  /** The one that wraps, however long it takes. */
  active: RootKey;
}

async function rewrapTable<T extends WrappedKeyTable>(
  store: Store,
  rewrapping: Rewrapping,
  table: T,
  done: Rewrapped,
  onProgress: (count: number) => void,
): Promise<void> {
  const { active } = rewrapping;
  let after = '';
  for (;;) {
    const rows = await findKeysOfOtherRootKeys(store.db, table, { activeId: active.id, after, limit: ROWS_AT_ONCE });
    const last = rows.at(-1);
    if (!last) return;
    const results = await Promise.all(rows.map((row) => rewrapRow(rewrapping, table, row)));
    const changes = results.flatMap((result) => ('wrapped' in result ? result : []));
    done.left.push(...results.flatMap((result) => ('code' in result ? result : [])));
    done.count += await store.write(async (tx) => {
      if (((await lockActiveRootKey(tx)) ?? active.id) !== active.id) {
        throw new Conflict('another root key became the active one meanwhile: begin again');
      }
      let replaced = 0;
      for (const change of changes) if (await replaceWrappedKey(tx, table, change)) replaced++;
      return replaced;
    });
    onProgress(done.count);
    after = last.id;
  }
}

async function rewrapRow<T extends WrappedKeyTable>(
  { rootKeys, active }: Rewrapping,
  table: T,
  row: WrappedKeyRow<T>,
): Promise<{ id: string; from: string; to: string; wrapped: Uint8Array } | LeftKey> {
  try {
    const wrapped = await wrapAnew({ rootKeys, active }, table, row);
    return { id: row.id, from: row.root_key_id, to: active.id, wrapped };
  } catch (error) {
    if (!DAMAGES.some((kind) => error instanceof kind)) throw error;
    return { table, id: row.id, rootKeyId: row.root_key_id, code: (error as PandaError).code };
  }
}

/** What is wrong with one row alone. */
const DAMAGES = [DecryptionFailed, UnknownFormat, MissingRootKey] as const;

/** The key of a row under another root key, in the place that it is bound to. */
async function wrapAnew<T extends WrappedKeyTable>(
  { rootKeys, active }: Rewrapping,
  table: T,
  row: WrappedKeyRow<T>,
): Promise<Uint8Array> {
  const context = CONTEXTS[table](row);
  const stored = (row as Record<string, unknown>)[WRAPPED_KEY_COLUMNS[table]] as Uint8Array;
  const key = await rootKeys.get(row.root_key_id).unwrap(stored, context);
  try {
    return await active.wrap(key, context);
  } finally {
    key.fill(0);
  }
}

/**
 * Makes a root key the active one: it wraps the installation's key from now on, which is how servers know. They go by it at their next
 * write of a wrapped key, or within `ROOT_KEYS_RECHECK_SECONDS`.
 *
 * @param record runs in the transaction of the change, when it is one
 * @returns false when it was the active one already
 * @throws {MissingRootKey} when this machine has not got it
 */
export async function activateRootKey(
  store: Store,
  rootKeys: RootKeys,
  id: string,
  record: (tx: Database) => Promise<void>,
): Promise<boolean> {
  const row = await findInstallationKey(store.db);
  if (!row) throw new Misconfigured('the database has no installation key: start a server once');
  if (row.root_key_id === id) return false;
  const wrapped = await wrapAnew({ rootKeys, active: rootKeys.get(id) }, 'installation_keys', row);
  await store.write(async (tx) => {
    const change = { id: row.id, from: row.root_key_id, to: id, wrapped };
    if (!(await replaceWrappedKey(tx, 'installation_keys', change))) {
      throw new Conflict('another root key became the active one meanwhile: look at "panda-secrets keys list"');
    }
    await record(tx);
  });
  await rootKeys.refresh();
  return true;
}

/**
 * Tries to open one key of each table under each root key that is named there.
 *
 * @returns those that do not open, and why
 */
export async function tryWrappedKeys(
  store: Store,
  rootKeys: RootKeys,
): Promise<{ table: WrappedKeyTable; rootKeyId: string; error: unknown }[]> {
  const failed = [];
  for (const { table, rootKeyId } of await countWrappedKeys(store.db)) {
    try {
      await tryOne(store, rootKeys, table, rootKeyId);
    } catch (error) {
      failed.push({ table, rootKeyId, error });
    }
  }
  return failed;
}

async function tryOne<T extends WrappedKeyTable>(store: Store, rootKeys: RootKeys, table: T, rootKeyId: string) {
  const row = await findKeyOfRootKey(store.db, table, rootKeyId);
  if (!row) return;
  const stored = (row as Record<string, unknown>)[WRAPPED_KEY_COLUMNS[table]] as Uint8Array;
  (await rootKeys.get(rootKeyId).unwrap(stored, CONTEXTS[table](row))).fill(0);
}
