import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { livingProcesses } from '../payload/processes.ts';

/** The pilot's own cgroup, in which it makes one for each job. */
export interface MemoryCgroups {
  /** @returns `undefined` when none can be made now: the job's memory is then only looked at */
  forJob(megabytes: number): MemoryCgroup | undefined;
}

/** The cgroup of one job: the kernel gives what is in it no more memory than its limit, and ends a process of it instead. */
export interface MemoryCgroup {
  /** Says how a program is started in it. It also starts where it cannot be put there. */
  launch(words: readonly string[]): string[];
  /** True when the kernel ended a process in it for want of memory. */
  hasKilled(): boolean;
  /** When all its processes have ended. */
  remove(): Promise<void>;
}

export interface MemoryCgroupOptions {
  /** Holds `cgroup` and `mountinfo` (proc(5)) as the kernel has them for this process. */
  proc?: string;
  /** Makes the folder of a cgroup, which the kernel fills with its files. */
  makeFolder?: (path: string) => void;
  /** Told why jobs get none. */
  say: (text: string) => void;
}

/** The files of a version, and how they are used: cgroups(7), and cgroup-v1/memory.rst and cgroup-v2.rst of the kernel. */
interface Version {
  prepare(base: string): void;
  limit(folder: string, bytes: number): void;
  /** Counts the processes that the kernel ended. */
  events: string;
}

const V1: Version = {
  prepare() {},
  limit(folder, bytes) {
    write(folder, 'memory.limit_in_bytes', bytes);
    // Memory and swap together: never lower than the limit of memory, and so after it.
    writeWhereThere(folder, 'memory.memsw.limit_in_bytes', bytes);
    // Inherited, and with it processes would wait for memory for ever.
    write(folder, 'memory.oom_control', 0);
  },
  events: 'memory.oom_control',
};

/** Where version 2 has the pilot itself: only a cgroup without processes may hand memory on to others. */
const OWN_LEAF = 'panda-pilot';

const V2: Version = {
  prepare(base) {
    if (!/\bmemory\b/.test(read(base, 'cgroup.controllers'))) throw new Error('memory is not delegated to it');
    const found = processesIn(base);
    const own = withDescendants(process.pid);
    if (!found.every((pid) => own.has(pid))) throw new Error('other processes are in its cgroup');
    mkdirSync(join(base, OWN_LEAF), { recursive: true });
    for (const pid of found) write(join(base, OWN_LEAF), 'cgroup.procs', pid);
    write(base, 'cgroup.subtree_control', '+memory');
  },
  limit(folder, bytes) {
    write(folder, 'memory.max', bytes);
    writeWhereThere(folder, 'memory.swap.max', 0);
    // A job that lost a process to the kernel has failed.
    writeWhereThere(folder, 'memory.oom.group', 1);
  },
  events: 'memory.events',
};

/**
 * Finds the pilot's own memory cgroup, where the node delegates it: the pilot may make folders there. With version 2 the pilot moves
 * into one of them, once. Never throws.
 *
 * @returns `undefined` where it may not
 */
export function openMemoryCgroups({
  proc = '/proc/self',
  makeFolder = mkdirSync,
  say,
}: MemoryCgroupOptions): MemoryCgroups | undefined {
  try {
    const { base, version } = ownCgroup(proc);
    if (!processesIn(base).includes(process.pid)) throw new Error('its cgroup is not where the kernel says');
    version.prepare(base);
    const make = (megabytes: number) => makeCgroup(base, version, { megabytes, makeFolder });
    /** Of no job any more: those that the kernel still held at its end, and of an earlier pilot with the same pid. */
    const left = new Set(jobFolders(base).flatMap(({ path, pid }) => (pid === process.pid ? [path] : [])));
    const clean = () => {
      for (const path of left) if (removed(path)) left.delete(path);
      removeOfKilled(base);
    };
    clean();
    removed(make(1));
    return {
      forJob(megabytes) {
        try {
          clean();
          return jobCgroup(make(megabytes), version, left);
        } catch {
          return undefined;
        }
      },
    };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    say(`jobs have no memory cgroup, and the memory that they use is looked at every few seconds: ${code ?? message}`);
    return undefined;
  }
}

/** $1: the file that takes a process into a cgroup. What the payload is to have goes through as it is. */
const ENTER = '{ echo $$ > "$1"; } 2> /dev/null; shift; exec "$@"';
const REMOVE_SECONDS = 2;

function jobCgroup(folder: string, { events }: Version, left: Set<string>): MemoryCgroup {
  return {
    launch: (words) => ['/bin/sh', '-c', ENTER, 'sh', join(folder, 'cgroup.procs'), ...words],
    hasKilled: () => (killsIn(folder, events) ?? 0) > 0,
    async remove() {
      // The kernel is not done with processes as soon as nobody sees them.
      for (const deadline = Date.now() + REMOVE_SECONDS * 1000; !removed(folder); ) {
        // A later job takes it away.
        if (Date.now() >= deadline) return void left.add(folder);
        await delay(25);
      }
    },
  };
}

const NAME = /^panda-job-(\d+)-\d+$/;
let made = 0;

/** @throws when it cannot be made, limited, or does not tell what the kernel ended; nothing is left then */
function makeCgroup(
  base: string,
  version: Version,
  { megabytes, makeFolder }: { megabytes: number; makeFolder(path: string): void },
): string {
  const folder = join(base, `panda-job-${process.pid}-${made++}`);
  makeFolder(folder);
  try {
    version.limit(folder, megabytes * 1024 * 1024);
    if (killsIn(folder, version.events) === undefined) throw new Error('this kernel does not count what it ends');
    return folder;
  } catch (error) {
    removed(folder);
    throw error;
  }
}

function jobFolders(base: string): { path: string; pid: number }[] {
  return readdirSync(base).flatMap((name) => {
    const [, pid] = NAME.exec(name) ?? [];
    return pid === undefined ? [] : [{ path: join(base, name), pid: Number(pid) }];
  });
}

/** Removes those of other pilots, which were killed. The kernel keeps any that still has a process. */
function removeOfKilled(base: string): void {
  const others = jobFolders(base).filter(({ pid }) => pid !== process.pid);
  // To look at all processes of the node takes time.
  if (others.length === 0) return;
  const living = new Set(livingProcesses().map(({ pid }) => pid));
  for (const { path, pid } of others) if (!living.has(pid)) removed(path);
}

/** The folder of this process's cgroup with its memory. @throws when there is none that this process sees */
function ownCgroup(proc: string): { base: string; version: Version } {
  const lines = read(proc, 'cgroup').split('\n');
  const pathIn = (pattern: RegExp) => lines.map((line) => pattern.exec(line)?.[1]).find((path) => path !== undefined);
  const first = pathIn(/^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/);
  const path = first ?? pathIn(/^0::(\/.*)$/);
  for (const line of read(proc, 'mountinfo').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ').map(unescaped);
    const [type, , options = ''] = after.split(' ');
    const fits = first === undefined ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes('memory');
    if (!fits || path === undefined || !`${path}/`.startsWith(root === '/' ? root : `${root}/`)) continue;
    return { base: join(point, root === '/' ? path : path.slice(root.length)), version: first === undefined ? V2 : V1 };
  }
  throw new Error('this node has none');
}

/** A blank and the like are octal in `mountinfo`. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function withDescendants(pid: number): ReadonlySet<number> {
  const processes = livingProcesses();
  const family = new Set([pid]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const { pid: child, parent } of processes) if (family.has(parent)) family.add(child);
  }
  return family;
}

function processesIn(folder: string): number[] {
  return read(folder, 'cgroup.procs').split('\n').filter(Boolean).map(Number);
}

/** @returns `undefined` where the kernel does not count */
function killsIn(folder: string, events: string): number | undefined {
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(read(folder, events)) ?? [];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
  return true;
}

function read(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'latin1');
}

function write(folder: string, name: string, value: number | string): void {
  writeFileSync(join(folder, name), String(value));
}

function writeWhereThere(folder: string, name: string, value: number): void {
  if (existsSync(join(folder, name))) write(folder, name, value);
}
