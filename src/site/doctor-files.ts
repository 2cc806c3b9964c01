import { chmod, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';
import { placesOf } from '../sealing/open-root-keys.ts';
import { abandonedCopies } from './backup/database-copy.ts';
import type { Finding } from './finding.ts';
import { rootKeyPlaces } from './root-key-places.ts';
import type { Settings } from './settings.ts';

/** A change that takes longer was broken off. */
const BROKEN_OFF_MILLISECONDS = 10 * 60_000;
const LEAST_FREE_BYTES = 64 * 1024 * 1024;
const FEW_FREE_BYTES = 2 * 1024 * 1024 * 1024;

/** Owners and modes of the data folder and what is in it, and what changes left behind that were broken off. */
export async function checkFiles(settings: Settings, clock: () => number): Promise<Finding[]> {
  const { data } = settings;
  const findings: Finding[] = [];
  const self = process.geteuid?.();
  const folder = await stat(data).catch(() => undefined);
  if (!folder) return [wrong(`there is no data folder ${data}`, 'name it with --data, or start the server once')];
  const named = await rootKeyFiles(settings).catch((error): string[] => {
    if (!(error instanceof Misconfigured)) throw error;
    findings.push(wrong(error.message, 'name the places of root keys as that says'));
    return [];
  });
  const there = (await readdir(data)).map((name) => join(data, name));
  const paths = [...new Set([data, ...there, ...named])];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (!found) {
      // Others may have gone since the folder was read.
      if (named.includes(path)) {
        findings.push(wrong(`${path} has root keys and is not there`, 'put it back from its safe copy'));
      }
      continue;
    }
    const mode = found.mode & 0o777;
    if ((mode & 0o077) !== 0) {
      const tight = mode & 0o700;
      findings.push({
        ...wrong(
          `others on this machine can use ${path} (mode ${shown(mode)})`,
          `chmod ${shown(tight)} ${path}; replace the root keys if others read them`,
        ),
        fix: async () => {
          await chmod(path, tight);
          return `${path} has mode ${shown(tight)}`;
        },
      });
    }
    if (found.uid !== folder.uid) {
      findings.push(
        wrong(
          `${path} belongs to user ${found.uid}, and the data folder to user ${folder.uid}`,
          `chown ${folder.uid} ${path}`,
        ),
      );
    }
    if (path.endsWith('.new') && clock() - found.mtimeMs > BROKEN_OFF_MILLISECONDS) {
      findings.push({
        check: 'files',
        state: 'warning',
        what: `${path} was left by a change that was broken off: the file beside it cannot be changed`,
        todo: `remove ${path}`,
        fix: async () => {
          await rm(path);
          return `removed ${path}`;
        },
      });
    }
  }
  for (const copy of await abandonedCopies(data)) {
    findings.push({
      check: 'files',
      state: 'warning',
      what: `${copy} was left by a backup that was killed: a part of the database`,
      todo: `remove ${copy}; the next backup, and a start of the server, do that too`,
      fix: async () => {
        await rm(copy, { recursive: true, force: true });
        return `removed ${copy}`;
      },
    });
  }
  if (self !== undefined && self !== 0 && folder.uid !== self) {
    findings.push(
      wrong(`the data folder belongs to user ${folder.uid}, and this is user ${self}`, "run this as the server's user"),
    );
  }
  if (findings.length > 0) return findings;
  return [{ check: 'files', state: 'fine', what: `${paths.length} files and folders are the server's own` }];
}

/** The files of this machine that have root keys. @throws {Misconfigured} for a place that is none */
async function rootKeyFiles(settings: Settings): Promise<string[]> {
  const places = await rootKeyPlaces(settings).list();
  return places.flatMap((place) => placesOf(place).fileOf(place) ?? []);
}

/** Free room, and the reserve. */
export async function checkDisk({ data }: Settings): Promise<Finding[]> {
  const found = await statfs(data).catch(() => undefined);
  // The check of files says so.
  if (!found) return [];
  const { bavail, bsize } = found;
  const free = bavail * bsize;
  const room = `${Math.floor(free / 1024 / 1024)} MiB are free where ${data} is`;
  const reserve = await stat(join(data, 'reserve')).catch(() => undefined);
  if (free < LEAST_FREE_BYTES) return [{ check: 'disk', state: 'wrong', what: room, todo: MAKE_ROOM }];
  if (!reserve && (await stat(join(data, 'installation.json')).catch(() => undefined))) {
    const what = `${room}, and there is no reserve: the disk was full, or no server ran here since a restore`;
    return [{ check: 'disk', state: 'warning', what, todo: `${MAKE_ROOM}; a server that runs makes it anew` }];
  }
  if (free < FEW_FREE_BYTES) return [{ check: 'disk', state: 'warning', what: room, todo: MAKE_ROOM }];
  return [{ check: 'disk', state: 'fine', what: room }];
}

const MAKE_ROOM = 'make room: other files, a larger disk';

function wrong(what: string, todo: string): Finding {
  return { check: 'files', state: 'wrong', what, todo };
}

function shown(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
