import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { attributesOf } from '../protocol/secret-attributes.ts';
import { hashName } from '../sealing/data-key.ts';
import { openValue } from '../sealing/value-format.ts';
import { findVersion, listVersionRows } from '../store/secret-versions.ts';
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
  { store, dataKeys }: Changing,
  owner: OwnerId,
  name: WireName,
): Promise<VersionInfo[]> {
  const dataKey = await dataKeys.active(owner);
  const rows = dataKey ? await listVersionRows(store.db, owner, hashName(dataKey, name)) : [];
  if (rows.length === 0) throw noSuchSecret([name]);
  return rows.map((row) => ({
    version: row.version,
    size: row.size,
    createdAt: row.created_at,
    current: row.version === row.current_version,
  }));
}

/**
 * Makes a kept version's value the current one, as a new version.
 *
 * @throws {NotFound} when the secret or that version of it is not there
 * @throws {DecryptionFailed} when the version does not open
 * @throws {QuotaExceeded} {@link setSecret}
 */
export async function restoreVersion(
  changing: Changing,
  owner: OwnerId,
  name: WireName,
  version: number,
): Promise<{ version: number }> {
  const { store, dataKeys } = changing;
  const kept = (await listVersions(changing, owner, name)).map((one) => one.version);
  const activeKey = await dataKeys.active(owner);
  const nameHash = activeKey && hashName(activeKey, name);
  const row = nameHash && (await findVersion(store.db, owner, nameHash, version));
  if (!row) {
    throw new NotFound(
      `version ${version} of "${splitWireName(name).name}" is not kept; the kept ones are ${kept.join(', ')}`,
    );
  }
  const dataKey = await dataKeys.get(owner, row.data_key_id);
  const secret = openValue(dataKey, { nameHash, version, attributes: attributesOf(row) }, row.ciphertext);
  return setSecret(changing, owner, secret, { restored: { id: row.id, version } });
}
