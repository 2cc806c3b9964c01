import type { Database } from './store.ts';

/** Attempts of a queue that have not ended. */
export async function countRunning(db: Database, queue: string): Promise<number> {
  const { count } = await db
    .selectFrom('attempts')
    .where('ended_at', 'is', null)
    .where('queue', '=', queue)
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}
