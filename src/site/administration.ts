import {
  type AuditActor,
  type AuditCheck,
  type AuditEntry,
  auditEntries,
  auditHeads,
  type KeptHead,
  recordAct,
  verifyAudits,
} from '../audit/audit.ts';
import {
  type Account,
  type AccountRole,
  addAccount,
  claimAccount,
  disableAccount,
  listAccounts,
  logOutAccount,
  removeAccount,
  setAccountRole,
} from '../identity/accounts.ts';
import { createJoinToken, refusedUses } from '../identity/join-tokens.ts';
import { addLauncher, type Launcher, listLaunchers, removeLauncher, renewLauncher } from '../identity/launchers.ts';
import {
  blockOutsideUser,
  existingOutsideUser,
  formatOutsideName,
  listOutsideUsers,
  logOutOutsideUser,
  type OutsideUser,
  parseOutsideName,
} from '../identity/outside-users.ts';
import { activePilots, endPilotSession, listedPilots } from '../identity/pilots.ts';
import { createSignIn } from '../identity/sign-in.ts';
import { rotateSigningKey } from '../identity/signing-keys.ts';
import {
  addQueue,
  findQueue,
  listQueues,
  noSuchQueue,
  type Queue,
  queueLoad,
  removeQueue,
  setQueue,
  setSiteRecord,
} from '../jobs/queues.ts';
import type { Administration } from '../protocol/administration.ts';
import type { ListedQueue, ListedUser } from '../protocol/calls/admin.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import {
  JOIN_TOKEN_SECONDS,
  LAUNCHER_TOKEN_SECONDS,
  MAX_PILOT_TOKEN_SECONDS,
  PASSWORD_LINK_SECONDS,
  PILOT_TOKEN_SECONDS,
} from '../protocol/limits.ts';
import { createVault } from '../vault/vault.ts';
import { type Erased, eraseUser } from './erase.ts';
import type { Installation } from './installation.ts';

export interface AdministrationParts extends Pick<Installation, 'store' | 'issuer' | 'rootKeys'> {
  /** The VO that tokens are for unless asked otherwise. */
  vo: string;
  /** The origin at which people reach the server. */
  origin(): Promise<string>;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
}

/**
 * The acts of an operator, recorded in the system's audit as those of `by`. None of them makes the operator a user: a link for a password is made only for an account that nobody
 * may have used.
 */
export function createAdministration(parts: AdministrationParts, by: AuditActor): Administration {
  const { store, issuer, rootKeys, vo: ownVo, clock } = parts;

  async function setDisabled(name: string, disabled: boolean): Promise<null> {
    const outside = parseOutsideName(name);
    if (outside) await blockOutsideUser(store, clock, outside, disabled, by);
    else await disableAccount(store, clock, name, disabled, by);
    return null;
  }

  return {
    async listUsers({ all = false }) {
      const accounts = (await listAccounts(store)).map(listedUser);
      return all ? [...accounts, ...(await listOutsideUsers(store)).map(listedOutsideUser)] : accounts;
    },

    addUser: async ({ name, display_name }) =>
      listedUser(await addAccount(store, clock, name, display_name, 'user', by)),

    disableUser: ({ name }) => setDisabled(name, true),

    enableUser: ({ name }) => setDisabled(name, false),

    async logOutUser({ name }) {
      const outside = parseOutsideName(name);
      if (outside) await logOutOutsideUser(store, clock, outside, by);
      else await logOutAccount(store, clock, name, by);
      return null;
    },

    createPasswordLink: ({ name }) => passwordLink(parts, name, { unclaimedOnly: true, by }),

    listQueues: async () => (await listQueues(store)).map(listedQueue),

    async addQueue({ name, allow_tls_secrets = false }) {
      const { queue, isNew, told } = await addQueue(store, clock, name, { allowTlsSecrets: allow_tls_secrets }, by);
      return { queue: listedQueue(queue), is_new: isNew, told };
    },

    async setQueue({ name, allow_tls_secrets, state }) {
      const change = { allowTlsSecrets: allow_tls_secrets, state };
      const { queue, was, told } = await setQueue(store, clock, name, change, by);
      return { queue: listedQueue(queue), was: listedQueue(was), told };
    },

    async removeQueue({ name }) {
      await removeQueue(store, clock, name, by);
      return null;
    },

    async setSiteRecord({ name, record }) {
      await setSiteRecord(store, clock, name, record, by);
      return null;
    },

    async getQueueLoad({ queue }) {
      const found = await existingQueue(parts, queue);
      return { ...(await queueLoad(store, found)), pilots: await activePilots(store, clock, queue) };
    },

    async createPilotToken({ queue, ttl_seconds, bearer = false, vo = ownVo }) {
      await existingQueue(parts, queue);
      const ttlSeconds = ttl_seconds ?? (bearer ? PILOT_TOKEN_SECONDS : JOIN_TOKEN_SECONDS);
      if (ttlSeconds > MAX_PILOT_TOKEN_SECONDS) {
        throw new InvalidArgument(`a pilot's token lasts at most ${MAX_PILOT_TOKEN_SECONDS / 86_400} days`);
      }
      const expires_at = isoTime(clock() + ttlSeconds * 1000);
      if (bearer) {
        const token = await issuer.mintPilotToken({ queue, ttlSeconds, vo });
        await recordAct(store, clock, by, 'pilot.bearer_token', { queue, ttlSeconds });
        return { token, expires_at };
      }
      const joining = { store, rootKeys, clock };
      return { token: await createJoinToken(joining, { queue, ttlSeconds }, by), expires_at };
    },

    async listPilots() {
      const pilots = (await listedPilots(store, clock)).map(({ joinedAt, seenAt, expiresAt, ...pilot }) => ({
        ...pilot,
        joined_at: isoTime(joinedAt),
        seen_at: isoTime(seenAt),
        expires_at: isoTime(expiresAt),
      }));
      const refused = (await refusedUses(store)).map(({ tokenId, pilotId, at, sameKey, ...use }) => ({
        ...use,
        token_id: tokenId,
        pilot_id: pilotId,
        at: isoTime(at),
        same_key: sameKey,
      }));
      return { pilots, refused };
    },

    async endPilot({ pilot }) {
      await endPilotSession(store, clock, pilot, by);
      return null;
    },

    async addLauncher({ name, queues, ttl_seconds }) {
      for (const queue of queues) await existingQueue(parts, queue);
      const ttlSeconds = launcherSeconds(ttl_seconds);
      const endsAt = clock() + ttlSeconds * 1000;
      return launcherToken(parts, await addLauncher(store, clock, { name, queues, endsAt }, by), ttlSeconds);
    },

    async renewLauncher({ name, ttl_seconds }) {
      const ttlSeconds = launcherSeconds(ttl_seconds);
      const endsAt = clock() + ttlSeconds * 1000;
      return launcherToken(parts, await renewLauncher(store, clock, { name, endsAt }, by), ttlSeconds);
    },

    async removeLauncher({ name }) {
      await removeLauncher(store, clock, name, by);
      return null;
    },

    async listLaunchers() {
      return (await listLaunchers(store)).map(({ name, queues, createdAt, endsAt }) => ({
        name,
        queues,
        created_at: isoTime(createdAt),
        expires_at: isoTime(endsAt),
      }));
    },
  };
}

/** The acts at the server's machine alone, by somebody who could read the data folder as well: they can make them any user. */
export interface LocalAdministration extends Administration {
  addOperator(args: { name: string; display_name?: string | undefined }): Promise<ListedUser>;
  /** @throws {NotFound} */
  setRole(name: string, role: AccountRole): Promise<void>;
  /**
   * Removes an account, and what it kept stays. A user of another issuer is stopped, and what they kept is destroyed.
   *
   * @throws {NotFound}
   */
  removeUser(name: string): Promise<void>;
  /** @throws {NotFound} {InvalidArgument} when it cannot be one */
  setPassword(name: string, password: string): Promise<void>;
  /** Makes another key sign tokens. @returns the count of keys that are kept */
  rotateSigningKey(options: { forgetOlder: boolean }): Promise<number>;
  /** Erases all that a user kept, and the user. @throws as {@link eraseUser} */
  eraseUser(name: string, onProgress: (jobs: number) => void): Promise<Erased>;
  /** Checks every chain of the audit, also against heads that were kept elsewhere. */
  verifyAudit(kept: readonly KeptHead[]): Promise<{ chain: string; check: AuditCheck }[]>;
  auditHeads(): Promise<KeptHead[]>;
  auditEntries(chain: string, after?: number): AsyncIterable<AuditEntry>;
  /** A bearer token of an account. @throws {NotFound} {Forbidden} when it is disabled */
  createUserToken(name: string, options: { ttlSeconds: number; vo?: string | undefined }): Promise<string>;
}

export function createLocalAdministration(
  parts: AdministrationParts & Pick<Installation, 'key' | 'blobStore' | 'data' | 'isSqlite'>,
): LocalAdministration {
  const { store, issuer, rootKeys, key, vo: ownVo, clock } = parts;
  return {
    ...createAdministration(parts, 'operator'),

    addOperator: async ({ name, display_name }) =>
      listedUser(await addAccount(store, clock, name, display_name, 'operator')),

    setRole: (name, role) => setAccountRole(store, clock, name, role),

    async removeUser(name) {
      const outside = parseOutsideName(name);
      if (!outside) return removeAccount(store, clock, name);
      const { ownerId } = await existingOutsideUser(store, outside);
      await blockOutsideUser(store, clock, outside);
      const vault = createVault({ store, rootKeys, clock });
      await vault.destroyOwner(ownerId as OwnerId).finally(() => vault.close());
    },

    eraseUser: (name, onProgress) => eraseUser(parts, name, { clock, onProgress }),

    setPassword: (name, password) => createSignIn({ store, clock }).setPassword(name, password),

    createPasswordLink: ({ name }) => passwordLink(parts, name, {}),

    rotateSigningKey: (options) => rotateSigningKey({ store, records: key, clock }, options),

    verifyAudit: (kept) => verifyAudits(store, kept),
    auditHeads: () => auditHeads(store),
    auditEntries: (chain, after) => auditEntries(store, chain, after),

    createUserToken: async (name, { ttlSeconds, vo = ownVo }) =>
      issuer.mintUserToken(await claimAccount(store, clock, name, ttlSeconds), { ttlSeconds, vo }),
  };
}

async function passwordLink(
  { store, origin, clock }: AdministrationParts,
  name: string,
  options: { unclaimedOnly?: boolean; by?: AuditActor },
): Promise<{ url: string; expires_at: string }> {
  const expires_at = isoTime(clock() + PASSWORD_LINK_SECONDS * 1000);
  const token = await createSignIn({ store, clock }).createPasswordLink(name, options);
  return { url: `${await origin()}/password/${token}`, expires_at };
}

/** @throws {InvalidArgument} when it is more than `LAUNCHER_TOKEN_SECONDS` */
function launcherSeconds(asked = LAUNCHER_TOKEN_SECONDS): number {
  if (asked <= LAUNCHER_TOKEN_SECONDS) return asked;
  throw new InvalidArgument(`a launcher's token lasts at most ${LAUNCHER_TOKEN_SECONDS / 86_400} days`);
}

async function launcherToken({ issuer, vo }: AdministrationParts, launcher: Launcher, ttlSeconds: number) {
  const token = await issuer.mintLauncherToken(launcher, { ttlSeconds, vo });
  return { name: launcher.name, queues: launcher.queues, token, expires_at: isoTime(launcher.endsAt) };
}

async function existingQueue({ store }: AdministrationParts, name: string): Promise<Queue> {
  const queue = await findQueue(store, name);
  if (queue) return queue;
  throw noSuchQueue(
    name,
    (await listQueues(store)).map((one) => one.name),
  );
}

function listedQueue({ name, allowTlsSecrets, state }: Queue): ListedQueue {
  return { name, allow_tls_secrets: allowTlsSecrets, state };
}

function listedUser({ name, displayName, role, disabled, createdAt }: Account): ListedUser {
  return { name, display_name: displayName, role, disabled, created_at: isoTime(createdAt) };
}

function listedOutsideUser(user: OutsideUser): ListedUser {
  const { issuer, displayName, blocked, createdAt } = user;
  const name = formatOutsideName(user);
  return { name, issuer, display_name: displayName, role: 'user', disabled: blocked, created_at: isoTime(createdAt) };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
