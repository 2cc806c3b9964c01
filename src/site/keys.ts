import { type AuditActor, appendAudit, recordAct, SYSTEM } from '../audit/audit.ts';
import { existingUser } from '../identity/named-user.ts';
import { Conflict, DecryptionFailed, MissingRootKey, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { canonicalPlace, placesOf } from '../sealing/open-root-keys.ts';
import type { AskPassphrase } from '../sealing/root-keys.ts';
import { listOwnersOfOlderKeys } from '../store/data-keys.ts';
import { findInstallationKey, lockActiveRootKey } from '../store/installation-keys.ts';
import { countWrappedKeys, type WrappedKeyTable } from '../store/wrapped-keys.ts';
import type { Renewed } from '../vault/renew-key.ts';
import { createVault, type Vault } from '../vault/vault.ts';
import type { Installation } from './installation.ts';
import { type RunningServer, runningServers } from './servers.ts';
import { activateRootKey, type Rewrapped, rewrapKeys } from './wrapped-keys.ts';

/** A root key that this machine has, or that something in the database names. */
export interface ListedRootKey {
  id: string;
  /** The URI of its place; null when it is in none that this machine names. */
  place: string | null;
  active: boolean;
  /** The keys that it wraps, table by table. */
  wraps: Partial<Record<WrappedKeyTable, number>>;
  /** Machines whose servers run and have not got it. */
  missing_on: string[];
}

/** Owners with new data keys, and those whose secrets do not all open. */
export interface RotatedOwners extends Renewed {
  owners: number;
  left: { owner: string; code: string }[];
}

/** The acts of an operator on root keys, at the server's machine. Each may be killed at any moment and repeated. */
export interface RootKeyAdministration {
  list(): Promise<{ keys: ListedRootKey[]; troubles: { place: string; reason: string }[] }>;
  /**
   * Makes a key in a place, which servers of this data folder know from then on.
   *
   * @returns its id @throws {Conflict} when the place has a key that another one has too: it is not noted then
   */
  add(uri: string): Promise<string>;
  /** @returns false when it was the active one already @throws {Conflict} when a server that runs has not got it */
  activate(id: string): Promise<boolean>;
  rewrap(onProgress: (count: number) => void): Promise<Rewrapped & { active: string }>;
  /**
   * Gives a user a new data key, and seals what they keep under it.
   *
   * @returns undefined for one who keeps nothing @throws {NotFound} {DecryptionFailed}
   */
  rotateOwner(name: string): Promise<Renewed | undefined>;
  /**
   * The same for every user whose data key was made before a time (milliseconds since 1970 UTC), one after another: with the same time it
   * goes on where it was broken off. One whose secrets do not all open keeps none of the others back.
   */
  rotateOwners(before: number, onProgress: (owners: number) => void): Promise<RotatedOwners>;
  /**
   * Takes a key that nothing needs from this machine's servers. It is put aside, not destroyed: older backups need it.
   *
   * @returns what became of it, and what is left to do; `retired` is false where the settings have to change first
   * @throws {Conflict} while anything needs it
   */
  retire(id: string): Promise<{ retired: boolean; next: string }>;
}

export function createRootKeyAdministration(
  { store, rootKeys, places }: Pick<Installation, 'store' | 'rootKeys' | 'places'>,
  { clock, ask, by = 'operator' }: { clock: () => number; ask?: AskPassphrase | undefined; by?: AuditActor },
): RootKeyAdministration {
  const placeOf = (id: string) => rootKeys.places.find(({ keys }) => keys.includes(id))?.uri;
  const lacking = (servers: readonly RunningServer[], id: string) => [
    ...new Set(servers.filter((server) => !server.rootKeys.includes(id)).map(({ node }) => node)),
  ];

  /** @throws {NotFound} */
  function knownPlace(id: string): string {
    const found = placeOf(id);
    if (found !== undefined) return found;
    throw new NotFound(`this machine has no root key "${id}"; it has ${rootKeys.ids.join(', ')}`);
  }

  /** A file that was copied here from another server has its keys already; every other place gets a new one. @returns its id */
  async function keyAt(place: string): Promise<string> {
    const kind = placesOf(place);
    const isNamed = rootKeys.places.some(({ uri }) => uri === place);
    const isCopied = !isNamed && kind.fileOf(place) !== undefined && (await kind.stamp(place)) !== '';
    return isCopied ? (await kind.open(place, { create: false, ask })).active.id : kind.add(place, { ask });
  }

  return {
    async list() {
      const counts = await countWrappedKeys(store.db);
      const servers = await runningServers(store, clock);
      const active = (await findInstallationKey(store.db))?.root_key_id;
      const ids = [...new Set([...rootKeys.ids, ...counts.map(({ rootKeyId }) => rootKeyId)])];
      const keys = ids.map((id) => {
        const own = counts.filter(({ rootKeyId }) => rootKeyId === id).map(({ table, count }) => [table, count]);
        const wraps = Object.fromEntries(own) as ListedRootKey['wraps'];
        return { id, place: placeOf(id) ?? null, active: id === active, wraps, missing_on: lacking(servers, id) };
      });
      const troubles = rootKeys.places.flatMap(({ uri, trouble }) =>
        trouble ? { place: uri, reason: trouble.message } : [],
      );
      return { keys, troubles };
    },

    async add(uri) {
      const place = canonicalPlace(uri);
      const id = await keyAt(place);
      await rootKeys.refresh();
      await refuseElsewhere(place);
      await places.add(place);
      await rootKeys.refresh();
      knownPlace(id);
      await recordAct(store, clock, by, 'root_key.add', { rootKey: id });
      return id;
    },

    async activate(id) {
      knownPlace(id);
      const without = lacking(await runningServers(store, clock), id);
      if (without.length > 0) {
        throw new Conflict(
          `the server on ${without.join(', ')} has not got the root key "${id}": copy it there, or run "panda-secrets keys add" ` +
            'with its place there, and try again half a minute later',
        );
      }
      return activateRootKey(store, rootKeys, id, (tx) =>
        appendAudit(tx, clock, SYSTEM, by, 'root_key.activate', { rootKey: id }),
      );
    },

    async rewrap(onProgress) {
      const done = await rewrapKeys(store, rootKeys, onProgress);
      const { id } = rootKeys.active;
      if (done.count > 0) await recordAct(store, clock, by, 'root_key.rewrap', { rootKey: id, count: done.count });
      return { ...done, active: id };
    },

    async rotateOwner(name) {
      const { owner } = await existingUser(store, name);
      return owner === undefined ? undefined : withVault((vault) => vault.renewKey(owner));
    },

    rotateOwners: (before, onProgress) =>
      withVault(async (vault) => {
        const done: RotatedOwners = { owners: 0, secrets: 0, versions: 0, left: [] };
        for (let after = ''; ; ) {
          const owners = await listOwnersOfOlderKeys(store.db, { before, after, limit: OWNERS_AT_ONCE });
          for (const owner of owners) {
            const renewed = await renewOrCode(vault, owner as OwnerId);
            if (typeof renewed === 'string') done.left.push({ owner, code: renewed });
            else if (renewed) {
              done.owners += 1;
              done.secrets += renewed.secrets;
              done.versions += renewed.versions;
            }
            onProgress(done.owners);
            after = owner;
          }
          if (owners.length < OWNERS_AT_ONCE) return done;
        }
      }),

    async retire(id) {
      const uri = knownPlace(id);
      await refuseNeeded(id);
      const isLast = rootKeys.places.some((place) => place.uri === uri && place.keys.length === 1);
      // Forgotten first: a place that is named and is not there keeps a server from starting.
      if (isLast && !(await places.remove(uri))) {
        return {
          retired: false,
          next: `nothing needs it any more: take ${uri} out of the setting root_keys of each server, start them again, and put the key away`,
        };
      }
      const next = await placesOf(uri).retire(uri, id, { ask });
      await rootKeys.refresh();
      await recordAct(store, clock, by, 'root_key.retire', { rootKey: id });
      return { retired: true, next };
    },
  };

  /** A key of one id in two places keeps servers from starting: nobody could say which of them wrapped what names it. */
  async function refuseElsewhere(place: string): Promise<void> {
    for (const id of await rootKeys.idsAt(place)) {
      const other = rootKeys.places.find(({ uri, keys }) => uri !== place && keys.includes(id));
      if (!other) continue;
      throw new Conflict(
        `${place} has a root key "${id}", and so has ${other.uri}, which this machine has already: it was not added. Name another key; ` +
          'two key servers with one mount and one name are told apart by "&id=NAME"',
      );
    }
  }

  async function withVault<T>(work: (vault: Vault) => Promise<T>): Promise<T> {
    const vault = createVault({ store, rootKeys, clock });
    return work(vault).finally(() => vault.close());
  }

  async function refuseNeeded(id: string): Promise<void> {
    // Nothing is written under another key than the active one, so what is not there now does not come any more.
    const counts = await store.write(async (tx) => {
      if ((await lockActiveRootKey(tx)) === id) {
        throw new Conflict(
          `"${id}" is the active root key: make another one active first ("panda-secrets keys activate")`,
        );
      }
      return (await countWrappedKeys(tx)).filter(({ rootKeyId }) => rootKeyId === id);
    });
    if (counts.length === 0) return;
    const needed = counts.map(({ table, count }) => `${count} in ${table}`).join(', ');
    throw new Conflict(`"${id}" still wraps keys (${needed}): run "panda-secrets keys rewrap" first`);
  }
}

const OWNERS_AT_ONCE = 100;

/** The code of what one owner's secrets have that nobody else's have. */
async function renewOrCode(vault: Vault, owner: OwnerId): Promise<Renewed | string | undefined> {
  try {
    return await vault.renewKey(owner);
  } catch (error) {
    if (error instanceof DecryptionFailed || error instanceof MissingRootKey || error instanceof NotFound)
      return error.code;
    throw error;
  }
}
