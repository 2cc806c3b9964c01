import type { Insertable, Selectable } from 'kysely';
import { changesOneRow } from './one-row.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged } from './tagged-rows.ts';

export type LauncherRow = Selectable<Schema['launchers']>;
type NewLauncher = Omit<Insertable<Schema['launchers']>, 'tag'> & TaggedFields<'launchers'>;

/** Adds a launcher; false when its name is taken, also by one that was added at the same moment. */
export async function insertLauncher(db: Database, launcher: NewLauncher): Promise<boolean> {
  return changesOneRow(
    db
      .insertInto('launchers')
      .values(tagged(db, 'launchers', launcher))
      .onConflict((conflict) => conflict.column('name').doNothing()),
  );
}

/** @throws {Tampered} here and wherever a launcher is read */
export async function findLauncher(db: Database, by: 'id' | 'name', text: string): Promise<LauncherRow | undefined> {
  const row = await db.selectFrom('launchers').selectAll().where(by, '=', text).executeTakeFirst();
  return row && checked(db, 'launchers', row);
}

/** The launcher, of which no other transaction changes anything until this one ends. */
export async function lockLauncher(db: Database, by: 'id' | 'name', text: string): Promise<LauncherRow | undefined> {
  const row = await db
    .updateTable('launchers')
    .set((set) => ({ window_count: set.ref('window_count') }))
    .where(by, '=', text)
    .returningAll()
    .executeTakeFirst();
  return row && checked(db, 'launchers', row);
}

/** Changes a launcher that this transaction has locked. */
export async function updateLauncher(db: Database, launcher: LauncherRow): Promise<void> {
  const { id, tag: _earlier, ...columns } = launcher;
  const { tag } = tagged(db, 'launchers', launcher);
  await db
    .updateTable('launchers')
    .set({ ...columns, tag })
    .where('id', '=', id)
    .execute();
}

export async function listLaunchers(db: Database): Promise<LauncherRow[]> {
  const rows = await db.selectFrom('launchers').selectAll().orderBy('name').execute();
  return rows.map((row) => checked(db, 'launchers', row));
}

export async function deleteLauncher(db: Database, id: string): Promise<void> {
  await db.deleteFrom('launchers').where('id', '=', id).execute();
  await db.deleteFrom('worker_statistics').where('launcher_id', '=', id).execute();
}
