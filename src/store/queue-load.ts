import type { Database } from './store.ts';

/** Attempts of a queue, or of any, that have not ended. */
export async function countRunning(db: Database, queue: string | null): Promise<number> {
  const attempts = db.selectFrom('attempts').where('ended_at', 'is', null);
  const { count } = await (queue === null ? attempts : attempts.where('queue', '=', queue))
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}
