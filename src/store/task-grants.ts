import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

/** Has a task wait for what its owner signs. What was signed before stays: its owner signs the same again at a retry. */
export const awaitGrant = prepared<{ taskId: number }, never>((db, arg) =>
  db
    .insertInto('task_grants')
    .values({ task_id: arg('taskId'), awaited: 1, grant_word: null })
    .onConflict((conflict) => conflict.column('task_id').doUpdateSet({ awaited: 1 })),
);

/** Keeps what the owner signed of a task that this transaction has locked. */
export async function giveGrant(db: Database, taskId: number, grant: string): Promise<void> {
  await db.updateTable('task_grants').set({ awaited: 0, grant_word: grant }).where('task_id', '=', taskId).execute();
}

/** Nothing for a task without sealed secrets. */
export async function readGrant(
  db: Database,
  taskId: number,
): Promise<{ awaited: boolean; grant: string | null } | undefined> {
  const row = await db
    .selectFrom('task_grants')
    .select(['awaited', 'grant_word'])
    .where('task_id', '=', taskId)
    .executeTakeFirst();
  return row && { awaited: row.awaited === 1, grant: row.grant_word };
}
