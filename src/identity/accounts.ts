import { randomUUID } from 'node:crypto';
import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { AlreadyExists, Forbidden, InvalidArgument, NotFound } from '../protocol/errors.ts';
import * as rows from '../store/accounts.ts';
import { deleteProviderRecordsOfSubject } from '../store/provider-records.ts';
import type { Database, Store } from '../store/store.ts';

/** Somebody who may have tokens of the embedded issuer. */
export interface Account {
  /** The login name: `a-z`, `0-9`, `.`, `_`, `-`, at most 32. */
  readonly name: string;
  /** The `sub` of its tokens: random, so that a name given to another person later is another owner. */
  readonly subject: string;
  readonly displayName: string;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
  readonly disabled: boolean;
  readonly role: AccountRole;
  /** True once somebody may have tokens of it, and so keep something: a password was chosen, or a token made. */
  readonly claimed: boolean;
  /** Its tokens that were issued before are void; milliseconds since 1970 UTC. */
  readonly tokensFrom: number;
}

/** An operator administers the installation, and is a user besides. */
export type AccountRole = 'user' | 'operator';

/**
 * Adds an account, a user's unless told otherwise. The name is taken in lower case; the display name is the name unless given.
 *
 * @throws {InvalidArgument} when the name is not one
 * @throws {AlreadyExists}
 */
export async function addAccount(
  store: Store,
  clock: () => number,
  name: string,
  displayName: string = name,
  role: AccountRole = 'user',
  by: AuditActor = 'operator',
): Promise<Account> {
  const row = {
    name: accountName(name),
    subject: randomUUID(),
    display_name: displayName,
    created_at: clock(),
    disabled: 0,
    operator: role === 'operator' ? 1 : 0,
    claimed: 0,
    password_hash: null,
    tokens_from: 0,
  };
  const added = await store.write(async (tx) => {
    if (!(await rows.insertAccount(tx, row))) return false;
    await appendAudit(tx, clock, SYSTEM, by, 'user.add', { account: row.subject, role });
    return true;
  });
  if (!added) throw new AlreadyExists(`there is an account "${row.name}" already`);
  return accountOf(row);
}

/** The account with this name in any case. @throws {NotFound} */
export async function existingAccount(store: Store, name: string): Promise<Account> {
  const row = await rows.findAccount(store.db, name.toLowerCase());
  if (row) return accountOf(row);
  throw new NotFound(`there is no account "${name}"; add it with "panda-secrets user add ${name}"`);
}

/** All accounts, by name. */
export async function listAccounts(store: Store): Promise<Account[]> {
  return (await rows.listAccounts(store.db)).map(accountOf);
}

/** The account whose tokens carry this `sub`, if it is there and may be used. */
export async function findActiveAccount(store: Store, subject: string): Promise<Account | undefined> {
  const row = await rows.findAccountBySubject(store.db, subject);
  return row?.disabled === 0 ? accountOf(row) : undefined;
}

/**
 * Makes an account an operator's, or a user's again: a running server goes by it within `ACCOUNT_RECHECK_SECONDS`.
 *
 * @throws {NotFound}
 */
export async function setAccountRole(
  store: Store,
  clock: () => number,
  name: string,
  role: AccountRole,
  by: AuditActor = 'operator',
): Promise<void> {
  const account = await existingAccount(store, name);
  await store.write(async (tx) => {
    await rows.changeAccount(tx, account.name, { operator: role === 'operator' ? 1 : 0 });
    await appendAudit(tx, clock, SYSTEM, by, 'user.role', { account: account.subject, role });
  });
}

/**
 * The account, to make a token for that lives `ttlSeconds`: from now on it is claimed.
 *
 * @throws {NotFound}
 * @throws {Forbidden} when it is disabled
 */
export async function claimAccount(
  store: Store,
  clock: () => number,
  name: string,
  ttlSeconds: number,
  by: AuditActor = 'operator',
): Promise<Account> {
  const account = await existingAccount(store, name);
  if (account.disabled) throw new Forbidden(`the account "${account.name}" is disabled`);
  await store.write(async (tx) => {
    await rows.changeAccount(tx, account.name, { claimed: 1 });
    const detail = { account: account.subject, ttlSeconds };
    await appendAudit(tx, clock, SYSTEM, by, 'user.token', detail);
  });
  return { ...account, claimed: true };
}

/**
 * Stops an account and ends its logins, or lets it be used again, with new tokens: a running server stops taking its tokens
 * within `ACCOUNT_RECHECK_SECONDS`.
 *
 * @throws {NotFound}
 */
export async function disableAccount(
  store: Store,
  clock: () => number,
  name: string,
  disabled = true,
  by: AuditActor = 'operator',
): Promise<void> {
  const account = await existingAccount(store, name);
  await store.write(async (tx) => {
    await rows.changeAccount(tx, account.name, { disabled: disabled ? 1 : 0 });
    if (disabled) await endLogins(tx, account, clock());
    const action = disabled ? 'user.disable' : 'user.enable';
    await appendAudit(tx, clock, SYSTEM, by, action, { account: account.subject });
  });
}

/**
 * Ends the logins of an account and makes void what tokens it has: a running server stops taking them within
 * `ACCOUNT_RECHECK_SECONDS`.
 *
 * @throws {NotFound}
 */
export async function logOutAccount(
  store: Store,
  clock: () => number,
  name: string,
  by: AuditActor = 'operator',
): Promise<void> {
  const account = await existingAccount(store, name);
  await store.write(async (tx) => {
    await endLogins(tx, account, clock());
    await appendAudit(tx, clock, SYSTEM, by, 'user.logout', { account: account.subject });
  });
}

/** No token of the account that was issued before `now` is good any more, and no login gives it another one. */
export async function endLogins(
  tx: Database,
  { name, subject }: Pick<Account, 'name' | 'subject'>,
  now: number,
): Promise<void> {
  await rows.changeAccount(tx, name, { tokens_from: now });
  await deleteProviderRecordsOfSubject(tx, subject);
}

/**
 * Removes an account and frees its name. What its owner kept stays until it is removed there.
 *
 * @throws {NotFound}
 */
export async function removeAccount(
  store: Store,
  clock: () => number,
  name: string,
  by: AuditActor = 'operator',
): Promise<void> {
  const account = await existingAccount(store, name);
  await store.write(async (tx) => {
    await deleteProviderRecordsOfSubject(tx, account.subject);
    await rows.deleteAccount(tx, account.name);
    await appendAudit(tx, clock, SYSTEM, by, 'user.remove', { account: account.subject });
  });
}

function accountName(name: string): string {
  const lower = name.toLowerCase();
  if (/^[a-z0-9._-]{1,32}$/.test(lower)) return lower;
  throw new InvalidArgument(
    `"${name}" cannot be an account's name: letters, digits, ".", "_" and "-" only, at most 32 of them`,
  );
}

/** The account in a row of the table. */
export function accountOf(row: Omit<rows.AccountRow, 'tag'>): Account {
  return {
    name: row.name,
    subject: row.subject,
    displayName: row.display_name,
    createdAt: row.created_at,
    disabled: row.disabled === 1,
    role: row.operator === 1 ? 'operator' : 'user',
    claimed: row.claimed === 1,
    tokensFrom: row.tokens_from,
  };
}
