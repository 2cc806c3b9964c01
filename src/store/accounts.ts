import type { Insertable, Selectable } from 'kysely';
import { changesOneRow } from './one-row.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

export type AccountRow = Selectable<Schema['accounts']>;

/** Adds an account; false when its name is taken, also by one that was added at the same moment. */
export async function insertAccount(db: Database, account: Insertable<Schema['accounts']>): Promise<boolean> {
  return changesOneRow(
    db
      .insertInto('accounts')
      .values(account)
      .onConflict((conflict) => conflict.column('name').doNothing()),
  );
}

export function findAccount(db: Database, name: string): Promise<AccountRow | undefined> {
  return db.selectFrom('accounts').selectAll().where('name', '=', name).executeTakeFirst();
}

export function listAccounts(db: Database): Promise<AccountRow[]> {
  return db.selectFrom('accounts').selectAll().orderBy('name').execute();
}

/** False when there is no account of this name. */
export async function setDisabled(db: Database, name: string, disabled: boolean): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('accounts')
      .set({ disabled: disabled ? 1 : 0 })
      .where('name', '=', name),
  );
}

/** False when there is no account of this name. */
export async function setOperator(db: Database, name: string, operator: boolean): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('accounts')
      .set({ operator: operator ? 1 : 0 })
      .where('name', '=', name),
  );
}

/** False when there is no account of this name. */
export async function deleteAccount(db: Database, name: string): Promise<boolean> {
  return changesOneRow(db.deleteFrom('accounts').where('name', '=', name));
}

export function findActiveAccountBySubject(db: Database, subject: string): Promise<AccountRow | undefined> {
  return db
    .selectFrom('accounts')
    .selectAll()
    .where('subject', '=', subject)
    .where('disabled', '=', 0)
    .executeTakeFirst();
}

export async function setPasswordHash(db: Database, subject: string, hash: string): Promise<void> {
  await db.updateTable('accounts').set({ password_hash: hash, claimed: 1 }).where('subject', '=', subject).execute();
}

/** Notes that somebody may have tokens of an account. */
export async function setClaimed(db: Database, subject: string): Promise<void> {
  await db.updateTable('accounts').set({ claimed: 1 }).where('subject', '=', subject).execute();
}
