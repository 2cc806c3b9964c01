import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { recordAct, verifyAudits } from '../audit/audit.ts';
import { Conflict, Misconfigured } from '../protocol/errors.ts';
import type { AskPassphrase } from '../sealing/root-keys.ts';
import { copyAll, type Progress, refuseRows, type TableSum } from '../store/move/move.ts';
import type { MoveEnd } from '../store/move/move-end.ts';
import { postgresEnd } from '../store/move/postgres-end.ts';
import { sqliteEnd } from '../store/move/sqlite-end.ts';
import { openPostgres } from '../store/postgres.ts';
import { openSqlite } from '../store/sqlite.ts';
import { MOVED, MOVING } from '../store/store.ts';
import { takeFolder } from './data-folder.ts';
import { openInstallation } from './installation.ts';
import { installationMark } from './installation-mark.ts';
import { runningServers } from './servers.ts';
import type { Settings } from './settings.ts';

/** The SQLite database of the data folder, or the URL of a PostgreSQL. */
export type StorePlace = 'sqlite' | `postgres${string}`;

/** A move that is done. */
export interface MovedStore {
  installation: string;
  tables: TableSum[];
  /** Chains of the audit that are broken at both ends. */
  brokenChains: number;
  /** The place of sandboxes, logs and outputs, which stays. */
  blobFolder: string;
}

/**
 * Moves an installation's database to an empty one of the other kind, and compares every row. Nothing writes the source meanwhile, and no server
 * starts on it afterwards. It may be killed at any moment, and begun again.
 *
 * @throws {Conflict} while a server runs on the source
 * @throws {Misconfigured} when the target is not empty, or a database cannot be used
 */
export async function moveStore(
  settings: Pick<Settings, 'data' | 'rootKeys'>,
  { from, to }: { from: StorePlace; to: StorePlace },
  { clock, ask, onProgress }: { clock: () => number; ask?: AskPassphrase | undefined; onProgress: Progress },
): Promise<MovedStore> {
  const { data } = settings;
  if ((from === 'sqlite') === (to === 'sqlite')) {
    throw new Misconfigured(
      'one of the two is "sqlite": PostgreSQL moves to another PostgreSQL by pg_dump, and SQLite by backup and restore',
    );
  }
  const mark = await installationMark(data).read();
  if (!mark) throw new Misconfigured(`there is no installation in ${data}: name its folder with --data`);
  // One of the two is the folder's: a server that was only stopped for a while has its place there as well.
  const release = await takeFolder(data, { seconds: 0, tell: () => {} });
  if (!release) throw new Conflict(`a server runs on the data folder ${data}, or another move: stop it first`);
  try {
    return await moveHeld(settings, mark.id, { from, to }, { clock, ask, onProgress });
  } finally {
    release();
  }
}

/** @param id of the installation */
async function moveHeld(
  settings: Pick<Settings, 'data' | 'rootKeys'>,
  id: string,
  { from, to }: { from: StorePlace; to: StorePlace },
  { clock, ask, onProgress }: Parameters<typeof moveStore>[2],
): Promise<MovedStore> {
  const { data } = settings;
  const { move, isUnfinished } = await resume(data, id, { from, to });
  const { database: _, ...rest } = settings as Settings;
  const place = from === 'sqlite' ? rest : { ...rest, database: from };
  const installation = await openInstallation(place, { create: false, clock, ask });
  try {
    if (!isUnfinished) await prepareTarget(data, to);
    const { store, key } = installation;
    const { name: blobFolder } = await installation.blobStore();
    const kind = to === 'sqlite' ? 'sqlite' : 'postgresql';
    await recordAct(store, clock, 'operator', 'store.move', { to: kind });
    return await withEnds(data, async (open) => {
      const [source, target] = [await open(from), await open(to)];
      try {
        await source.hold(await source.tables());
        // Of SQLite none runs, and one that was killed may still be noted.
        const servers = from === 'sqlite' ? [] : await runningServers(store, clock);
        if (servers.length > 0) {
          const nodes = servers.map(({ node }) => node).join(', ');
          throw new Conflict(
            `a server runs on the database (${nodes}): stop it first. One that was killed is forgotten after two minutes`,
          );
        }
        const tables = await copyAll({ source, target, mark: MOVING + move, tags: key.tags, onProgress });
        const brokenChains = await compareAudits(await source.read(key.tags), await target.read(key.tags));
        // From here on the target is the one: first nobody may use the source any more.
        await source.mark(MOVED + move);
        await source.commit();
        await target.unmark(MOVING + move);
        return { installation: key.id, tables, brokenChains, blobFolder };
      } finally {
        await source.rollback().catch(() => {});
      }
    });
  } finally {
    await installation.close();
  }
}

/**
 * Looks for a move that was broken off.
 *
 * @returns the name of the move, and true when the target is of one that is begun anew
 * @throws {Misconfigured} when the source was moved to its end, or to another target
 */
async function resume(
  data: string,
  id: string,
  { from, to }: { from: StorePlace; to: StorePlace },
): Promise<{ move: string; isUnfinished: boolean }> {
  const path = join(data, 'panda.db');
  if (from === 'sqlite' && !(await isThere(path))) throw new Misconfigured(`there is no ${path} to move`);
  return withEnds(data, async (open) => {
    const target = to === 'sqlite' && !(await isThere(path)) ? undefined : await open(to);
    const source = await open(from);
    const unfinished = (await target?.marks())?.find((name) => name.startsWith(MOVING + id));
    const move = unfinished?.slice(MOVING.length) ?? `${id}-${randomBytes(8).toString('hex')}`;
    const moved = (await source.marks()).find((name) => name.startsWith(MOVED + id));
    if (moved !== undefined) {
      // A target of an earlier try has rows of that time, while the installation is in use elsewhere.
      if (unfinished === undefined || moved !== MOVED + move)
        throw new Misconfigured('the contents of the source were moved before: name where they are now');
      // It had been compared; its last step is done again with all the others.
      await source.unmark(moved);
    }
    return { move, isUnfinished: unfinished !== undefined };
  });
}

/** Brings an empty target to this release's tables. One that is in use is not touched. */
async function prepareTarget(data: string, to: StorePlace): Promise<void> {
  if (to !== 'sqlite' || (await isThere(join(data, 'panda.db')))) {
    const end = await openEnd(data, to);
    try {
      await refuseRows(end, await end.tables());
    } finally {
      await end.close();
    }
  }
  const store = to === 'sqlite' ? await openSqlite(join(data, 'panda.db')) : await openPostgres(to);
  await store.close();
}

/** Closes each database that was opened when `act` is done, or another cannot be opened. */
async function withEnds<T>(
  data: string,
  act: (open: (place: StorePlace) => Promise<MoveEnd>) => Promise<T>,
): Promise<T> {
  const opened: MoveEnd[] = [];
  try {
    return await act(async (place) => {
      const end = await openEnd(data, place);
      opened.push(end);
      return end;
    });
  } finally {
    for (const end of opened.reverse()) await end.close();
  }
}

async function openEnd(data: string, place: StorePlace): Promise<MoveEnd> {
  return place === 'sqlite' ? sqliteEnd(join(data, 'panda.db')) : postgresEnd(place);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function compareAudits(source: Parameters<typeof verifyAudits>[0]['db'], target: typeof source): Promise<number> {
  const [before, after] = [await verifyAudits({ db: source }), await verifyAudits({ db: target })];
  if (JSON.stringify(before) !== JSON.stringify(after)) {
    throw new Misconfigured('the audit is another one in the target: the move is not finished, begin it again');
  }
  return after.filter(({ check }) => !check.whole).length;
}
