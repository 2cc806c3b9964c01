import type { Selectable } from 'kysely';
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
      .values(tagged(db, 'sandboxes', sandbox))
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
