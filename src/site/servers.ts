import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { isFullDisk } from '../protocol/full-disk.ts';
import { SERVER_SILENT_SECONDS } from '../protocol/limits.ts';
import type { Keyring } from '../sealing/keyring.ts';
import { forgetServer, forgetServersBefore, listServers, noteServer } from '../store/servers.ts';
import { refuseMoved, type Store } from '../store/store.ts';

/** This server's sign in the database that it runs, with the root keys that it has. */
export interface ServerSign {
  /** Looks for root keys that came or went, and says which there are. @throws what keeps it from having one of them, and when the database was moved away */
  renew(): Promise<void>;
  /** Takes it back. */
  close(): Promise<void>;
}

/** @throws {Misconfigured} when the contents of the database were moved away since it was opened */
export async function showServer({
  store,
  rootKeys,
  clock,
}: {
  store: Store;
  rootKeys: Keyring;
  clock: () => number;
}): Promise<ServerSign> {
  const id = randomUUID();
  let noting: Promise<void> = Promise.resolve();
  let isClosed = false;

  /** Nothing once it is taken back: a move would wait for a server that has ended. */
  async function note(): Promise<void> {
    if (isClosed) return;
    const now = clock();
    const row = { id, node: hostname(), root_keys: JSON.stringify(rootKeys.ids), seen_at: now };
    noting = store.write(async (tx) => {
      await noteServer(tx, row);
      await forgetServersBefore(tx, now - 2 * SERVER_SILENT_SECONDS * 1000);
    });
    await noting;
  }

  await note().catch((error) => {
    // A server starts on a full disk, so that somebody can make room. It shows itself at its next look.
    if (!isFullDisk(error)) throw error;
  });
  await refuseMoved(store.db);
  return {
    async renew() {
      await rootKeys.refresh().finally(note);
      await refuseMoved(store.db);
      const trouble = rootKeys.places.find((place) => place.trouble)?.trouble;
      if (trouble) throw trouble;
    },
    // One that cannot is forgotten as silent.
    async close() {
      isClosed = true;
      await noting.catch(() => {});
      await store.write((tx) => forgetServer(tx, id)).catch(() => {});
    },
  };
}

/** A server that runs. */
export interface RunningServer {
  node: string;
  /** The ids of its root keys. */
  rootKeys: readonly string[];
}

/** Of workers, and of servers of one machine, those that have the same root keys are told once. */
export async function runningServers(store: Store, clock: () => number): Promise<RunningServer[]> {
  const rows = await listServers(store.db, clock() - SERVER_SILENT_SECONDS * 1000);
  const distinct = new Map(rows.map((row) => [`${row.node} ${row.root_keys}`, row]));
  return [...distinct.values()].map(({ node, root_keys }) => ({ node, rootKeys: JSON.parse(root_keys) as string[] }));
}
