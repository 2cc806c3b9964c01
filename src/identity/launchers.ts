import { randomUUID } from 'node:crypto';
import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { AlreadyExists, InvalidArgument, NotFound, QuotaExceeded } from '../protocol/errors.ts';
import { LAUNCHER_TOKENS_SECONDS, MAX_LAUNCHER_QUEUES, MAX_LAUNCHER_TOKENS } from '../protocol/limits.ts';
import { deleteUnusedJoinTokensOfLauncher } from '../store/join-tokens.ts';
import * as rows from '../store/launchers.ts';
import type { Database, Store } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { voidToken } from './tokens.ts';

/** A program that starts pilots of a few queues in a batch system: `panda-pilot launch`, or PanDA's Harvester. */
export interface Launcher {
  /** Random: a launcher that gets the name later is another one. */
  readonly id: string;
  readonly name: string;
  /** At least one, sorted. Queues of these names that were added later than the launcher are none of its own. */
  readonly queues: readonly string[];
  /** Milliseconds since 1970 UTC, as the next two. */
  readonly createdAt: number;
  /** Its tokens that were issued before are void. */
  readonly tokensFrom: number;
  /** When its token ends. */
  readonly endsAt: number;
}

/** In front of a launcher's id: the `sub` of its tokens. No account's begins so: they are UUIDs. */
const SUBJECT = 'launcher:';

export function launcherSubject(id: string): string {
  return `${SUBJECT}${id}`;
}

export function launcherIdOf({ subject }: Pick<Caller, 'subject'>): string {
  return subject.slice(SUBJECT.length);
}

/** @throws {InvalidArgument} when the name is not one, or there are no queues or too many @throws {AlreadyExists} */
export async function addLauncher(
  store: Store,
  clock: () => number,
  { name, queues, endsAt }: Pick<Launcher, 'name' | 'queues' | 'endsAt'>,
  by: AuditActor = 'operator',
): Promise<Launcher> {
  const served = [...new Set(queues)].sort();
  if (served.length === 0) throw new InvalidArgument('a launcher needs a queue that it starts pilots for');
  if (served.length > MAX_LAUNCHER_QUEUES) {
    throw new InvalidArgument(`a launcher has at most ${MAX_LAUNCHER_QUEUES} queues, not ${served.length}`);
  }
  const now = clock();
  const row = {
    id: randomUUID(),
    name: launcherName(name),
    queues: JSON.stringify(served),
    created_at: now,
    tokens_from: now,
    ends_at: endsAt,
  };
  const added = await store.write(async (tx) => {
    if (!(await rows.insertLauncher(tx, row))) return false;
    await appendAudit(tx, clock, SYSTEM, by, 'launcher.add', { launcher: row.id, name: row.name, queues: served });
    return true;
  });
  if (!added) {
    throw new AlreadyExists(
      `there is a launcher "${row.name}" already; "panda-secrets launcher renew ${row.name}" makes it another token`,
    );
  }
  return launcherOf(row);
}

/**
 * The launcher, to make another token for. Those that it had make nothing from that moment on, and are refused within `ACCOUNT_RECHECK_SECONDS`; the
 * join tokens that no pilot has used yet are void.
 *
 * @throws {NotFound}
 */
export async function renewLauncher(
  store: Store,
  clock: () => number,
  { name, endsAt }: Pick<Launcher, 'name' | 'endsAt'>,
  by: AuditActor = 'operator',
): Promise<Launcher> {
  return store.write(async (tx) => {
    const row = await existing(tx, name);
    const renewed = { ...row, tokens_from: clock(), ends_at: endsAt };
    await rows.updateLauncher(tx, renewed);
    await deleteUnusedJoinTokensOfLauncher(tx, row.id);
    await appendAudit(tx, clock, SYSTEM, by, 'launcher.renew', { launcher: row.id, name: row.name });
    return launcherOf(renewed);
  });
}

/**
 * Removes a launcher, and with it the join tokens that no pilot has used yet. Its token makes nothing from that moment on, and is refused
 * within `ACCOUNT_RECHECK_SECONDS`. The pilots that it started go on.
 *
 * @throws {NotFound}
 */
export async function removeLauncher(
  store: Store,
  clock: () => number,
  name: string,
  by: AuditActor = 'operator',
): Promise<void> {
  await store.write(async (tx) => {
    const row = await existing(tx, name);
    await deleteUnusedJoinTokensOfLauncher(tx, row.id);
    await rows.deleteLauncher(tx, row.id);
    await appendAudit(tx, clock, SYSTEM, by, 'launcher.remove', { launcher: row.id, name: row.name });
  });
}

/** By name. */
export async function listLaunchers(store: Store): Promise<Launcher[]> {
  return (await rows.listLaunchers(store.db)).map(launcherOf);
}

/** The launcher whose tokens carry this id, if it is there. */
export async function findLauncher(store: Store, id: string): Promise<Launcher | undefined> {
  const row = await rows.findLauncher(store.db, 'id', id);
  return row && launcherOf(row);
}

/** @param madeAt when the token was made, milliseconds since 1970 UTC @throws {Unauthenticated} when the launcher has got another one since */
export function checkLauncherToken({ tokensFrom }: Pick<Launcher, 'tokensFrom'>, madeAt: number): void {
  if (madeAt < tokensFrom) throw voidToken();
}

/**
 * Counts a join token that a launcher is about to make in this transaction, which holds the launcher until it ends: one that is removed at
 * the same moment makes none.
 *
 * @param tokenMadeAt when the launcher's own token was made, milliseconds since 1970 UTC
 * @throws {Unauthenticated} when it was removed, or has got another token @throws {QuotaExceeded} when it has made too many
 */
export async function countLauncherToken(
  tx: Database,
  { id, tokenMadeAt, now }: { id: string; tokenMadeAt: number; now: number },
): Promise<void> {
  const row = await rows.lockLauncher(tx, 'id', id);
  if (!row) throw voidToken();
  checkLauncherToken(launcherOf(row), tokenMadeAt);
  const goesOn = row.window_start + LAUNCHER_TOKENS_SECONDS * 1000 > now;
  if (goesOn && row.window_count >= MAX_LAUNCHER_TOKENS) {
    throw new QuotaExceeded(
      `a launcher makes at most ${MAX_LAUNCHER_TOKENS} join tokens in ${LAUNCHER_TOKENS_SECONDS} seconds: try again later`,
    );
  }
  const counted = goesOn
    ? { window_start: row.window_start, window_count: row.window_count + 1 }
    : { window_start: now, window_count: 1 };
  await rows.updateLauncher(tx, { ...row, ...counted });
}

async function existing(tx: Database, name: string): Promise<rows.LauncherRow> {
  const row = await rows.lockLauncher(tx, 'name', name.toLowerCase());
  if (row) return row;
  throw new NotFound(`there is no launcher "${name}"; "panda-secrets launcher list" shows those that are there`);
}

function launcherName(name: string): string {
  const lower = name.toLowerCase();
  if (/^[a-z0-9._-]{1,32}$/.test(lower)) return lower;
  throw new InvalidArgument(
    `"${name}" cannot be a launcher's name: letters, digits, ".", "_" and "-" only, at most 32 of them`,
  );
}

function launcherOf(row: Omit<rows.LauncherRow, 'tag' | 'window_start' | 'window_count'>): Launcher {
  return {
    id: row.id,
    name: row.name,
    queues: JSON.parse(row.queues) as string[],
    createdAt: row.created_at,
    tokensFrom: row.tokens_from,
    endsAt: row.ends_at,
  };
}
