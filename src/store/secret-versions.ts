import { ATTRIBUTE_NAMES, type AttributeColumns } from '../protocol/secret-attributes.ts';
import { IS_ACTIVE } from './data-keys.ts';
import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

interface NewVersion {
  secretId: string;
  version: number;
  ownerId: string;
  dataKeyId: string;
  ciphertext: Uint8Array;
  size: number;
  now: number;
}

/** Fails when the version is there already: two writers that both made it would otherwise lose one's value. */
export const insertVersion = prepared<NewVersion, never>((db, arg) =>
  db.insertInto('secret_versions').values({
    secret_id: arg('secretId'),
    version: arg('version'),
    owner_id: arg('ownerId'),
    data_key_id: arg('dataKeyId'),
    size: arg('size'),
    created_at: arg('now'),
    ciphertext: arg('ciphertext'),
  }),
);

/** Writes a version into the row of one that is no longer kept, `replaced`, which must be there. Fails as {@link insertVersion} does. */
export const replaceVersion = prepared<Omit<NewVersion, 'ownerId'> & { replaced: number }, never>((db, arg) =>
  db
    .updateTable('secret_versions')
    .set({
      version: arg('version'),
      data_key_id: arg('dataKeyId'),
      size: arg('size'),
      created_at: arg('now'),
      ciphertext: arg('ciphertext'),
    })
    .where('secret_id', '=', arg('secretId'))
    .where('version', '=', arg('replaced')),
);

/** The kept versions of a secret, with values. */
export function listVersionBoxes(db: Database, secretId: string) {
  return db
    .selectFrom('secret_versions')
    .select(['version', 'ciphertext'])
    .where('secret_id', '=', secretId)
    .orderBy('version')
    .execute();
}

/** Puts another ciphertext of the same value in a version's row. */
export async function updateVersionBox(
  db: Database,
  {
    secretId,
    version,
    ciphertext,
    dataKeyId,
  }: { secretId: string; version: number; ciphertext: Uint8Array; dataKeyId?: string },
): Promise<void> {
  await db
    .updateTable('secret_versions')
    .set({ ciphertext, ...(dataKeyId !== undefined && { data_key_id: dataKeyId }) })
    .where('secret_id', '=', secretId)
    .where('version', '=', version)
    .execute();
}

/** Deletes the versions of a secret up to and with `lastVersion`. */
export const deleteOldVersions = prepared<{ secretId: string; lastVersion: number }, never>((db, arg) =>
  db.deleteFrom('secret_versions').where('secret_id', '=', arg('secretId')).where('version', '<=', arg('lastVersion')),
);

/** As columns of the secret's row where that is called `s`. */
const ATTRIBUTE_COLUMNS = ATTRIBUTE_NAMES.map((name) => `s.${name}` as const);

/** The secret `s` with its current version `v`. */
const CURRENT_COLUMNS = [
  's.id',
  's.name_hash',
  's.name_ciphertext',
  's.hashed_as',
  's.updated_at',
  's.expired_at',
  's.current_version as version',
  ...ATTRIBUTE_COLUMNS,
  's.data_key_id',
  'v.ciphertext',
] as const;

/** A row for each secret of an owner; one row of nulls for an owner who has none. */
export interface CurrentVersionRow extends AttributeColumns {
  revision: number;
  id: string | null;
  name_hash: Uint8Array | null;
  name_ciphertext: Uint8Array | null;
  hashed_as: string | null;
  updated_at: number | null;
  expired_at: number | null;
  version: number | null;
  data_key_id: string | null;
  /** Null as well when the secret's current version is missing. */
  ciphertext: Uint8Array | null;
}

/** The current versions of all of an owner's secrets with the revision they stand for: one statement, so one state. */
export const findCurrentVersions = prepared<{ ownerId: string }, CurrentVersionRow>((db, arg) =>
  db
    .selectFrom('owners as o')
    .leftJoin('secrets as s', 's.owner_id', 'o.id')
    .leftJoin('secret_versions as v', (on) =>
      on.onRef('v.secret_id', '=', 's.id').onRef('v.version', '=', 's.current_version'),
    )
    .select(['o.revision', ...CURRENT_COLUMNS])
    .where('o.id', '=', arg('ownerId')),
);

/** Those of an owner's secrets that stand under one of these hashes; `active_key`: the data key that is active in that state, under which names are hashed. */
export const findCurrentVersionsOfNames = prepared<
  { ownerId: string; nameHashes: readonly Uint8Array[] },
  Omit<CurrentVersionRow, 'revision'> & { active_key: string | null }
>((db, arg) =>
  db
    .selectFrom('owners as o')
    .leftJoin('data_keys as k', (on) => on.onRef('k.owner_id', '=', 'o.id').on('k.active', '=', IS_ACTIVE))
    .leftJoin('secrets as s', (on) => on.onRef('s.owner_id', '=', 'o.id').on('s.name_hash', 'in', arg('nameHashes')))
    .leftJoin('secret_versions as v', (on) =>
      on.onRef('v.secret_id', '=', 's.id').onRef('v.version', '=', 's.current_version'),
    )
    .select(['k.id as active_key', ...CURRENT_COLUMNS])
    .where('o.id', '=', arg('ownerId')),
);

/** The kept versions of a secret, newest first, without values. */
export function listVersionRows(db: Database, secretId: string) {
  return db
    .selectFrom('secret_versions')
    .select(['version', 'size', 'created_at'])
    .where('secret_id', '=', secretId)
    .orderBy('version', 'desc')
    .execute();
}

/** One version of a secret. */
export function findVersion(db: Database, secretId: string, version: number) {
  return db
    .selectFrom('secret_versions')
    .select(['data_key_id', 'ciphertext'])
    .where('secret_id', '=', secretId)
    .where('version', '=', version)
    .executeTakeFirst();
}
