import type { Selectable } from 'kysely';
import type { BatchJob } from './join-tokens.ts';
import { changesOneRow } from './one-row.ts';
import { prepared } from './prepared.ts';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

/** A pilot's session. */
export type PilotRow = Selectable<Schema['pilots']>;

export async function insertPilot(
  db: Database,
  pilot: Omit<PilotRow, 'ended_at' | 'ended_by' | 'batch_ended_at'>,
): Promise<void> {
  await db.insertInto('pilots').values(pilot).execute();
}

/** One row or none. */
export const findPilot = prepared<{ id: string }, PilotRow>((db, arg) =>
  db.selectFrom('pilots').selectAll().where('id', '=', arg('id')),
);

/** The pilots of a batch job, also those that ended: a batch system may start one again. */
export async function listPilotsOfBatch(db: Database, { launcherId, queue, batchId }: BatchJob): Promise<PilotRow[]> {
  return db
    .selectFrom('pilots')
    .selectAll()
    .where('launcher_id', '=', launcherId)
    .where('batch_id', '=', batchId)
    .where('queue', '=', queue)
    .execute();
}

/** The batch jobs, of those with these ids, from which a pilot joined and of whose end the launcher has not told. */
export async function listUnendedBatchesAmong(
  db: Database,
  launcherId: string,
  batchIds: readonly string[],
): Promise<{ queue: string; batch_id: string | null }[]> {
  if (batchIds.length === 0) return [];
  return db
    .selectFrom('pilots')
    .select(['queue', 'batch_id'])
    .where('launcher_id', '=', launcherId)
    .where('batch_id', 'in', batchIds)
    .where('batch_ended_at', 'is', null)
    .execute();
}

/** The batch jobs of a launcher from which a pilot joined and of whose end it has not told. */
export async function listUnendedBatches(
  db: Database,
  { launcherId, queue }: Omit<BatchJob, 'batchId'>,
): Promise<string[]> {
  const rows = await db
    .selectFrom('pilots')
    .select('batch_id')
    .where('launcher_id', '=', launcherId)
    .where('queue', '=', queue)
    .where('batch_ended_at', 'is', null)
    .execute();
  return rows.flatMap(({ batch_id }) => batch_id ?? []);
}

/** Notes that a launcher told of the end of a batch job. */
export async function noteBatchEnd(db: Database, { launcherId, queue, batchId }: BatchJob, now: number): Promise<void> {
  await db
    .updateTable('pilots')
    .set({ batch_ended_at: now })
    .where('launcher_id', '=', launcherId)
    .where('batch_id', '=', batchId)
    .where('queue', '=', queue)
    .where('batch_ended_at', 'is', null)
    .execute();
}

/** The pilots that joined last, first. */
export async function listPilots(db: Database, limit: number): Promise<PilotRow[]> {
  return db.selectFrom('pilots').selectAll().orderBy('created_at', 'desc').limit(limit).execute();
}

/** Pilots of a queue that were seen since a time and whose session goes on. */
export async function countActivePilots(
  db: Database,
  queue: string | null,
  { now, seenAfter }: { now: number; seenAfter: number },
): Promise<number> {
  const pilots = db.selectFrom('pilots');
  const { count } = await (queue === null ? pilots : pilots.where('queue', '=', queue))
    .where('ended_at', 'is', null)
    .where('expires_at', '>', now)
    .where('seen_at', '>', seenAfter)
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** Ends a session, once: who ended it first stays. */
export async function endPilot(
  db: Database,
  id: string,
  { now, by }: { now: number; by: 'operator' | 'launcher' | 'pilot' },
): Promise<boolean> {
  return changesOneRow(
    db.updateTable('pilots').set({ ended_at: now, ended_by: by }).where('id', '=', id).where('ended_at', 'is', null),
  );
}

/** Ends the sessions of a queue's pilots that have not ended. */
export async function endPilotsOf(db: Database, queue: string, now: number): Promise<void> {
  await db
    .updateTable('pilots')
    .set({ ended_at: now, ended_by: 'operator' })
    .where('queue', '=', queue)
    .where('ended_at', 'is', null)
    .execute();
}

export const setPilotSeen = prepared<{ id: string; now: number }, never>((db, arg) =>
  db
    .updateTable('pilots')
    .set({ seen_at: arg('now') })
    .where('id', '=', arg('id')),
);

/** A proof that was taken. `expires_at` must follow from the proof alone, since it is part of what is compared. */
export type ProofRow = Selectable<Schema['pilot_proofs']>;

/**
 * Notes that proofs were taken, at most 32 different ones. Of several requests with the same proof, on whichever replicas, one is answered with its row, the
 * others without.
 */
export const takeProofs = prepared<{ proofs: readonly ProofRow[] }, ProofRow>((db, arg) =>
  db
    .insertInto('pilot_proofs')
    .values(arg('proofs'))
    .onConflict((conflict) => conflict.columns(['expires_at', 'pilot_id', 'jti']).doNothing())
    .returningAll(),
);

export async function deleteEndedProofs(db: Database, now: number): Promise<void> {
  await db.deleteFrom('pilot_proofs').where('expires_at', '<', now).execute();
}

/** Pilots that ended, or could last go on, before a time. */
export async function deletePilotsEndedBefore(db: Database, time: number): Promise<void> {
  await db
    .deleteFrom('pilots')
    .where((eb) => eb.or([eb('expires_at', '<', time), eb('ended_at', '<', time)]))
    .execute();
}
