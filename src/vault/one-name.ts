import { splitWireName, type WireName, wireName } from '../protocol/names.ts';
import { type DataKey, hashName } from '../sealing/data-key.ts';
import { findSecretsOfName, type NamedSecretRow, type SecretRow } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

// A name is one secret, a string or a file: docs/decisions/0015-a-name-is-one-secret.md. Earlier releases hashed a file's name
// with its mark in front, so that a string and a file could have one name. Of such two the one that was set later counts.

/**
 * The secret of a name, of either kind, and those of that name that it has replaced.
 *
 * @returns `nameHash`: what it stands under, or a new one would
 */
export async function findSecret(
  db: Database,
  dataKey: DataKey,
  name: WireName,
): Promise<{ found: NamedSecretRow | undefined; replaced: SecretRow[]; nameHash: Uint8Array }> {
  const hashes = nameHashes(dataKey, name);
  const rows = await findSecretsOfName(db, { ownerId: dataKey.ownerId, nameHashes: hashes });
  const [found, ...replaced] = rows.sort(laterFirst);
  return { found, replaced, nameHash: found?.name_hash ?? hashes[0] };
}

/** The hashes under which a name may stand. New secrets stand under the first, whatever their kind. */
export function nameHashes(dataKey: DataKey, wire: WireName): [Buffer, Buffer] {
  const { name } = splitWireName(wire);
  return [hashName(dataKey, wireName(name, 'string')), hashName(dataKey, wireName(name, 'file'))];
}

/**
 * Leaves out secrets that another one of their name has replaced.
 *
 * @param nameOf is called only where there may be one; undefined for a name that does not open, whose secret stays
 */
export function withoutReplaced<Row extends Aged>(
  rows: readonly Row[],
  nameOf: (row: Row) => WireName | undefined,
): readonly Row[] {
  if (rows.every(({ hashed_as }) => hashed_as === 'string')) return rows;
  const latest = new Map<string, Row>();
  const unnamed: Row[] = [];
  for (const row of rows) {
    const wire = nameOf(row);
    if (wire === undefined) {
      unnamed.push(row);
      continue;
    }
    const { name } = splitWireName(wire);
    const other = latest.get(name);
    if (!other || laterFirst(row, other) < 0) latest.set(name, row);
  }
  return [...latest.values(), ...unnamed];
}

type Aged = Pick<SecretRow, 'hashed_as' | 'updated_at'>;

/** Of two that were set in the same millisecond the one whose name is hashed as new ones are goes first. */
function laterFirst(a: Aged, b: Aged): number {
  return b.updated_at - a.updated_at || (a.hashed_as === 'string' ? -1 : 1);
}
