import type { Selectable } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

type WorkerStatisticsRow = Selectable<Schema['worker_statistics']>;

/** Writes down what a launcher said last of its workers in a queue. */
export async function writeWorkerStatistics(db: Database, row: WorkerStatisticsRow): Promise<void> {
  const { statistics, reported_at } = row;
  await db
    .insertInto('worker_statistics')
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(['queue', 'launcher_id', 'harvester_id']).doUpdateSet({ statistics, reported_at }),
    )
    .execute();
}

/** How many names a launcher has for itself in a queue. */
export async function countHarvesters(db: Database, queue: string, launcherId: string): Promise<number> {
  const { count } = await db
    .selectFrom('worker_statistics')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('queue', '=', queue)
    .where('launcher_id', '=', launcherId)
    .executeTakeFirstOrThrow();
  return count;
}

export async function deleteWorkerStatisticsBefore(db: Database, queue: string, time: number): Promise<void> {
  await db.deleteFrom('worker_statistics').where('queue', '=', queue).where('reported_at', '<', time).execute();
}

/** All launchers' of some queues, since a time. */
export async function readWorkerStatistics(
  db: Database,
  queues: readonly string[],
  since: number,
): Promise<Pick<WorkerStatisticsRow, 'queue' | 'harvester_id' | 'statistics'>[]> {
  if (queues.length === 0) return [];
  return db
    .selectFrom('worker_statistics')
    .select(['queue', 'harvester_id', 'statistics'])
    .where('queue', 'in', queues)
    .where('reported_at', '>=', since)
    .orderBy('queue')
    .orderBy('harvester_id')
    .execute();
}
