import { sql } from 'kysely';
import type { Database } from './store.ts';

/** Jobs that wait for a pilot of a queue, those of any queue included: counted up to `limit`. */
export async function countWaiting(db: Database, queue: string, limit: number): Promise<number> {
  const { count } = await db
    .selectFrom((from) =>
      from
        .selectFrom('jobs')
        .select('id')
        // Written out, not bound, so that the databases see that the index of waiting jobs answers it.
        .where(sql<boolean>`state = 'activated'`)
        .where((where) => where.or([where('queue', '=', queue), where('queue', 'is', null)]))
        .limit(limit)
        .as('waiting'),
    )
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

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
