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
  const isUnfinished = await resume(data, mark.id, { from, to });

  const { database: _, ...rest } = settings as Settings;
  const place = from === 'sqlite' ? rest : { ...rest, database: from };
  const installation = await openInstallation(place, { create: false, clock, ask });
  try {
    if (!isUnfinished) await prepareTarget(data, to);
    const { store, key } = installation;
    const { name: blobFolder } = await installation.blobStore();
    const kind = to === 'sqlite' ? 'sqlite' : 'postgresql';
    await recordAct(store, clock, 'operator', 'store.move', { to: kind });
    const [source, target] = [await openEnd(data, from), await openEnd(data, to)];
    try {
      await source.hold(await source.tables());
      const servers = await runningServers(store, clock);
      if (servers.length > 0) {
        const nodes = servers.map(({ node }) => node).join(', ');
        throw new Conflict(
          `a server runs on the database (${nodes}): stop it first. One that was killed is forgotten after two minutes`,
        );
      }
      const tables = await copyAll({ source, target, installation: key.id, tags: key.tags, onProgress });
      const brokenChains = await compareAudits(await source.read(key.tags), await target.read(key.tags));
      // From here on the target is the one: first nobody may use the source any more.
      await source.mark(MOVED + key.id);
      await source.commit();
      await target.unmark(MOVING + key.id);
      return { installation: key.id, tables, brokenChains, blobFolder };
    } finally {
      await source.rollback().catch(() => {});
      await source.close();
      await target.close();
    }
  } finally {
    await installation.close();
  }
}

/**
 * Looks for a move that was broken off.
 *
 * @returns true when the target is of one, which is begun anew
 * @throws {Misconfigured} when the source was moved to its end
 */
async function resume(data: string, id: string, { from, to }: { from: StorePlace; to: StorePlace }): Promise<boolean> {
  const path = join(data, 'panda.db');
  if (from === 'sqlite' && !(await isThere(path))) throw new Misconfigured(`there is no ${path} to move`);
  const target = to === 'sqlite' && !(await isThere(path)) ? undefined : await openEnd(data, to);
  const source = await openEnd(data, from);
  try {
    const isUnfinished = (await target?.marks())?.includes(MOVING + id) ?? false;
    if ((await source.marks()).includes(MOVED + id)) {
      if (!isUnfinished)
        throw new Misconfigured('the contents of the source were moved before: name where they are now');
      // It had been compared; its last step is done again with all the others.
      await source.unmark(MOVED + id);
    }
    return isUnfinished;
  } finally {
    await source.close();
    await target?.close();
  }
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
