import { changesOneRow } from './one-row.ts';
import type { Database } from './store.ts';

interface NewJoinToken {
  id: string;
  queue: string;
  root_key_id: string;
  wrapped_key: Uint8Array;
  created_at: number;
  expires_at: number;
  launcher_id: string | null;
  batch_id: string | null;
}

export async function insertJoinToken(db: Database, token: NewJoinToken): Promise<void> {
  await db.insertInto('join_tokens').values(token).execute();
}

/** With the public key of the pilot that used it, if one did. */
export async function findJoinToken(db: Database, id: string) {
  return db
    .selectFrom('join_tokens')
    .leftJoin('pilots', 'pilots.id', 'join_tokens.pilot_id')
    .select([
      'join_tokens.id',
      'join_tokens.queue',
      'join_tokens.root_key_id',
      'join_tokens.wrapped_key',
      'join_tokens.expires_at',
      'join_tokens.launcher_id',
      'join_tokens.batch_id',
    ])
    .select(['pilots.public_key as used_by_key', 'pilots.node as used_on'])
    .where('join_tokens.id', '=', id)
    .executeTakeFirst();
}

/** Uses a token up. Of several that use one at the same moment, on whichever replicas, one is told true. */
export async function useJoinToken(
  db: Database,
  id: string,
  { pilotId, now }: { pilotId: string; now: number },
): Promise<boolean> {
  return changesOneRow(
    db
      .updateTable('join_tokens')
      .set({ pilot_id: pilotId, used_at: now })
      .where('id', '=', id)
      .where('used_at', 'is', null)
      .where('expires_at', '>', now),
  );
}

/** Notes that somebody who holds a used token tried to use it again. */
export async function noteRefusedUse(
  db: Database,
  id: string,
  refused: { refused_at: number; refused_node: string; refused_same_key: number },
): Promise<void> {
  await db
    .updateTable('join_tokens')
    .set((eb) => ({ ...refused, refused_uses: eb('refused_uses', '+', 1) }))
    .where('id', '=', id)
    .execute();
}

/** Tokens that somebody tried to use again, the last such try first. */
export async function listRefusedUses(db: Database) {
  return db
    .selectFrom('join_tokens')
    .select(['id', 'queue', 'pilot_id', 'refused_uses', 'refused_at', 'refused_node', 'refused_same_key'])
    .where('refused_uses', '>', 0)
    .orderBy('refused_at', 'desc')
    .execute();
}

/** Those that no pilot has joined with. */
export async function deleteUnusedJoinTokensOf(db: Database, queue: string): Promise<void> {
  await db.deleteFrom('join_tokens').where('queue', '=', queue).where('used_at', 'is', null).execute();
}

/** Those that no pilot has joined with. */
export async function deleteUnusedJoinTokensOfLauncher(db: Database, launcherId: string): Promise<void> {
  await db.deleteFrom('join_tokens').where('launcher_id', '=', launcherId).where('used_at', 'is', null).execute();
}

/** Takes a launcher's token back; false when a pilot has joined with it, or it is none of that launcher's queue. */
export async function deleteUnusedJoinToken(
  db: Database,
  { id, launcherId, queue }: { id: string; launcherId: string; queue: string },
): Promise<boolean> {
  return changesOneRow(
    db
      .deleteFrom('join_tokens')
      .where('id', '=', id)
      .where('launcher_id', '=', launcherId)
      .where('queue', '=', queue)
      .where('used_at', 'is', null),
  );
}

/** A batch job of a launcher, whose pilot is of a queue. */
export interface BatchJob {
  launcherId: string;
  queue: string;
  batchId: string;
}

/** Those for the pilot of a batch job with which it has not joined. */
export async function deleteUnusedJoinTokensOfBatch(
  db: Database,
  { launcherId, queue, batchId }: BatchJob,
): Promise<void> {
  await db
    .deleteFrom('join_tokens')
    .where('launcher_id', '=', launcherId)
    .where('batch_id', '=', batchId)
    .where('queue', '=', queue)
    .where('used_at', 'is', null)
    .execute();
}

export async function deleteJoinTokensEndedBefore(db: Database, time: number): Promise<void> {
  await db.deleteFrom('join_tokens').where('expires_at', '<', time).execute();
}

/** The batch jobs of a launcher for whose pilots a token waits. */
export async function listUnusedBatchTokens(
  db: Database,
  { launcherId, queue }: Omit<BatchJob, 'batchId'>,
  now: number,
): Promise<string[]> {
  const rows = await db
    .selectFrom('join_tokens')
    .select('batch_id')
    .where('launcher_id', '=', launcherId)
    .where('queue', '=', queue)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .execute();
  return rows.flatMap(({ batch_id }) => batch_id ?? []);
}
