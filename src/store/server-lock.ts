import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { Misconfigured } from '../protocol/errors.ts';

const RETRY_MILLISECONDS = 100;
/** SQLite's number of "another process has the lock". */
const SQLITE_BUSY = 5;

/**
 * Takes the lock that one server alone has, at `path`: a file of no content, made with mode 0600, in which SQLite locks a range. The system takes such a
 * lock back when its process ends, however that ends. Nothing else may open the file in this process: closing it would give the lock up.
 *
 * @param seconds the longest wait for one that ends just now
 * @param onWaiting told once, when it waits
 * @returns gives it back; undefined when another process has it for longer
 * @throws {Misconfigured} when the file cannot be used
 */
export async function takeServerLock(
  path: string,
  { seconds, onWaiting }: { seconds: number; onWaiting: () => void },
): Promise<(() => void) | undefined> {
  const giveUpAt = performance.now() + seconds * 1000;
  for (let tries = 0; ; tries++) {
    const release = tryLock(path);
    if (release) return release;
    if (performance.now() >= giveUpAt) return undefined;
    if (tries === 0) onWaiting();
    await delay(RETRY_MILLISECONDS);
  }
}

function tryLock(path: string): (() => void) | undefined {
  let database: DatabaseSync | undefined;
  try {
    makeFile(path);
    database = new DatabaseSync(path, { timeout: 0 });
    // Nothing is written under it, so that a full disk keeps no server from its start.
    database.exec('begin exclusive');
  } catch (error) {
    database?.close();
    const { code, errcode, errstr } = error as NodeJS.ErrnoException & { errcode?: number; errstr?: string };
    if (errcode === SQLITE_BUSY) return undefined;
    throw new Misconfigured(`the lock of the server ${path} cannot be used (${errstr ?? code})`);
  }
  const held = database;
  return () => held.close();
}

/** Never opens one that is there: see above. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
