import { type Selectable, sql } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import { ENDED_TASK_STATES } from '../protocol/states.ts';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, tagged } from './tagged-rows.ts';

/** False when there is a sandbox of that name: of two that bring one name at the same moment, one is told so. */
export async function insertSandbox(
  db: Database,
  sandbox: { name: string; owner_id: OwnerId; sha256: string; size: number; checksum: string; created_at: number },
): Promise<boolean> {
  return changesOneRow(
    db
      .insertInto('sandboxes')
      .values({ ...tagged(db, 'sandboxes', sandbox), used_at: sandbox.created_at })
      .onConflict((conflict) => conflict.doNothing()),
  );
}

const findSandbox = prepared<{ name: string }, Selectable<Schema['sandboxes']>>((db, arg) =>
  db.selectFrom('sandboxes').selectAll().where('name', '=', arg('name')),
);

/** @throws {Tampered} here and in {@link readSandboxOfContent} */
export async function readSandbox(db: Database, name: string) {
  const [row] = await findSandbox(db, { name });
  return row && checked(db, 'sandboxes', row);
}

const findSandboxInUse = prepared<{ name: string }, Selectable<Schema['sandboxes']>>((db, arg) =>
  db
    .selectFrom('sandboxes')
    .selectAll('sandboxes')
    .where('sandboxes.name', '=', arg('name'))
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('tasks')
          .select('tasks.id')
          .whereRef('tasks.sandbox', '=', 'sandboxes.name')
          .whereRef('tasks.owner_id', '=', 'sandboxes.owner_id')
          .where('tasks.state', 'not in', ENDED_TASK_STATES),
      ),
    ),
);

/** A sandbox that a task of its own owner starts from which has not ended. */
export async function readSandboxInUse(db: Database, name: string) {
  const [row] = await findSandboxInUse(db, { name });
  return row && checked(db, 'sandboxes', row);
}

/** The newest one of this content. */
export async function readSandboxOfContent(db: Database, owner: OwnerId, size: number, checksum: string) {
  const row = await db
    .selectFrom('sandboxes')
    .selectAll()
    .where('owner_id', '=', owner)
    .where('size', '=', size)
    .where('checksum', '=', checksum)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  return row && checked(db, 'sandboxes', row);
}

/**
 * Notes that a sandbox is used, and holds its row until the transaction ends: a removal that is under way waits, and then finds it used.
 *
 * @returns nothing when it is not there
 */
export async function useSandbox(db: Database, name: string, now: number) {
  const [row] = await noteUse(db, { name, now });
  return row && checked(db, 'sandboxes', row);
}

const noteUse = prepared<{ name: string; now: number }, Selectable<Schema['sandboxes']>>((db, arg) =>
  db
    .updateTable('sandboxes')
    .set({ used_at: arg('now') })
    .where('name', '=', arg('name'))
    .returningAll(),
);

/** The same for the one that a task starts from. @returns undefined for a task that starts from none of this server's */
export async function useSandboxOfTask(db: Database, taskId: number, now: number): Promise<boolean | undefined> {
  const task = await db
    .selectFrom('tasks')
    .select(['sandbox', sql<number>`case when parameters like '%"sandboxSha256":%' then 1 else 0 end`.as('was_here')])
    .where('id', '=', taskId)
    .executeTakeFirst();
  if (!task?.sandbox || task.was_here === 0) return undefined;
  return (await useSandbox(db, task.sandbox, now)) !== undefined;
}

/**
 * Deletes sandboxes that were last used before a time, and from which no task starts that has not ended, or ended after another time.
 *
 * @returns how many
 */
export async function deleteUnusedSandboxes(
  db: Database,
  { before, endedBefore, limit }: { before: number; endedBefore: number; limit: number },
): Promise<number> {
  const unused = db
    .selectFrom('sandboxes')
    .select('name')
    .where('used_at', '<', before)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('tasks')
            .select('tasks.id')
            .whereRef('tasks.sandbox', '=', 'sandboxes.name')
            .where((eb) => eb.or([eb('tasks.ended_at', 'is', null), eb('tasks.ended_at', '>=', endedBefore)])),
        ),
      ),
    )
    .orderBy('used_at')
    .limit(limit);
  const { numDeletedRows } = await db
    .deleteFrom('sandboxes')
    .where('name', 'in', unused)
    // Looked at again where a task that started from it meanwhile held the row.
    .where('used_at', '<', before)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
