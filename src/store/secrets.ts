import { type Nullable, sql } from 'kysely';
import { ATTRIBUTE_NAMES, type AttributeColumns, type Attributes } from '../protocol/secret-attributes.ts';
import type { AuditHead } from './audit.ts';
import { IS_ACTIVE } from './data-keys.ts';
import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

/**
 * As the first statement of a transaction it locks the owner's row, so that one owner's changes run one after another on PostgreSQL as
 * they do on SQLite. What refers to the owner is written meanwhile.
 *
 * @returns the head of the owner's audit, for the entry of the change; nothing when there is no such owner
 */
export const lockSecrets = prepared<{ ownerId: string }, AuditHead>((db, arg) =>
  db.selectFrom('owners').select(['audit_seq', 'audit_hash']).where('id', '=', arg('ownerId')).forNoKeyUpdate(),
);

/** Which state the owner's secrets are in: what was read at another revision is stale. */
export const findRevision = prepared<{ ownerId: string }, { revision: number }>((db, arg) =>
  db.selectFrom('owners').select('revision').where('id', '=', arg('ownerId')),
);

/** A secret without its value. */
export interface SecretRow extends AttributeColumns {
  id: string;
  name_hash: Uint8Array;
  hashed_as: string;
  current_version: number;
  size: number;
  sealed: number;
  updated_at: number;
  expired_at: number | null;
  name_ciphertext: Uint8Array;
}

const SECRET_COLUMNS = [
  'id',
  'name_hash',
  'hashed_as',
  'current_version',
  'size',
  'sealed',
  'updated_at',
  'expired_at',
  'name_ciphertext',
  ...ATTRIBUTE_NAMES,
] as const;

/** A secret that was looked for by its name. */
export interface NamedSecretRow extends SecretRow {
  /** Null when none of its versions is there. */
  oldest_version: number | null;
}

/** The number of the oldest version that is kept of the secret in a row of `secrets`. */
const OLDEST_VERSION = sql<
  number | null
>`(select min(v.version) from secret_versions as v where v.secret_id = secrets.id)`.as('oldest_version');

/**
 * The owner's active data key with the secret that stands under a hash of a name, whose columns are null where there is none; no row without such a
 * key. `has_others`: the owner has secrets that an earlier release hashed in another way. By the index of those, which is empty nearly everywhere.
 */
export const findSecretUnderKey = prepared<
  { ownerId: string; nameHash: Uint8Array },
  Nullable<NamedSecretRow> & { active_key: string; has_others: boolean | number }
>((db, arg) =>
  db
    .selectFrom('data_keys')
    .leftJoin('secrets', (on) =>
      on.onRef('secrets.owner_id', '=', 'data_keys.owner_id').on('secrets.name_hash', '=', arg('nameHash')),
    )
    .select(['data_keys.id as active_key', ...SECRET_COLUMNS.map((column) => `secrets.${column}` as const)])
    .select((eb) => [
      OLDEST_VERSION,
      eb
        .exists(
          eb
            .selectFrom('secrets as other')
            .select('other.id')
            .whereRef('other.owner_id', '=', 'data_keys.owner_id')
            .where('other.hashed_as', '<>', sql.lit('string')),
        )
        .as('has_others'),
    ])
    .where('data_keys.owner_id', '=', arg('ownerId'))
    .where('data_keys.active', '=', IS_ACTIVE),
);

/** The secrets that stand under one of these hashes of a name; in no order. */
export const findSecretsOfName = prepared<{ ownerId: string; nameHashes: readonly Uint8Array[] }, NamedSecretRow>(
  (db, arg) =>
    db
      .selectFrom('secrets')
      .select([...SECRET_COLUMNS, OLDEST_VERSION])
      .where('owner_id', '=', arg('ownerId'))
      .where('name_hash', 'in', arg('nameHashes')),
);

/** The number of an owner's secrets, and the bytes of their current values. Under the owner's lock, or it may be stale. */
export const sumSecrets = prepared<{ ownerId: string }, { count: number; bytes: number }>((db, arg) =>
  db
    .selectFrom('secrets')
    .select((eb) => [
      eb.fn.countAll<number>().as('count'),
      sql<number>`cast(coalesce(sum(${eb.ref('size')}), 0) as bigint)`.as('bytes'),
    ])
    .where('owner_id', '=', arg('ownerId')),
);

export const insertSecret = prepared<
  {
    id: string;
    ownerId: string;
    dataKeyId: string;
    nameHash: Uint8Array;
    nameCiphertext: Uint8Array;
    attributes: Attributes;
    size: number;
    sealed: number;
    now: number;
  },
  never
>((db, arg) =>
  db.insertInto('secrets').values({
    id: arg('id'),
    owner_id: arg('ownerId'),
    data_key_id: arg('dataKeyId'),
    name_hash: arg('nameHash'),
    name_ciphertext: arg('nameCiphertext'),
    ...arg('attributes'),
    hashed_as: 'string',
    current_version: 1,
    size: arg('size'),
    sealed: arg('sealed'),
    created_at: arg('now'),
    updated_at: arg('now'),
  }),
);

/** Makes `version` the secret's current one. Its end is to come: the caller looked. */
export const advanceSecret = prepared<
  { id: string; version: number; size: number; sealed: number; now: number },
  never
>((db, arg) =>
  db
    .updateTable('secrets')
    .set({
      current_version: arg('version'),
      size: arg('size'),
      sealed: arg('sealed'),
      updated_at: arg('now'),
      expired_at: null,
    })
    .where('id', '=', arg('id')),
);

/** Writes a secret's name, kind and attributes. */
export async function updateName(
  db: Database,
  { id, attributes, nameCiphertext }: { id: string; attributes: Attributes; nameCiphertext: Uint8Array },
): Promise<void> {
  const change = { ...attributes, name_ciphertext: nameCiphertext };
  await db.updateTable('secrets').set(change).where('id', '=', id).execute();
}

/** Puts a secret's name under another data key. */
export async function moveSecret(
  db: Database,
  secret: { id: string; dataKeyId: string; nameHash: Uint8Array; nameCiphertext: Uint8Array },
): Promise<void> {
  const { id, dataKeyId, nameHash, nameCiphertext } = secret;
  const change = { data_key_id: dataKeyId, name_hash: nameHash, name_ciphertext: nameCiphertext };
  await db.updateTable('secrets').set(change).where('id', '=', id).execute();
}

/** An owner's secrets without values; in no order. */
export function listSecretRows(db: Database, ownerId: string) {
  return db.selectFrom('secrets').selectAll().where('owner_id', '=', ownerId).execute();
}

/** Those secrets whose name hashes are given. */
export function findSecretRows(db: Database, ownerId: string, nameHashes: readonly Uint8Array[]) {
  return db
    .selectFrom('secrets')
    .select(SECRET_COLUMNS)
    .where('owner_id', '=', ownerId)
    .where('name_hash', 'in', nameHashes)
    .execute();
}

/** The encrypted names of those secrets that are still there. */
export function findSecretNames(db: Database, ownerId: string, ids: readonly string[]) {
  return db
    .selectFrom('secrets')
    .select(['id', 'data_key_id', 'name_hash', 'name_ciphertext', ...ATTRIBUTE_NAMES])
    .where('owner_id', '=', ownerId)
    .where('id', 'in', ids)
    .execute();
}

/** Deletes a secret and, by the foreign key, every version of it. @returns false when there was none */
export async function deleteSecretRow(db: Database, ownerId: string, id: string): Promise<boolean> {
  const rows = await db
    .deleteFrom('secrets')
    .where('owner_id', '=', ownerId)
    .where('id', '=', id)
    .returning('id')
    .execute();
  return rows.length > 0;
}

/** Deletes all of an owner's secrets with every version. @returns their ids */
export async function deleteSecretRows(db: Database, ownerId: string): Promise<string[]> {
  const rows = await db.deleteFrom('secrets').where('owner_id', '=', ownerId).returning('id').execute();
  return rows.map((row) => row.id);
}

/** All owners' secrets whose list of queues may have this one: the caller looks closer. */
export function findSecretsThatName(db: Database, queue: string) {
  return db
    .selectFrom('secrets')
    .select(['id', 'owner_id', 'queues'])
    .where('queues', 'is not', null)
    .where(sql<string>`',' || queues || ','`, 'like', `%,${queue},%`)
    .execute();
}
