import type { Database } from './store.ts';

export async function insertPasswordLink(
  db: Database,
  link: { token_hash: string; subject: string; expires_at: number; unclaimed_only: number },
): Promise<void> {
  await db.insertInto('password_links').values(link).execute();
}

/** The name of the account that a link is for, while the link is good and the account may be used. */
export async function findAccountOfPasswordLink(
  db: Database,
  tokenHash: string,
  now: number,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('password_links')
    .innerJoin('accounts', 'accounts.subject', 'password_links.subject')
    .select('accounts.name')
    .where('password_links.token_hash', '=', tokenHash)
    .where('password_links.expires_at', '>', now)
    .where('accounts.disabled', '=', 0)
    .where((where) => where.or([where('unclaimed_only', '=', 0), where('accounts.claimed', '=', 0)]))
    .executeTakeFirst();
  return row?.name;
}

/** Uses a link up. Of several that use one at the same moment, one is answered with whose it was. */
export async function takePasswordLink(db: Database, tokenHash: string, now: number): Promise<string | undefined> {
  const row = await db
    .deleteFrom('password_links')
    .where('token_hash', '=', tokenHash)
    .where('expires_at', '>', now)
    .where((where) =>
      where.or([
        where('unclaimed_only', '=', 0),
        where('subject', 'in', where.selectFrom('accounts').select('accounts.subject').where('claimed', '=', 0)),
      ]),
    )
    .returning('subject')
    .executeTakeFirst();
  return row?.subject;
}

/** Removes the links of an account. */
export async function deletePasswordLinks(db: Database, subject: string): Promise<void> {
  await db.deleteFrom('password_links').where('subject', '=', subject).execute();
}

export async function deleteEndedPasswordLinks(db: Database, now: number): Promise<void> {
  await db.deleteFrom('password_links').where('expires_at', '<', now).execute();
}
