import { sql } from 'kysely';
import type { Database } from './store.ts';

/**
 * Counts one more try for a name, before it is known to be in vain, so that tries at the same moment cannot pass the limit
 * together. Failures that have ended do not count.
 */
export async function countSignInTry(
  db: Database,
  name: string,
  { now, expiresAt }: { now: number; expiresAt: number },
): Promise<{ failures: number; expires_at: number }> {
  return db
    .insertInto('sign_in_failures')
    .values({ name, failures: 1, expires_at: expiresAt })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({
        failures: sql`case when sign_in_failures.expires_at <= ${now} then 1 else sign_in_failures.failures + 1 end`,
        expires_at: sql`case when sign_in_failures.expires_at <= ${now} then excluded.expires_at else sign_in_failures.expires_at end`,
      }),
    )
    .returning(['failures', 'expires_at'])
    .executeTakeFirstOrThrow();
}

/** Forgets the failures of a name. */
export async function deleteSignInFailures(db: Database, name: string): Promise<void> {
  await db.deleteFrom('sign_in_failures').where('name', '=', name).execute();
}

export async function deleteEndedSignInFailures(db: Database, now: number): Promise<void> {
  await db.deleteFrom('sign_in_failures').where('expires_at', '<=', now).execute();
}
