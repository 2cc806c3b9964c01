import { randomUUID } from 'node:crypto';
import { keepSigningKeys, newSigningKeys, type SigningKeySet } from '../identity/signing-keys.ts';
import { Misconfigured, MissingRootKey } from '../protocol/errors.ts';
import {
  type InstallationKey,
  importInstallationKey,
  installationKeyContext,
  newInstallationKey,
} from '../sealing/installation-key.ts';
import type { RootKeys } from '../sealing/root-keys.ts';
import { findInstallationKey, insertInstallationKey } from '../store/installation-keys.ts';
import type { Store } from '../store/store.ts';
import { tagAllRows, useTags } from '../store/tagged-rows.ts';

type Found = NonNullable<Awaited<ReturnType<typeof findInstallationKey>>>;

/**
 * The key of the installation that a database belongs to: from now on its rows are believed by their tags.
 *
 * @throws {Misconfigured} when this server has not got the root key that the database belongs to: the message says what to copy
 * @throws {DecryptionFailed} when the key was changed
 */
export async function openInstallationKey(store: Store, rootKeys: RootKeys, found: Found): Promise<InstallationKey> {
  const bytes = await unwrapInstallationKey(rootKeys, found);
  return used(store, importInstallationKey({ id: found.id, bytes }), bytes);
}

/**
 * The root key that wraps the installation's key is the active one: who cannot unwrap it with that root key cannot say which one is.
 *
 * @returns true when the row holds the installation's own key
 * @throws {MissingRootKey} {Unavailable} as its provider does @throws {DecryptionFailed} when the row was changed
 */
export async function isKeyOf(key: InstallationKey, rootKeys: RootKeys, found: Found): Promise<boolean> {
  if (found.id !== key.id) return false;
  const bytes = await rootKeys.get(found.root_key_id).unwrap(found.wrapped_key, installationKeyContext(found.id));
  const same = importInstallationKey({ id: found.id, bytes }).hash(found.id) === key.hash(found.id);
  bytes.fill(0);
  return same;
}

/**
 * Makes the key of a database that has none, and with it the first signing keys. Rows that are there, of a release before tags,
 * get theirs in the same transaction: afterwards no row without one is believed. Of several servers that do so at once, one does,
 * and the others open what it made.
 *
 * @param signingKeys those that a release before this one kept in a file
 * @throws {Misconfigured} {@link openInstallationKey}
 */
export async function makeInstallationKey(
  store: Store,
  rootKeys: RootKeys,
  { signingKeys, clock }: { signingKeys: SigningKeySet | undefined; clock: () => number },
): Promise<InstallationKey> {
  const id = randomUUID();
  const bytes = newInstallationKey();
  const { active } = rootKeys;
  const wrapped_key = await active.wrap(bytes, installationKeyContext(id));
  const key = importInstallationKey({ id, bytes });
  const first = signingKeys ?? (await newSigningKeys());
  const isFirst = await store.write(async (tx) => {
    const row = { id, root_key_id: active.id, wrapped_key, created_at: clock() };
    if (!(await insertInstallationKey(tx, row))) return false;
    await tagAllRows(tx, key.tags);
    await keepSigningKeys(tx, key, first);
    return true;
  });
  if (isFirst) return used(store, key, bytes);
  bytes.fill(0);
  const found = await findInstallationKey(store.db);
  if (!found) throw new Misconfigured('the database lost the key of its installation while it was opened');
  return openInstallationKey(store, rootKeys, found);
}

async function used(store: Store, key: InstallationKey, bytes: Uint8Array): Promise<InstallationKey> {
  bytes.fill(0);
  await useTags(store, key.tags);
  return key;
}

async function unwrapInstallationKey(rootKeys: RootKeys, { id, root_key_id, wrapped_key }: Found): Promise<Uint8Array> {
  try {
    return await rootKeys.get(root_key_id).unwrap(wrapped_key, installationKeyContext(id));
  } catch (error) {
    if (!(error instanceof MissingRootKey)) throw error;
    throw new Misconfigured(
      `the database belongs to an installation whose root key "${root_key_id}" this server has not got (it has "${rootKeys.active.id}"). ` +
        'Copy the root keys here from a server that has them (the file "root-keys" of its data folder, unless its root_keys ' +
        'setting names others), and start again',
    );
  }
}
