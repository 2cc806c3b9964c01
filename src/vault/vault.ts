import type { OwnerId } from '../protocol/ids.ts';
import { CIPHERTEXT_CACHE_BYTES, MAX_OWNER_BYTES, MAX_SECRETS_PER_OWNER } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import type { AttributeChange } from '../protocol/secret-attributes.ts';
import type { RootKeys } from '../sealing/root-keys.ts';
import { sumSecrets } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import { createCurrentSecrets } from './current-secrets.ts';
import type { DamagedSecret } from './damaged-secrets.ts';
import { createDataKeys } from './data-keys.ts';
import { type Sample, takeSample, tryInVain } from './erasure.ts';
import { endSecrets } from './expiry.ts';
import { type GivenSecret, type JobSecrets, type JobSecretsRequest, openJobSecrets } from './job-secrets.ts';
import { createLastUses, type Use } from './last-uses.ts';
import { destroyOwner } from './owners.ts';
import type { SecretLimits } from './quota.ts';
import { acrossRenewal, type Renewed, renewDataKey } from './renew-key.ts';
import { idsOfNames, namesOfIds } from './secret-names.ts';
import { listVersions, openVersion, restoreVersion, type VersionInfo } from './secret-versions.ts';
import {
  deleteAllSecrets,
  deleteSecret,
  deleteSecretById,
  listSecrets,
  type OpenedSecret,
  openSecrets,
  type ReadableSecrets,
  type SecretInfo,
  setSecret,
  writeReadable,
} from './secrets.ts';

export type { DamagedSecret, GivenSecret, OpenedSecret, ReadableSecrets };

/**
 * The secrets of every owner, encrypted at rest. Any number of vaults, in any number of processes, may share a database;
 * each change is durable when it is answered, and seen by every read that begins afterwards.
 *
 * Each function that opens something throws {DecryptionFailed} when the database was tampered with, {MissingRootKey} when the server
 * was not given a root key, {UnknownFormat} when a later release wrote it: an answer is whole or none. `readableText` and `list` alone tell
 * what opens, and of damaged secrets what is known; an owner's data key that does not unwrap is an error there as well.
 */
export interface Vault {
  /**
   * Makes `value` the current version of the secret of that name, which becomes a string or a file as `name` says. Two concurrent calls for one name create two versions.
   *
   * @param value a string of Unicode scalar values, at most `MAX_VALUE_BYTES` of UTF-8
   * @param attributes carried from now on, in every version; those that are left out stay
   * @throws {InvalidValue} for any other value
   * @throws {QuotaExceeded} beyond what one owner may keep
   */
  set(owner: OwnerId, name: WireName, value: string, attributes?: AttributeChange): Promise<{ version: number }>;
  /** Opens the owner's secrets, or those of `names` that are there; sorted by name, as of one moment. */
  get(owner: OwnerId, names?: readonly WireName[]): Promise<OpenedSecret[]>;
  /**
   * What a job gets of its owner's secrets on its queue. It is remembered, sealed, while nothing changes and no end comes. The caller wipes the text.
   *
   * @throws {NotFound} when one that it names was deleted or has expired, {Forbidden} when one that it names may not go to that queue;
   * without names, as the message is kept
   */
  getForJob(owner: OwnerId, request: JobSecretsRequest): Promise<JobSecrets>;
  /**
   * The text, in UTF-8, that `write` makes of those of the owner's secrets that open, sorted by name, as of one moment, and of the damaged
   * ones. It is remembered, sealed, while nothing changes and nothing is damaged: `write` is the same function each time, and not called each time.
   *
   * @returns the text, which the caller wipes
   */
  readableText(owner: OwnerId, write: (readable: ReadableSecrets) => string): Promise<Buffer>;
  /** The owner's secrets, sorted by name, and those whose names do not open; no value is opened. */
  list(owner: OwnerId): Promise<{ secrets: SecretInfo[]; damaged: DamagedSecret[] }>;
  /** Deletes the secret of that name, of either kind, with all its versions. @returns false when there was none */
  delete(owner: OwnerId, name: WireName): Promise<boolean>;
  /** Deletes the secret of that id with all its versions, also a damaged one. @returns false when the owner has none */
  deleteById(owner: OwnerId, id: string): Promise<boolean>;
  /** Deletes all. @returns the number of them */
  deleteAll(owner: OwnerId): Promise<number>;
  /** The versions that are kept (`KEPT_VERSIONS` at most), newest first. @throws {NotFound} when there is no such secret */
  versions(owner: OwnerId, name: WireName): Promise<VersionInfo[]>;
  /** Opens a kept version. @throws {NotFound} when it is not kept */
  version(owner: OwnerId, name: WireName, version: number): Promise<{ name: WireName; value: Plaintext }>;
  /** Makes a kept version's value current again, as a new version. @throws {NotFound} when it is not kept */
  restore(owner: OwnerId, name: WireName, version: number): Promise<{ version: number }>;
  /**
   * The ids that stand for secrets in a task, in the order of `names`. A secret that is deleted and set anew has its id again.
   *
   * @param task the queue of the task that names them, or null for any
   * @throws {NotFound} naming all that are not there or have expired, {Forbidden} naming all that may not go to that queue
   */
  idsOf(owner: OwnerId, names: readonly WireName[], task?: { queue: string | null }): Promise<string[]>;
  /** The names of those of the secrets that are still there, by id. */
  namesOf(owner: OwnerId, secretIds: readonly string[]): Promise<Map<string, WireName>>;
  /**
   * Gives the owner a new data key, and seals all that they keep under it: the older one opens nothing any more.
   *
   * @returns undefined for an owner who keeps nothing
   * @throws {DecryptionFailed} when something of it does not open: nothing was changed
   */
  renewKey(owner: OwnerId): Promise<Renewed | undefined>;
  /**
   * Deletes all secrets and destroys the data key, which makes copies of them unreadable; the audit stays.
   *
   * @awaitsCaller the command that destroys what a removed user kept
   */
  destroyOwner(owner: OwnerId): Promise<void>;
  /** What an owner keeps, and may. */
  usage(owner: OwnerId): Promise<{ used: SecretLimits; limits: SecretLimits }>;
  /** The use of these secrets by a job, to be noted with its delivery. */
  useOf(secretIds: readonly string[]): Use;
  /** Notes the ends of secrets that have come, and removes those secrets `keepExpiredDays` later. A part of them, where there are many. */
  endSecrets(): Promise<{ ended: number; removed: number }>;
  /** The owner's secrets as they stand in the database, to be tried when they are gone. */
  sample(owner: OwnerId): Promise<Sample>;
  /**
   * Tries to open what was taken before.
   *
   * @returns the number of secrets that were tried @throws {Conflict} when one of them opens
   */
  tryInVain(owner: OwnerId, sample: Sample): Promise<number>;
  /** Removes data keys from memory whose time there is over. */
  forgetOldKeys(): void;
  /** Forgets everything that was remembered. The store and the root keys stay open. */
  close(): void;
}

export interface VaultDependencies {
  store: Store;
  rootKeys: RootKeys;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
  /** Bytes of ciphertext to remember, at least 1. */
  cacheBytes?: number;
  /** Secrets that one owner may keep, and bytes of their values; `MAX_SECRETS_PER_OWNER` and `MAX_OWNER_BYTES` unless set. */
  maxSecrets?: number | undefined;
  maxBytes?: number | undefined;
  /** An expired secret is kept so long; for ever where there is no answer. Asked each time. */
  keepExpiredDays?: (() => number | undefined) | undefined;
}

export function createVault({
  store,
  rootKeys,
  clock,
  cacheBytes = CIPHERTEXT_CACHE_BYTES,
  keepExpiredDays,
  maxSecrets = MAX_SECRETS_PER_OWNER,
  maxBytes = MAX_OWNER_BYTES,
}: VaultDependencies): Vault {
  const dataKeys = createDataKeys({ store, rootKeys, clock });
  const current = createCurrentSecrets({ store, dataKeys, cacheBytes });
  const reading = { store, dataKeys, current };
  const limits = { secrets: maxSecrets, bytes: maxBytes };
  const changing = { store, dataKeys, clock, limits };
  const lastUses = createLastUses();
  const forget = (owner: OwnerId) => current.forget(owner);
  const whole = <T>(owner: OwnerId, read: () => Promise<T>) => acrossRenewal({ dataKeys, forget }, owner, read);

  return {
    set: (owner, name, value, attributes = {}) =>
      setSecret(changing, owner, { name, value: new Plaintext(value) }, { attributes }),
    get: (owner, names) => whole(owner, () => openSecrets(reading, owner, names)),
    readableText: (owner, write) => whole(owner, () => writeReadable(reading, owner, write)),
    getForJob: (owner, request) => whole(owner, () => openJobSecrets(reading, owner, request, clock())),
    list: (owner) => whole(owner, () => listSecrets(reading, owner, clock())),
    delete: (owner, name) => deleteSecret(changing, owner, name),
    deleteById: (owner, id) => deleteSecretById(changing, owner, id),
    deleteAll: (owner) => deleteAllSecrets(changing, owner),
    versions: (owner, name) => whole(owner, () => listVersions(changing, owner, name)),
    version: (owner, name, version) => whole(owner, () => openVersion(changing, owner, name, version)),
    restore: (owner, name, version) => whole(owner, () => restoreVersion(changing, owner, name, version)),
    idsOf: (owner, names, task) =>
      whole(owner, () => idsOfNames(reading, owner, names, task && { ...task, now: clock() })),
    namesOf: (owner, secretIds) => whole(owner, () => namesOfIds(reading, owner, secretIds)),
    async renewKey(owner) {
      const renewed = await renewDataKey({ ...changing, rootKeys }, owner);
      current.forget(owner);
      return renewed;
    },
    async destroyOwner(owner) {
      await destroyOwner(changing, owner);
      current.forget(owner);
    },
    async usage(owner) {
      const [kept] = await sumSecrets(store.db, { ownerId: owner });
      return { used: { secrets: kept?.count ?? 0, bytes: kept?.bytes ?? 0 }, limits };
    },
    useOf: (secretIds) => lastUses(secretIds, clock()),
    endSecrets: () => endSecrets(changing, keepExpiredDays?.()),
    sample: (owner) => takeSample(reading, owner),
    tryInVain: (owner, sample) => tryInVain(reading, owner, sample),
    forgetOldKeys: () => dataKeys.forgetOld(),
    close() {
      dataKeys.close();
      current.close();
    },
  };
}
