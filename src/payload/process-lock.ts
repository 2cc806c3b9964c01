import { constants, readFileSync, readlinkSync } from 'node:fs';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { PILOT_SILENCE_SECONDS } from '../protocol/limits.ts';
import { startTimeOf } from './processes.ts';

/** The file in a pilot's home that says whose it is. */
export const LOCK = 'pilot.json';
/** A home without a lock belongs to a pilot that is just making it, unless it is older than this. */
const MAKING_SECONDS = 60;

/** Names one process: a pid is used again, and counts within one boot of one machine and one PID namespace only. */
interface Holder {
  pid: number;
  startTime: string | undefined;
  host: string;
  boot: string | undefined;
  namespace: string | undefined;
}

/** Writes this process's lock into `home`. */
export async function takeLock(home: string): Promise<void> {
  await writeFile(join(home, LOCK), JSON.stringify(self()), { flag: 'wx', mode: 0o600 });
}

/** The time between two renewals. */
const RENEW_SECONDS = 300;

/** Renews this process's locks in `homes` until it is told to stop. */
export function keepLocks(homes: readonly string[]): { stop(): void } {
  const timer = setInterval(() => {
    for (const home of homes) void renewLock(home);
  }, RENEW_SECONDS * 1000).unref();
  return { stop: () => clearInterval(timer) };
}

/** Says that this process is still alive to pilots that cannot see it. */
async function renewLock(home: string): Promise<void> {
  const now = new Date();
  await utimes(join(home, LOCK), now, now).catch(() => {});
}

/**
 * Says that the pilot of `home` is alive. On this machine that is known; of one on another machine or in another container,
 * which share a folder with this one, it is believed until its lock was not renewed for `PILOT_SILENCE_SECONDS`.
 */
export async function isHeld(home: string, now = Date.now()): Promise<boolean> {
  const ageSeconds = async (name: string) => (now - (await stat(join(home, name))).mtimeMs) / 1000;
  try {
    // Without waiting: a payload that is not isolated may have put a pipe there.
    const flag = constants.O_RDONLY | constants.O_NONBLOCK;
    const holder = JSON.parse(await readFile(join(home, LOCK), { encoding: 'utf8', flag })) as Holder;
    const here = self();
    if (holder.host === here.host && holder.boot !== here.boot) return false;
    if (holder.boot !== here.boot || holder.namespace !== here.namespace || holder.host !== here.host) {
      return (await ageSeconds(LOCK)) < PILOT_SILENCE_SECONDS;
    }
    return isAlive(holder);
  } catch {
    return await ageSeconds('.').then(
      (seconds) => seconds < MAKING_SECONDS,
      () => false,
    );
  }
}

function self(): Holder {
  return {
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    host: hostname(),
    boot: ifThere(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: ifThere(() => readlinkSync('/proc/self/ns/pid')),
  };
}

function isAlive({ pid, startTime }: Holder): boolean {
  if (startTime !== undefined) return startTimeOf(pid) === startTime;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function ifThere(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
