import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { NotFound } from '../protocol/errors.ts';
import { changeOwner, findOwner, listOwnersOfOtherIssuers, type OwnerRow } from '../store/owners.ts';
import type { Store } from '../store/store.ts';
import { EMBEDDED_ISSUER_ID } from './caller.ts';

/** Somebody whose tokens another issuer makes, and who called here at least once. */
export interface OutsideUser {
  /** The issuer's id and the `sub` of its tokens, which together say who it is. */
  readonly issuer: string;
  readonly subject: string;
  readonly ownerId: string;
  /** For show. */
  readonly displayName: string;
  /** Milliseconds since 1970 UTC, as the next. */
  readonly createdAt: number;
  readonly blocked: boolean;
  /** Tokens that were issued before are void. */
  readonly tokensFrom: number;
}

/** The words that name one of them. */
export type OutsideName = Pick<OutsideUser, 'issuer' | 'subject'>;

/** In the order of issuers and names. */
export async function listOutsideUsers(store: Store): Promise<OutsideUser[]> {
  return (await listOwnersOfOtherIssuers(store.db, EMBEDDED_ISSUER_ID)).map(outsideUserOf);
}

export async function findOutsideUser(store: Store, name: OutsideName): Promise<OutsideUser | undefined> {
  const row = await findOwner(store.db, name.issuer, name.subject);
  return row && outsideUserOf(row);
}

/** @throws {NotFound} */
export async function existingOutsideUser(store: Store, name: OutsideName): Promise<OutsideUser> {
  const found = await findOutsideUser(store, name);
  if (found) return found;
  throw noSuchUser(name);
}

/** Reads `ISSUER#SUBJECT`, as commands name a user of another issuer; undefined for the name of an account. */
export function parseOutsideName(text: string): OutsideName | undefined {
  const at = text.indexOf('#');
  return at <= 0 ? undefined : { issuer: text.slice(0, at), subject: text.slice(at + 1) };
}

/** The name that {@link parseOutsideName} reads. */
export function formatOutsideName({ issuer, subject }: OutsideName): string {
  return `${issuer}#${subject}`;
}

/**
 * Stops a user of another issuer, or lets them in again with new tokens: a running server goes by it within
 * `ACCOUNT_RECHECK_SECONDS`.
 *
 * @throws {NotFound} when nobody of that name ever called
 */
export function blockOutsideUser(
  store: Store,
  clock: () => number,
  name: OutsideName,
  blocked = true,
  by: AuditActor = 'operator',
): Promise<void> {
  const change = blocked ? { blocked: 1, tokens_from: clock() } : { blocked: 0 };
  return changeUser(store, clock, name, change, blocked ? 'user.disable' : 'user.enable', by);
}

/** Makes void what tokens a user of another issuer has, as for an account. @throws {NotFound} */
export function logOutOutsideUser(
  store: Store,
  clock: () => number,
  name: OutsideName,
  by: AuditActor = 'operator',
): Promise<void> {
  return changeUser(store, clock, name, { tokens_from: clock() }, 'user.logout', by);
}

async function changeUser(
  store: Store,
  clock: () => number,
  name: OutsideName,
  change: Parameters<typeof changeOwner>[2],
  action: 'user.disable' | 'user.enable' | 'user.logout',
  by: AuditActor,
): Promise<void> {
  const { ownerId } = await existingOutsideUser(store, name);
  await store.write(async (tx) => {
    if (!(await changeOwner(tx, name, change))) throw noSuchUser(name);
    await appendAudit(tx, clock, SYSTEM, by, action, { owner: ownerId });
  });
}

function outsideUserOf(row: OwnerRow): OutsideUser {
  return {
    issuer: row.issuer,
    subject: row.subject,
    ownerId: row.id,
    displayName: row.display_name,
    createdAt: row.created_at,
    blocked: row.blocked === 1,
    tokensFrom: row.tokens_from,
  };
}

function noSuchUser(name: OutsideName): NotFound {
  return new NotFound(
    `no user of another issuer has used this server as "${formatOutsideName(name)}"; "panda-secrets user list --all" shows those who did`,
  );
}
