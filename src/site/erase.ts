import { join } from 'node:path';
import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { disableAccount, removeAccount } from '../identity/accounts.ts';
import { existingUser, type NamedUser } from '../identity/named-user.ts';
import { blockOutsideUser } from '../identity/outside-users.ts';
import { Conflict, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { usedBlobs } from '../store/brought-files.ts';
import {
  countRowsOf,
  deleteOwner,
  deleteRecordsOf,
  deleteSomeJobs,
  emptyWriteAheadLog,
  forgetTries,
} from '../store/erased-owners.ts';
import { createVault } from '../vault/vault.ts';
import type { Installation } from './installation.ts';

/** An erasure, with the proof that nothing is left. */
export interface Erased {
  /** The owner's id, by which the audit still names them; null for an account that was never used. */
  owner: string | null;
  secrets: number;
  jobs: number;
  /** Sandboxes, logs and outputs that nobody else has, and that are gone; `later`: those that came just now, which the server removes within a day. */
  files: { removed: number; later: number };
  /** Secrets that were read from the database before, and tried after: none of them opened. */
  tried: number;
  /** True where the database's log on this machine has no trace any more; null for PostgreSQL, whose own means do that. */
  log_emptied: boolean | null;
}

/** A file that came within this time may be another user's as well, whose row is about to be written. */
const FRESH_MILLISECONDS = 60_000;
const JOBS_AT_ONCE = 200;
const FILES_AT_ONCE = 500;
/** Something of theirs may come while the rest goes: a request that had begun. */
const TRIES = 20;

/**
 * Erases a user: secrets, data key, tasks, logs, outputs, sandboxes, records of deliveries, logins, account and name. First nobody is
 * let in as them, then their values go, all at once; the rest in parts, each with its files, so that the server goes on. The name goes last:
 * killed at any moment, it is begun again with the same one. The audit stays, and has ids alone; its chains still verify.
 *
 * @param onProgress told after each part, with the jobs that are gone
 * @throws {NotFound} when there is no such user
 * @throws {Conflict} when something of theirs goes on coming, or is left: nothing is proven then
 * @throws {Unavailable} while the storage for files is away: nobody is let in as them then, and all is there
 */
export async function eraseUser(
  installation: Pick<Installation, 'store' | 'rootKeys' | 'blobStore' | 'isSqlite' | 'data'>,
  name: string,
  {
    clock,
    by = 'operator',
    onProgress = () => {},
  }: { clock: () => number; by?: AuditActor; onProgress?: (jobs: number) => void },
): Promise<Erased> {
  const { store, rootKeys } = installation;
  const { blobs, liveLogs, check } = await installation.blobStore();
  const user = await existingUser(store, name);
  const { owner } = user;
  const began = clock();
  if (user.account) await disableAccount(store, clock, name, true, by);
  else await blockOutsideUser(store, clock, user, true, by);
  // Files whose rows are gone are found by housekeeping alone.
  await check();

  /** Files that came just now. */
  const later = new Set<string>();
  const erased = { owner: owner ?? null, secrets: 0, jobs: 0, tried: 0 };
  let removed = 0;
  if (owner !== undefined) {
    const before = createVault({ store, rootKeys, clock });
    const after = createVault({ store, rootKeys, clock });
    try {
      const proof = await before.sample(owner);
      erased.secrets = proof.secrets;
      for (let tries = 0; !(await eraseRows(owner)); tries++) {
        if (tries === TRIES)
          throw new Conflict(`something of ${name} goes on coming: stop what they run, and try again`);
      }
      erased.tried = await after.tryInVain(owner, proof);
    } finally {
      before.close();
      after.close();
    }
    await refuseLeft({ owner, subject: undefined });
  }
  emptyLog();
  await endAccount(user);
  await refuseLeft({ owner, subject: user.account?.subject });
  return { ...erased, files: { removed, later: later.size }, log_emptied: emptyLog() };

  function emptyLog(): boolean | null {
    return installation.isSqlite ? emptyWriteAheadLog(join(installation.data, 'panda.db')) : null;
  }

  async function refuseLeft(of: Parameters<typeof countRowsOf>[1]): Promise<void> {
    const left = await countRowsOf(store.db, of);
    if (Object.keys(left).length === 0) return;
    throw new Conflict(`something of ${name} is left (${JSON.stringify(left)}): it came meanwhile. Try again`);
  }

  /** @returns false when something came meanwhile */
  async function eraseRows(id: OwnerId): Promise<boolean> {
    const vault = createVault({ store, rootKeys, clock });
    await vault
      .destroyOwner(id)
      .catch((error) => {
        if (!(error instanceof NotFound)) throw error;
      })
      .finally(() => vault.close());
    try {
      for (;;) {
        const some = await store.write((tx) => deleteSomeJobs(tx, id, JOBS_AT_ONCE));
        if (!some) break;
        await liveLogs.remove(some.logs);
        await removeFiles(some.blobs);
        erased.jobs += some.jobs;
        onProgress(erased.jobs);
      }
      await removeFiles(await store.write((tx) => deleteRecordsOf(tx, id)));
      await store.write(async (tx) => {
        await deleteOwner(tx, id);
        await appendAudit(tx, clock, SYSTEM, by, 'user.erase', { owner: id });
      });
      return true;
    } catch (error) {
      if (isForeignKey(error)) return false;
      throw error;
    }
  }

  async function endAccount({ account }: NamedUser): Promise<void> {
    if (!account) return;
    await store.write((tx) => forgetTries(tx, account.name));
    await removeAccount(store, clock, account.name, by);
  }

  async function removeFiles(all: readonly string[]): Promise<void> {
    const files = [...new Set(all)];
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      const some = files.slice(at, at + FILES_AT_ONCE);
      const used = await usedBlobs(store.db, some);
      for (const sha256 of some.filter((one) => !used.has(one))) {
        if (await blobs.delete(sha256, began - FRESH_MILLISECONDS)) removed += 1;
        else later.add(sha256);
      }
    }
  }
}

/** The one that SQLite and PostgreSQL name when a row is still referred to. */
function isForeignKey(error: unknown): boolean {
  const { code, errcode } = Object(error) as { code?: unknown; errcode?: unknown };
  return code === '23503' || errcode === SQLITE_CONSTRAINT_FOREIGNKEY;
}

const SQLITE_CONSTRAINT_FOREIGNKEY = 787;
