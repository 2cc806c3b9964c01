import { placeOfJoinKey } from '../identity/join-tokens.ts';
import { placeOfAnswerKey } from '../identity/pilot-sessions.ts';
import { contextOf } from '../identity/wrapped-key.ts';
import { dataKeyContext } from '../sealing/data-key.ts';
import { installationKeyContext } from '../sealing/installation-key.ts';
import type { RootKeys } from '../sealing/root-keys.ts';
import type { Store } from '../store/store.ts';
import {
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

/**
 * Wraps under the active root key whatever another one wrapped: afterwards the others are needed by nothing but older copies of
 * the database. The servers may run; it may be broken off and begun again.
 *
 * @returns the count of keys that were wrapped anew
 * @throws {MissingRootKey} when a key's own root key is not there
 * @throws {DecryptionFailed} when a row was changed
 */
export async function rewrapKeys(store: Store, rootKeys: RootKeys): Promise<number> {
  let count = 0;
  for (const table of Object.keys(CONTEXTS) as WrappedKeyTable[]) count += await rewrapTable(store, rootKeys, table);
  return count;
}

async function rewrapTable<T extends WrappedKeyTable>(store: Store, rootKeys: RootKeys, table: T): Promise<number> {
  const { active } = rootKeys;
  let count = 0;
  let after = '';
  for (;;) {
    const page = { activeId: active.id, after, limit: ROWS_AT_ONCE };
    const rows = await findKeysOfOtherRootKeys(store.db, table, page);
    const last = rows.at(-1);
    if (!last) return count;
    const changes = await Promise.all(rows.map((row) => rewrapRow(rootKeys, table, row)));
    count += await store.write(async (tx) => {
      let replaced = 0;
      for (const change of changes) if (await replaceWrappedKey(tx, table, change)) replaced++;
      return replaced;
    });
    after = last.id;
  }
}

async function rewrapRow<T extends WrappedKeyTable>(rootKeys: RootKeys, table: T, row: WrappedKeyRow<T>) {
  const { active } = rootKeys;
  const context = CONTEXTS[table](row);
  const stored = (row as Record<string, unknown>)[WRAPPED_KEY_COLUMNS[table]] as Uint8Array;
  const key = await rootKeys.get(row.root_key_id).unwrap(stored, context);
  try {
    return { id: row.id, from: row.root_key_id, to: active.id, wrapped: await active.wrap(key, context) };
  } finally {
    key.fill(0);
  }
}
