import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { attributesOf } from '../protocol/secret-attributes.ts';
import { type NamedValue, openValue } from '../sealing/value-format.ts';
import { findVersion, listVersionRows } from '../store/secret-versions.ts';
import type { SecretRow } from '../store/secrets.ts';
import { findSecret } from './one-name.ts';
import type { Changing } from './owners.ts';
import { noSuchSecret } from './secret-names.ts';
import { setSecret } from './secrets.ts';

/** A version of a secret without its value; times are milliseconds since 1970 UTC. */
export interface VersionInfo {
  version: number;
  /** Bytes of the value as sent. */
  size: number;
  createdAt: number;
  current: boolean;
}

/** The versions of a secret that are kept, newest first. @throws {NotFound} when there is no such secret */
export async function listVersions(
  { store, dataKeys }: Looking,
  owner: OwnerId,
  name: WireName,
): Promise<VersionInfo[]> {
  const { found } = await findOwn({ store, dataKeys }, owner, name);
  return (await listVersionRows(store.db, found.id)).map((row) => ({
    version: row.version,
    size: row.size,
    createdAt: row.created_at,
    current: row.version === found.current_version,
  }));
}

/**
 * Opens a version that is kept.
 *
 * @throws {NotFound} when the secret or that version of it is not there
 * @throws {DecryptionFailed} when the version does not open
 */
export async function openVersion(
  looking: Looking,
  owner: OwnerId,
  name: WireName,
  version: number,
): Promise<NamedValue & { id: string }> {
  const { store, dataKeys } = looking;
  const { found } = await findOwn(looking, owner, name);
  const row = await findVersion(store.db, found.id, version);
  if (!row) {
    const kept = (await listVersionRows(store.db, found.id)).map((one) => one.version);
    throw new NotFound(
      `version ${version} of "${splitWireName(name).name}" is not kept; the kept ones are ${kept.join(', ')}`,
    );
  }
  const dataKey = await dataKeys.get(owner, row.data_key_id);
  const place = { nameHash: found.name_hash, version, attributes: attributesOf(found) };
  return { id: found.id, ...openValue(dataKey, place, row.ciphertext) };
}

/**
 * Makes a kept version's value the current one, as a new version. The secret becomes a string or a file again, as that version
 * was.
 *
 * @throws as {@link openVersion} @throws {QuotaExceeded} {@link setSecret}
 */
export async function restoreVersion(
  changing: Changing,
  owner: OwnerId,
  name: WireName,
  version: number,
): Promise<{ version: number }> {
  const { id, ...secret } = await openVersion(changing, owner, name, version);
  return setSecret(changing, owner, secret, { restored: { id, version } });
}

type Looking = Pick<Changing, 'store' | 'dataKeys'>;

async function findOwn({ store, dataKeys }: Looking, owner: OwnerId, name: WireName): Promise<{ found: SecretRow }> {
  const dataKey = await dataKeys.active(owner);
  const sought = dataKey && (await findSecret(store.db, dataKey, name));
  if (!sought?.found) throw noSuchSecret([name]);
  return { found: sought.found };
}
