import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { makeFolder } from '../files/make-folder.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { PREDECESSOR_SECONDS, PREDECESSOR_WITH_SOCKET_SECONDS } from '../protocol/limits.ts';
import { takeServerLock } from '../store/server-lock.ts';
import { lastAddress } from './last-address.ts';

/** For a database that is not there yet, or a server that ends just now. */
export interface Waiting {
  seconds: number;
  /** Told once, when it waits. */
  tell(what: string): void;
}

const ANOTHER_USERS = 'it may be of another user, the one that runs the server';

/** @throws {Misconfigured} when this user may not even look */
export async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new Misconfigured(`the data folder ${dirname(file)} cannot be entered (${code}): ${ANOTHER_USERS}`);
  }
}

/**
 * Makes the data folder (0700) where it is not there.
 *
 * @throws {Misconfigured} when it cannot be made, or others could change what is in it
 */
export async function readyFolder(path: string): Promise<void> {
  await makeDataFolder(path);
  await refuseUnsafeFolder(path);
}

async function makeDataFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`the data folder ${path} cannot be made (${code}); --data names another`);
  }
}

/** Who can write the folder can put another database or key in the place of the server's, or have root write elsewhere by a link. */
async function refuseUnsafeFolder(path: string): Promise<void> {
  const self = process.geteuid?.();
  // No such owners and modes on Windows.
  if (self === undefined) return;
  const { uid, mode } = await stat(path);
  if (uid !== self && uid !== 0) {
    throw new Misconfigured(
      `the data folder ${path} belongs to another user (uid ${uid}): run this as that user, who runs the server ` +
        `("sudo -u '#${uid}' panda-secrets ..."), or name another folder with --data`,
    );
  }
  if ((mode & 0o022) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new Misconfigured(
      `others on this machine can write the data folder ${path} (mode ${shown}), and so replace what is in it: run ` +
        `"chmod go-w ${path}", and look whether its files are still this server's`,
    );
  }
}

/**
 * For a server, which alone may use the SQLite database of the folder: two would each believe that nobody else ends leases, removes files
 * and keeps room back.
 *
 * @returns gives it back
 * @throws {Misconfigured} when another server has it for longer
 */
export async function holdFolder(data: string, waiting: Waiting): Promise<() => void> {
  const release = await takeFolder(data, waiting);
  if (release) return release;
  const address = await lastAddress(data);
  throw new Misconfigured(
    `another server runs on the data folder ${data}${address === undefined ? '' : ` (${address})`}: an SQLite database has one server. Stop that one ` +
      'first, name another folder with --data, or use PostgreSQL for several',
  );
}

/**
 * Takes the place of the one server that may use the SQLite database of a data folder.
 *
 * @returns gives it back; undefined while a server runs, or a move
 */
export function takeFolder(data: string, { seconds, tell }: Waiting): Promise<(() => void) | undefined> {
  return takeServerLock(join(data, 'serving.lock'), {
    seconds,
    onWaiting: () => tell('another server runs on this data folder; waiting for its end'),
  });
}

/** The wait of a server for the one before it on its data folder. @param socket the one that it was given, if it was */
export function predecessor(socket: number | undefined, logger: Logger): Waiting {
  return {
    seconds: socket === undefined ? PREDECESSOR_SECONDS : PREDECESSOR_WITH_SOCKET_SECONDS,
    tell: (what) => logger.warn({ part: 'data folder' }, what),
  };
}
