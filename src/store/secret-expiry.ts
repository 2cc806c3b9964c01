import { prepared } from './prepared.ts';
import type { Database } from './store.ts';

/** Secrets of all owners whose end has come and was not noted yet. @param until as the column has it: texts of one form, in their order */
export function findSecretsToExpire(db: Database, until: string, limit: number) {
  return db
    .selectFrom('secrets')
    .select(['id', 'owner_id'])
    .where('expires', 'is not', null)
    .where('expired_at', 'is', null)
    .where('expires', '<=', until)
    .orderBy('expires')
    .limit(limit)
    .execute();
}

/** Secrets whose end was noted before that time. */
export function findSecretsExpiredBefore(db: Database, before: number, limit: number) {
  return db
    .selectFrom('secrets')
    .select(['id', 'owner_id'])
    .where('expired_at', '<', before)
    .orderBy('expired_at')
    .limit(limit)
    .execute();
}

/** Notes the end of a secret. @returns false when it was noted, or is later now */
export async function noteExpired(
  db: Database,
  { ownerId, id, until, now }: { ownerId: string; id: string; until: string; now: number },
): Promise<boolean> {
  const rows = await db
    .updateTable('secrets')
    .set({ expired_at: now })
    .where('owner_id', '=', ownerId)
    .where('id', '=', id)
    .where('expired_at', 'is', null)
    .where('expires', '<=', until)
    .returning('id')
    .execute();
  return rows.length > 0;
}

/** Deletes a secret with every version, if its end was noted before that time: not one that was set anew meanwhile. */
export async function deleteExpired(
  db: Database,
  { ownerId, id, before }: { ownerId: string; id: string; before: number },
): Promise<boolean> {
  const rows = await db
    .deleteFrom('secrets')
    .where('owner_id', '=', ownerId)
    .where('id', '=', id)
    .where('expired_at', '<', before)
    .returning('id')
    .execute();
  return rows.length > 0;
}

/** Notes that a job got these secrets. */
export const noteUses = prepared<{ ids: readonly string[]; now: number }, never>((db, arg) =>
  db
    .updateTable('secrets')
    .set({ last_used_at: arg('now') })
    .where('id', 'in', arg('ids')),
);
