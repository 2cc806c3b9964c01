import { type Insertable, type Selectable, sql, type Updateable } from 'kysely';
import type { OwnerId } from '../protocol/ids.ts';
import type { TaskState } from '../protocol/states.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, type TaggedFields, tagged, tagsOf } from './tagged-rows.ts';

type NewTask = Omit<Insertable<Schema['tasks']>, 'id' | 'tag'> & Omit<TaggedFields<'tasks'>, 'id'>;

/** The new task's id; nothing when its name is taken, also by one that is submitted at the same moment. */
export async function insertTask(db: Database, task: NewTask): Promise<number | undefined> {
  const [row] = await insertTaskRow(db, { task });
  // The tag covers the id, which the database chose just now.
  if (row) await setTaskTag(db, { id: row.id, tag: tagsOf(db).of('tasks', { ...task, id: row.id }) });
  return row?.id;
}

const insertTaskRow = prepared<{ task: NewTask }, { id: number }>((db, arg) =>
  db
    .insertInto('tasks')
    .values(arg('task'))
    .onConflict((conflict) => conflict.doNothing())
    .returning('id'),
);

const setTaskTag = prepared<{ id: number; tag: Uint8Array }, never>((db, arg) =>
  db
    .updateTable('tasks')
    .set({ tag: arg('tag') })
    .where('id', '=', arg('id')),
);

/** The newest task of that name that is active or succeeded, leaving out one task. */
export const readTaskOfName = prepared<{ owner: OwnerId; name: string; other: number }, { id: number; state: string }>(
  (db, arg) =>
    db
      .selectFrom('tasks')
      .select(['id', 'state'])
      .where('owner_id', '=', arg('owner'))
      .where('name', '=', arg('name'))
      .where('id', '!=', arg('other'))
      .where('state', 'not in', ['failed', 'aborted', 'exhausted', 'broken'])
      .orderBy('id', 'desc')
      .limit(1),
);

/**
 * Reads a task for a change. The update holds the row until the transaction ends, so that of two changes to one task or
 * its jobs the second sees what the first left.
 */
export async function lockTask(db: Database, owner: OwnerId, id: number, now: number) {
  return db
    .updateTable('tasks')
    .set({ modified_at: now })
    .where('id', '=', id)
    .where('owner_id', '=', owner)
    .where('removed_at', 'is', null)
    .returning(['id', 'owner_id', 'name', 'unique_name', 'state', 'queue', 'use_secrets', 'max_attempts', 'job_count'])
    .executeTakeFirst();
}

export type LockedTask = NonNullable<Awaited<ReturnType<typeof lockTask>>>;

/** Changes a task that this transaction has locked. */
export async function updateTask(
  db: Database,
  id: number,
  change: Omit<Updateable<Schema['tasks']>, keyof TaggedFields<'tasks'> | 'tag'>,
): Promise<void> {
  await db.updateTable('tasks').set(change).where('id', '=', id).execute();
}

/**
 * An owner's jobs of tasks that have not ended. Of two submissions at the same moment the second sees what the first made.
 *
 * @param lock where several transactions write at a time (`Store.skipLocked`)
 */
export async function countOpenJobs(db: Database, owner: OwnerId, lock: true | undefined): Promise<number> {
  if (lock) await holdOwner(db, { owner });
  return sumOpenJobs(db, owner);
}

const holdOwner = prepared<{ owner: OwnerId }, never>((db, arg) => ({
  compile: () => sql<never>`update owners set display_name = display_name where id = ${arg('owner')}`.compile(db),
}));

/** The same for show: it may be stale. */
export async function sumOpenJobs(db: Database, owner: OwnerId): Promise<number> {
  const [row] = await selectOpenJobs(db, { owner });
  return row?.jobs ?? 0;
}

const selectOpenJobs = prepared<{ owner: OwnerId }, { jobs: number }>((db, arg) =>
  db
    .selectFrom('tasks')
    .select((eb) => sql<number>`cast(coalesce(sum(${eb.ref('job_count')}), 0) as bigint)`.as('jobs'))
    .where('owner_id', '=', arg('owner'))
    .where('ended_at', 'is', null),
);

/** The secrets that a task names, and the queue that it is for; nothing when it is not this owner's. */
export async function readTaskSecrets(db: Database, owner: OwnerId, id: number) {
  return db
    .selectFrom('tasks')
    .select(['secret_ids', 'queue'])
    .where('id', '=', id)
    .where('owner_id', '=', owner)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
}

/** Marks tasks as running whose first job was just acquired; those in another state stay as they are. */
export const startTasks = prepared<{ ids: readonly number[]; now: number }, never>((db, arg) =>
  db
    .updateTable('tasks')
    .set({ state: 'running' satisfies TaskState, modified_at: arg('now') })
    .where('id', 'in', arg('ids'))
    .where('state', '=', 'ready' satisfies TaskState),
);

/** Sends a task that this transaction has locked to another queue, or to any (null). @throws {Tampered} */
export async function moveTaskToQueue(db: Database, id: number, queue: string | null): Promise<void> {
  const row = await db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const { tag } = tagged(db, 'tasks', { ...checked(db, 'tasks', row), queue });
  await db.updateTable('tasks').set({ queue, tag }).where('id', '=', id).execute();
}

/** The columns that jobs are made from. */
export interface TemplateRow extends TaggedFields<'tasks'> {
  state: string;
  display_name: string;
  max_attempts: number;
  /** The grant that its owner signed, where its secrets are sealed. */
  grant_word: string | null;
}

/** @returns each with what is wrong with it, if something is: a job of such a task must not run */
export async function readTemplates(
  db: Database,
  ids: readonly number[],
): Promise<(TemplateRow & { fault: unknown })[]> {
  const tags = tagsOf(db);
  return (await readTemplateRows(db, { ids })).map((row) => {
    try {
      tags.check('tasks', row);
      return { ...row, fault: undefined };
    } catch (fault) {
      return { ...row, fault };
    }
  });
}

const readTemplateRows = prepared<{ ids: readonly number[] }, TemplateRow & Pick<Selectable<Schema['tasks']>, 'tag'>>(
  (db, arg) =>
    db
      .selectFrom('tasks')
      .innerJoin('owners', 'owners.id', 'tasks.owner_id')
      .leftJoin('task_grants', 'task_grants.task_id', 'tasks.id')
      .select([
        'tasks.id',
        'tasks.owner_id',
        'tasks.name',
        'tasks.queue',
        'tasks.use_secrets',
        'tasks.secret_ids',
        'tasks.parameters',
        'tasks.job_count',
        'tasks.tag',
        'tasks.state',
        'tasks.max_attempts',
        'owners.display_name',
        'task_grants.grant_word',
      ])
      .where('tasks.id', 'in', arg('ids')),
);

/** The size of what {@link readTemplates} would read of each of these tasks, in bytes, by id. */
export async function templateSizes(db: Database, ids: readonly number[]): Promise<Map<number, number>> {
  const rows = await db
    .selectFrom('tasks')
    .select(['id', sql<number>`octet_length(parameters)`.as('bytes')])
    .where('id', 'in', ids)
    .execute();
  return new Map(rows.map(({ id, bytes }) => [id, bytes]));
}

/** Which tasks to read: every part that is there must hold. Times in milliseconds. */
export interface TaskFilter {
  ids?: readonly number[];
  names?: readonly string[];
  states?: readonly string[];
  queues?: readonly string[];
  modifiedSince?: number;
}

/** The newest first. */
export async function readTasks(db: Database, owner: OwnerId, filter: TaskFilter, limit: number) {
  const { ids, names, states, queues, modifiedSince } = filter;
  return db
    .selectFrom('tasks')
    .innerJoin('owners', 'owners.id', 'tasks.owner_id')
    .select([
      'tasks.id',
      'tasks.name',
      'tasks.state',
      'tasks.queue',
      'tasks.use_secrets',
      'tasks.max_attempts',
      'tasks.job_count',
      'tasks.diagnosis',
      'tasks.created_at',
      'tasks.modified_at',
      'tasks.ended_at',
      'owners.display_name',
    ])
    .where('tasks.owner_id', '=', owner)
    .where('tasks.removed_at', 'is', null)
    .$if(ids !== undefined, (query) => query.where('tasks.id', 'in', ids ?? []))
    .$if(names !== undefined, (query) => query.where('tasks.name', 'in', names ?? []))
    .$if(states !== undefined, (query) => query.where('tasks.state', 'in', states ?? []))
    .$if(queues !== undefined, (query) => query.where('tasks.queue', 'in', queues ?? []))
    .$if(modifiedSince !== undefined, (query) => query.where('tasks.modified_at', '>=', modifiedSince ?? 0))
    .orderBy('tasks.id', 'desc')
    .limit(limit)
    .execute();
}
