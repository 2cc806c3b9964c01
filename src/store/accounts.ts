import type { Insertable, Selectable } from 'kysely';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged } from './tagged-rows.ts';

export type AccountRow = Selectable<Schema['accounts']>;
type NewAccount = Omit<Insertable<Schema['accounts']>, 'tag'> & TaggedFields<'accounts'>;

/** Adds an account; false when its name is taken, also by one that was added at the same moment. */
export async function insertAccount(db: Database, account: NewAccount): Promise<boolean> {
  return changesOneRow(
    db
      .insertInto('accounts')
      .values(tagged(db, 'accounts', account))
      .onConflict((conflict) => conflict.column('name').doNothing()),
  );
}

/** @throws {Tampered} here and wherever an account is read */
export async function findAccount(db: Database, name: string): Promise<AccountRow | undefined> {
  const row = await db.selectFrom('accounts').selectAll().where('name', '=', name).executeTakeFirst();
  return row && checked(db, 'accounts', row);
}

export async function listAccounts(db: Database): Promise<AccountRow[]> {
  const rows = await db.selectFrom('accounts').selectAll().orderBy('name').execute();
  return rows.map((row) => checked(db, 'accounts', row));
}

export async function findAccountBySubject(db: Database, subject: string): Promise<AccountRow | undefined> {
  const [row] = await findRowOfSubject(db, { subject });
  return row && checked(db, 'accounts', row);
}

const findRowOfSubject = prepared<{ subject: string }, AccountRow>((db, arg) =>
  db.selectFrom('accounts').selectAll().where('subject', '=', arg('subject')),
);

/** The account, of which no other transaction changes anything until this one ends. */
export async function lockAccount(
  db: Database,
  column: 'name' | 'subject',
  text: string,
): Promise<AccountRow | undefined> {
  const row = await db
    .updateTable('accounts')
    .set((set) => ({ disabled: set.ref('disabled') }))
    .where(column, '=', text)
    .returningAll()
    .executeTakeFirst();
  return row && checked(db, 'accounts', row);
}

/** Changes an account, whose row it locks and checks first. False when there is no account of this name. */
export async function changeAccount(
  db: Database,
  name: string,
  change: Partial<Pick<AccountRow, 'disabled' | 'operator' | 'claimed' | 'password_hash' | 'tokens_from'>>,
): Promise<boolean> {
  const row = await lockAccount(db, 'name', name);
  if (!row) return false;
  const { tag } = tagged(db, 'accounts', { ...row, ...change });
  await db
    .updateTable('accounts')
    .set({ ...change, tag })
    .where('name', '=', name)
    .execute();
  return true;
}

/** False when there is no account of this name. */
export async function deleteAccount(db: Database, name: string): Promise<boolean> {
  return changesOneRow(db.deleteFrom('accounts').where('name', '=', name));
}
