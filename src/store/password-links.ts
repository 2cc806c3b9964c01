import type { Selectable } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';
import { checked, tagged } from './tagged-rows.ts';

type PasswordLinkRow = Selectable<Schema['password_links']>;

export async function insertPasswordLink(
  db: Database,
  link: { token_hash: string; subject: string; expires_at: number; unclaimed_only: number },
): Promise<void> {
  await db
    .insertInto('password_links')
    .values(tagged(db, 'password_links', link))
    .execute();
}

/** A link, while it is good: whether its account may be used is its caller's to check. @throws {Tampered} here and where one is used up */
export async function findPasswordLink(
  db: Database,
  tokenHash: string,
  now: number,
): Promise<PasswordLinkRow | undefined> {
  const row = await db
    .selectFrom('password_links')
    .selectAll()
    .where('token_hash', '=', tokenHash)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row && checked(db, 'password_links', row);
}

/** Uses a link up. Of several that use one at the same moment, one is answered with whose it was. */
export async function takePasswordLink(
  db: Database,
  tokenHash: string,
  now: number,
): Promise<PasswordLinkRow | undefined> {
  const row = await db
    .deleteFrom('password_links')
    .where('token_hash', '=', tokenHash)
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst();
  return row && checked(db, 'password_links', row);
}

/** Removes the links of an account. */
export async function deletePasswordLinks(db: Database, subject: string): Promise<void> {
  await db.deleteFrom('password_links').where('subject', '=', subject).execute();
}

export async function deleteEndedPasswordLinks(db: Database, now: number): Promise<void> {
  await db.deleteFrom('password_links').where('expires_at', '<', now).execute();
}
