import { type AuditActor, appendAudit, recordAct, SYSTEM } from '../audit/audit.ts';
import { type Tell, tellNobody } from '../events/events.ts';
import { Forbidden, InvalidArgument, NotFound, TooManyTries, Unauthenticated } from '../protocol/errors.ts';
import { MAX_SIGN_IN_FAILURES, PASSWORD_LINK_SECONDS, SIGN_IN_FAILURES_SECONDS } from '../protocol/limits.ts';
import * as rows from '../store/accounts.ts';
import * as links from '../store/password-links.ts';
import { countSignInTry, deleteSignInFailures } from '../store/sign-in-failures.ts';
import type { Database, Store } from '../store/store.ts';
import { type Account, accountOf, endLogins, existingAccount } from './accounts.ts';
import { hashToken, newToken } from './hashed-token.ts';
import { checkNewPassword, hashPassword, isPassword } from './passwords.ts';

/** Passwords of accounts: how they are chosen and checked. */
export interface SignIn {
  /**
   * The account with this name and password.
   *
   * @throws {Unauthenticated} with the same words whichever of the two is wrong, or the account disabled
   * @throws {TooManyTries} after `MAX_SIGN_IN_FAILURES` in vain, right password or not
   */
  signIn(name: string, password: string): Promise<Account>;
  /**
   * Sets a password, ends all logins of the account and makes its tokens void.
   *
   * @throws {NotFound}
   * @throws {InvalidArgument} when the password is too short or too long
   */
  setPassword(name: string, password: string, by?: AuditActor): Promise<void>;
  /**
   * Replaces the password of the account with this `sub` by one that its owner, who knows the current one, chose; ends all its logins
   * and makes its tokens void. A wrong current password counts as a try to sign in.
   *
   * @throws {Forbidden} when the current password is wrong, or none was ever chosen
   * @throws {TooManyTries} {InvalidArgument} as above
   */
  changePassword(subject: string, current: string, password: string): Promise<void>;
  /**
   * The secret part of a link at which the account's password may be chosen once, within `PASSWORD_LINK_SECONDS`.
   *
   * @param options `unclaimedOnly`: only as long as nobody may have tokens of the account, so that the link gives nothing away
   * @throws {NotFound}
   * @throws {Forbidden} when it is claimed, or an operator's, and only others were asked for
   */
  createPasswordLink(name: string, options?: { unclaimedOnly?: boolean; by?: AuditActor }): Promise<string>;
  /** The name of the account that a link is for. @throws {NotFound} when it was used or has ended */
  accountOfPasswordLink(token: string): Promise<string>;
  /** Sets the password by a link and uses the link up. @throws {NotFound} {InvalidArgument} as above; a refused password does not use the link up */
  usePasswordLink(token: string, password: string): Promise<void>;
}

/** `clock` is in milliseconds. */
export function createSignIn({
  store,
  clock,
  tell = tellNobody,
}: {
  store: Store;
  clock: () => number;
  tell?: Tell;
}): SignIn {
  async function refuseTooManyTries(name: string): Promise<void> {
    const now = clock();
    const expiresAt = now + SIGN_IN_FAILURES_SECONDS * 1000;
    const { failures, expires_at } = await store.write(async (tx) => {
      const counted = await countSignInTry(tx, name, { now, expiresAt });
      // Noted once, when it begins. A name that no account has may be a password in the wrong field: it is not kept.
      if (counted.failures === MAX_SIGN_IN_FAILURES + 1) {
        const account = (await rows.findAccount(tx, name))?.subject ?? null;
        await appendAudit(tx, clock, SYSTEM, 'server', 'login.refuse', { account, reason: 'too many wrong passwords' });
      }
      return counted;
    });
    if (failures <= MAX_SIGN_IN_FAILURES) return;
    tell({ event: 'login.refused', how: 'guessing' });
    const seconds = Math.ceil((expires_at - now) / 1000);
    throw new TooManyTries(
      `too many wrong passwords for this name: try again in ${Math.ceil(seconds / 60)} minutes`,
      seconds,
    );
  }

  async function accountOfPasswordLink(token: string): Promise<string> {
    const link = await links.findPasswordLink(store.db, hashToken(token), clock());
    const row = link && (await rows.findAccountBySubject(store.db, link.subject));
    if (!row || !opens(link, row)) throw noLink();
    return row.name;
  }

  async function replacePassword(
    tx: Database,
    subject: string,
    name: string,
    hash: string,
    by: AuditActor,
  ): Promise<void> {
    await rows.changeAccount(tx, name, { password_hash: hash, claimed: 1 });
    await links.deletePasswordLinks(tx, subject);
    await endLogins(tx, { name, subject }, clock());
    await deleteSignInFailures(tx, name);
    await appendAudit(tx, clock, SYSTEM, by, 'user.password', { account: subject });
  }

  async function signIn(typed: string, password: string): Promise<Account> {
    const name = typed.trim().toLowerCase();
    if (!/^[a-z0-9._-]{1,32}$/.test(name)) throw wrong();
    await refuseTooManyTries(name);
    const row = await rows.findAccount(store.db, name);
    const right = await isPassword(password, row?.password_hash);
    if (row && right && row.disabled === 1) {
      await recordAct(store, clock, 'server', 'login.refuse', { account: row.subject, reason: 'disabled' });
      tell({ event: 'login.refused', how: 'disabled' });
    }
    if (!row || !right || row.disabled === 1) throw wrong();
    await store.write((tx) => deleteSignInFailures(tx, name));
    return accountOf(row);
  }

  return {
    signIn,

    async changePassword(subject, current, password) {
      const row = await rows.findAccountBySubject(store.db, subject);
      if (!row?.password_hash) {
        throw new Forbidden('your account has no password so far: ask an operator for a link at which you choose one');
      }
      checkNewPassword(password, row.name);
      if (password === current)
        throw new InvalidArgument('the new password is the same as the current one: choose another');
      try {
        await signIn(row.name, current);
      } catch (error) {
        throw error instanceof Unauthenticated ? new Forbidden('the current password is wrong') : error;
      }
      const hash = await hashPassword(password);
      await store.write((tx) => replacePassword(tx, subject, row.name, hash, `account:${subject}`));
    },

    async setPassword(name, password, by = 'operator') {
      const account = await existingAccount(store, name);
      checkNewPassword(password, account.name);
      const hash = await hashPassword(password);
      await store.write((tx) => replacePassword(tx, account.subject, account.name, hash, by));
    },

    async createPasswordLink(name, { unclaimedOnly = false, by = 'operator' } = {}) {
      const account = await existingAccount(store, name);
      if (unclaimedOnly && (account.claimed || account.role === 'operator')) throw givesAway(account);
      const token = newToken();
      const expiresAt = clock() + PASSWORD_LINK_SECONDS * 1000;
      await store.write(async (tx) => {
        await links.insertPasswordLink(tx, {
          token_hash: hashToken(token),
          subject: account.subject,
          expires_at: expiresAt,
          unclaimed_only: unclaimedOnly ? 1 : 0,
        });
        const detail = { account: account.subject };
        await appendAudit(tx, clock, SYSTEM, by, 'user.password_link', detail);
      });
      return token;
    },

    accountOfPasswordLink,

    async usePasswordLink(token, password) {
      const name = await accountOfPasswordLink(token);
      checkNewPassword(password, name);
      const hash = await hashPassword(password);
      await store.write(async (tx) => {
        const link = await links.takePasswordLink(tx, hashToken(token), clock());
        const row = link && (await rows.lockAccount(tx, 'subject', link.subject));
        if (!row || !opens(link, row)) throw noLink();
        await replacePassword(tx, row.subject, row.name, hash, `account:${row.subject}`);
      });
    },
  };
}

/** A link that was made over the network goes only to an account that nobody may have used yet. */
function opens(link: { unclaimed_only: number }, account: { disabled: number; claimed: number }): boolean {
  return account.disabled === 0 && (link.unclaimed_only === 0 || account.claimed === 0);
}

function wrong(): Unauthenticated {
  return new Unauthenticated('the name or the password is wrong');
}

function givesAway({ name }: Account): Forbidden {
  return new Forbidden(
    `the account "${name}" may be in use, and a link to choose its password would let you in as ${name}: ` +
      `it is made at the server's machine, with "panda-secrets user password ${name} --link"`,
  );
}

function noLink(): NotFound {
  return new NotFound('this link was used already or has ended: ask for a new one');
}
