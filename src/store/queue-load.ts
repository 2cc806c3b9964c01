import type { Database } from './store.ts';

/** Attempts of a queue that have not ended, by their state and by what their tasks are. */
export async function countHeldByKind(db: Database, queue: string) {
  return db
    .selectFrom('attempts')
    .innerJoin('tasks', 'tasks.id', 'attempts.task_id')
    .select(['attempts.state', 'tasks.cores', 'tasks.source_label'])
    .select((select) => select.fn.countAll<number>().as('jobs'))
    .where('attempts.ended_at', 'is', null)
    .where('attempts.queue', '=', queue)
    .groupBy(['attempts.state', 'tasks.cores', 'tasks.source_label'])
    .execute();
}

/** Attempts of a queue, or of any, that have not ended. */
export async function countRunning(db: Database, queue: string | null): Promise<number> {
  const attempts = db.selectFrom('attempts').where('ended_at', 'is', null);
  const { count } = await (queue === null ? attempts : attempts.where('queue', '=', queue))
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}
