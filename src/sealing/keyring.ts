import { type Tell, tellNobody } from '../events/events.ts';
import { Misconfigured, MissingRootKey, PandaError, Unavailable } from '../protocol/errors.ts';
import { placesOf } from './open-root-keys.ts';
import type { AskPassphrase, RootKey, RootKeyProvider, RootKeys } from './root-keys.ts';

/** A place of root keys as this process has it. */
export interface OpenPlace {
  uri: string;
  /** The ids of its keys. */
  keys: readonly string[];
  /** Why it, or a change of it, could not be opened; what it had before is still used. */
  trouble?: PandaError;
}

/** The root keys of several places, which may change while they are used. */
export interface Keyring extends RootKeys {
  readonly ids: readonly string[];
  readonly places: readonly OpenPlace[];
  /** Makes one of the keys the active one. @throws {MissingRootKey} */
  use(id: string): void;
  /** The ids of the keys in a place, which need not be one of those that are listed. @throws as {@link openKeyring} */
  idsAt(uri: string): Promise<readonly string[]>;
  /** Opens anew what changed, opens what came, and lets go of what went. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

export interface KeyringOptions {
  /** The URIs of the places, as they are named now. */
  list(): Promise<readonly string[]>;
  /** The first key of the first place may be made when it is missing. */
  create: boolean;
  ask?: AskPassphrase | undefined;
  tell?: Tell | undefined;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
}

/** A key that is not there is looked for at most this often: rows that name one may be many. */
const SEARCH_MILLISECONDS = 5000;

/**
 * Opens the places. The first one's key is the active one until {@link Keyring.use} says otherwise. A place that cannot be reached now is
 * left for later, unless no other can be opened.
 *
 * @throws {Misconfigured} when no provider knows a scheme, a place cannot be used as it is, or two have a key of one id
 * @throws {Unavailable} when no place can be reached
 */
export async function openKeyring({ list, create, ask, clock, tell = tellNobody }: KeyringOptions): Promise<Keyring> {
  const passphrases = new Map<string, string>();
  const askOnce: AskPassphrase | undefined =
    ask &&
    (async (what) => {
      const answer = passphrases.get(what) ?? (await ask(what));
      passphrases.set(what, answer);
      return answer;
    });
  let opened: Opened[] = [];
  let activeId: string | undefined;
  let refreshing: Promise<void> | undefined;
  let searchedAt = Number.NEGATIVE_INFINITY;
  let closed = false;

  const keysOf = (places: readonly Opened[]) => places.flatMap(({ provider }) => provider?.keys ?? []);

  function find(id: string): RootKey | undefined {
    for (const { uri, provider } of opened) {
      const key = provider?.keys.find((one) => one.id === id);
      if (key) return toldUse(key, placeOf(uri));
    }
    return undefined;
  }

  function toldUse(key: RootKey, place: string): RootKey {
    async function told(how: 'wrap' | 'unwrap', result: Promise<Uint8Array>): Promise<Uint8Array> {
      const since = performance.now();
      const ok = await result.then(
        () => true,
        () => false,
      );
      const seconds = (performance.now() - since) / 1000;
      tell({ event: 'root_key.used', place, how, active: key.id === activeId, ok, seconds });
      return result;
    }
    return {
      id: key.id,
      wrap: (dataKey, context) => told('wrap', key.wrap(dataKey, context)),
      unwrap: (wrapped, context) => told('unwrap', key.unwrap(wrapped, context)),
    };
  }

  async function read(): Promise<void> {
    const before = opened;
    const next: Opened[] = [];
    try {
      for (const uri of await list()) {
        const there = before.find((one) => one.uri === uri);
        next.push(await openOrKeep(uri, there));
      }
      refuseTwice(next);
    } catch (error) {
      await closeThoseNotIn(before, next);
      throw error;
    }
    opened = next;
    await closeThoseNotIn(next, before);
  }

  async function openOrKeep(uri: string, before: Opened | undefined): Promise<Opened> {
    const places = placesOf(uri);
    const stamp = await places.stamp(uri);
    const isTriedAgain = before?.trouble instanceof Unavailable;
    if (before && before.stamp === stamp && !isTriedAgain) return before;
    try {
      return { uri, stamp, provider: await places.open(uri, { create: false, ask: askOnce }) };
    } catch (error) {
      if (!(error instanceof PandaError)) throw error;
      return { uri, stamp, trouble: error, ...(before?.provider && { provider: before.provider }) };
    }
  }

  async function openFirst(): Promise<void> {
    const uris = await list();
    if (uris.length === 0) throw new Misconfigured('no root keys are named: at least one is needed');
    for (const [index, uri] of uris.entries()) {
      const places = placesOf(uri);
      const stamp = await places.stamp(uri);
      try {
        const provider = await places.open(uri, { create: create && index === 0, ask: askOnce });
        // Made just now, it has another stamp.
        opened.push({ uri, stamp: await places.stamp(uri), provider });
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        opened.push({ uri, stamp, trouble: error });
      }
    }
    const [first] = opened.flatMap(({ provider }) => provider ?? []);
    if (!first) throw opened[0]?.trouble;
    refuseTwice(opened);
    activeId = first.active.id;
  }

  const keyring: Keyring = {
    get active() {
      const active = activeId === undefined ? undefined : find(activeId);
      if (active) return active;
      throw new MissingRootKey(String(activeId));
    },

    get ids() {
      return keysOf(opened).map(({ id }) => id);
    },

    get places() {
      return opened.map(({ uri, provider, trouble }) => ({
        uri,
        keys: provider?.keys.map(({ id }) => id) ?? [],
        ...(trouble && { trouble }),
      }));
    },

    get(id) {
      return find(id) ?? soughtKey(id);
    },

    use(id) {
      if (!find(id)) throw new MissingRootKey(id);
      activeId = id;
    },

    async idsAt(uri) {
      const provider = await placesOf(uri).open(uri, { create: false, ask: askOnce });
      await provider.close();
      return provider.keys.map(({ id }) => id);
    },

    refresh() {
      refreshing ??= read().finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },

    async close() {
      closed = true;
      await refreshing?.catch(() => {});
      for (const { provider } of opened) await provider?.close();
      opened = [];
      passphrases.clear();
    },
  };

  /** A key that may have been added since the places were opened last. */
  function soughtKey(id: string): RootKey {
    async function search(): Promise<RootKey> {
      if (!closed && clock() - searchedAt > SEARCH_MILLISECONDS) {
        searchedAt = clock();
        await keyring.refresh();
      }
      const found = find(id);
      if (found) return found;
      const away = opened.find(({ trouble }) => trouble instanceof Unavailable);
      if (away?.trouble) throw away.trouble;
      throw new MissingRootKey(id);
    }
    return {
      id,
      wrap: async (dataKey, context) => (await search()).wrap(dataKey, context),
      unwrap: async (wrapped, context) => (await search()).unwrap(wrapped, context),
    };
  }

  try {
    await openFirst();
  } catch (error) {
    await keyring.close();
    throw error;
  }
  return keyring;
}

/** The scheme of its URI: a closed set, and no name. */
function placeOf(uri: string): string {
  return uri.slice(0, uri.indexOf(':')).toLowerCase();
}

interface Opened {
  uri: string;
  stamp: string;
  provider?: RootKeyProvider;
  trouble?: PandaError;
}

async function closeThoseNotIn(kept: readonly Opened[], places: readonly Opened[]): Promise<void> {
  for (const { provider } of places) {
    if (provider && !kept.some((one) => one.provider === provider)) await provider.close();
  }
}

/** Two keys of one id: nobody could say which of them wrapped what names it. */
function refuseTwice(places: readonly Opened[]): void {
  const seen = new Map<string, string>();
  for (const { uri, provider } of places) {
    for (const { id } of provider?.keys ?? []) {
      const other = seen.get(id);
      if (other !== undefined) {
        throw new Misconfigured(
          `the root key "${id}" is in two of the places that are named, ${other} and ${uri}: take one of them out`,
        );
      }
      seen.set(id, uri);
    }
  }
}
