import type { Insertable, Selectable } from 'kysely';
import { changesOneRow } from './one-row.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

export type ProviderRecord = Selectable<Schema['provider_records']>;

/** Adds a record, or replaces the one with its id; that it was used stays known. */
export async function upsertProviderRecord(
  db: Database,
  record: Omit<Insertable<Schema['provider_records']>, 'consumed_at'>,
): Promise<void> {
  const { model: _model, id_hash: _id, ...changes } = record;
  await db
    .insertInto('provider_records')
    .values(record)
    .onConflict((conflict) => conflict.columns(['model', 'id_hash']).doUpdateSet(changes))
    .execute();
}

/** The record, also when it has ended: its user decides what an ended one means. */
export function findProviderRecord(
  db: Database,
  model: string,
  column: 'id_hash' | 'uid' | 'user_code',
  value: string,
): Promise<ProviderRecord | undefined> {
  return db
    .selectFrom('provider_records')
    .selectAll()
    .where('model', '=', model)
    .where(column, '=', value)
    .executeTakeFirst();
}

/** Marks a record as used. Of several that use one at the same moment, one is answered true. */
export async function consumeProviderRecord(db: Database, model: string, idHash: string, at: number): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('provider_records')
      .set({ consumed_at: at })
      .where('model', '=', model)
      .where('id_hash', '=', idHash)
      .where('consumed_at', 'is', null),
  );
}

export async function deleteProviderRecord(db: Database, model: string, idHash: string): Promise<void> {
  await db.deleteFrom('provider_records').where('model', '=', model).where('id_hash', '=', idHash).execute();
}

/** Removes all that one person's one login of one program was given. */
export async function deleteProviderRecordsOfGrant(db: Database, model: string, grantId: string): Promise<void> {
  await db.deleteFrom('provider_records').where('model', '=', model).where('grant_id', '=', grantId).execute();
}

/** Removes all logins of a person. */
export async function deleteProviderRecordsOfSubject(db: Database, subject: string): Promise<void> {
  await db.deleteFrom('provider_records').where('subject', '=', subject).execute();
}

/** Removes what ended before `now`, milliseconds. */
export async function deleteEndedProviderRecords(db: Database, now: number): Promise<void> {
  await db.deleteFrom('provider_records').where('expires_at', '<', now).execute();
}

/** True while the record is there, ended or not. */
export async function hasProviderRecord(db: Database, model: string, idHash: string): Promise<boolean> {
  const query = db.selectFrom('provider_records').select('id_hash').where('model', '=', model);
  return (await query.where('id_hash', '=', idHash).executeTakeFirst()) !== undefined;
}

/**
 * The logins of a person, as the provider keeps them: grants of programs that have something to go on with, and sessions of browsers;
 * beside them the notes of who they are (model `Login`), also those of logins that are gone.
 */
export function listLoginRecords(db: Database, subject: string, now: number): Promise<ProviderRecord[]> {
  return db
    .selectFrom('provider_records')
    .selectAll()
    .where('subject', '=', subject)
    .where('expires_at', '>', now)
    .where((is) =>
      is.or([
        is('model', 'in', ['Session', 'Login']),
        is.and([
          is('model', '=', 'Grant'),
          is.exists(
            is
              .selectFrom('provider_records as token')
              .select('token.id_hash')
              .whereRef('token.grant_id', '=', 'provider_records.id_hash')
              .where('token.expires_at', '>', now),
          ),
        ]),
      ]),
    )
    .execute();
}

/** Removes one login of a person and all that it was given. */
export async function deleteLoginRecords(db: Database, subject: string, idHash: string): Promise<void> {
  await db
    .deleteFrom('provider_records')
    .where('subject', '=', subject)
    .where((is) => is.or([is('id_hash', '=', idHash), is('grant_id', '=', idHash), is('uid', '=', idHash)]))
    .execute();
}
