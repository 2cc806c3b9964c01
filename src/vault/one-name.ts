import { splitWireName, type WireName, wireName } from '../protocol/names.ts';
import { type DataKey, hashName } from '../sealing/data-key.ts';
import { findSecretsOfName, findSecretUnderKey, type NamedSecretRow, type SecretRow } from '../store/secrets.ts';
import type { Database } from '../store/store.ts';

// A name is one secret, a string or a file: docs/decisions/0015-a-name-is-one-secret.md. Earlier releases hashed a file's name
// with its mark in front, so that a string and a file could have one name. Of such two the one that was set later counts.

/** A secret that was looked for by its name. */
export interface FoundSecret {
  found: NamedSecretRow | undefined;
  /** Those of its name that it has replaced. */
  replaced: readonly SecretRow[];
  /** The hash that it stands under, or a new one would. */
  nameHash: Uint8Array;
}

/**
 * The secret of a name, of either kind.
 *
 * @returns undefined when `dataKey` is not the one that is active now, under which names are hashed
 */
export async function findSecret(db: Database, dataKey: DataKey, wire: WireName): Promise<FoundSecret | undefined> {
  const { ownerId } = dataKey;
  const { name } = splitWireName(wire);
  const nameHash = hashName(dataKey, wireName(name, 'string'));
  const [row] = await findSecretUnderKey(db, { ownerId, nameHash });
  if (row?.active_key !== dataKey.id) return undefined;
  if (!row.has_others) return { found: row.id === null ? undefined : (row as NamedSecretRow), replaced: [], nameHash };
  const rows = await findSecretsOfName(db, { ownerId, nameHashes: nameHashes(dataKey, wire) });
  const [found, ...replaced] = rows.sort(laterFirst);
  return { found, replaced, nameHash: found?.name_hash ?? nameHash };
}

/** The hashes under which a name may stand. New secrets stand under the first, whatever their kind. */
export function nameHashes(dataKey: DataKey, wire: WireName): [Buffer, Buffer] {
  const { name } = splitWireName(wire);
  return [hashName(dataKey, wireName(name, 'string')), hashName(dataKey, wireName(name, 'file'))];
}

/** True for a secret of an earlier release, which another one of its name may have replaced, or which may have replaced it. */
export function mayBeReplaced({ hashed_as }: Pick<Aged, 'hashed_as'>): boolean {
  return hashed_as !== 'string';
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
  if (!rows.some(mayBeReplaced)) return rows;
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
