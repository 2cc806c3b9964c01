import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { InvalidArgument } from '../protocol/errors.ts';
import { ALLOCATION_END_SECONDS, LEAST_ALLOCATION_SECONDS, PILOT_START_SECONDS } from '../protocol/limits.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What a batch system gave to this pilot on its node. Times are milliseconds since 1970. */
export interface Allocation {
  /** Jobs must have ended by then, so that there is time to bring back what they did; `undefined` when nobody said. */
  stopsAt: number | undefined;
  startedAt: number;
  /** The numbers of the cores that this process may use. */
  cores: readonly number[];
  /** MB of memory; `undefined` when nobody said. */
  megabytes: number | undefined;
}

/** The part of an allocation that one of its jobs may use, beside others. */
export interface Share {
  /** The numbers of its cores; empty when there are fewer than jobs. */
  cores: readonly number[];
  megabytes: number | undefined;
}

export interface AllocationOptions {
  /** The end, where it is said: {@link readTime}. */
  until?: number | undefined;
  minutes?: number | undefined;
  environment: Environment;
  now?: number;
}

/**
 * Finds out what the pilot has. The end is what the operator says, or Slurm: from 23.02 on in a variable, before that by a question to its
 * controller.
 */
export async function readAllocation(options: AllocationOptions): Promise<Allocation> {
  const { environment, now = Date.now() } = options;
  const end = options.until ?? (options.minutes ? now + options.minutes * 60_000 : await endFromSlurm(environment));
  return {
    startedAt: now,
    stopsAt: end === undefined ? undefined : end - marginOf(end - now),
    cores: coresOf(environment),
    megabytes: megabytesOf(environment),
  };
}

/**
 * Reads a moment as operators and batch systems write it: seconds since 1970, or ISO 8601 with its zone.
 *
 * @returns milliseconds since 1970
 * @throws {InvalidArgument}
 */
export function readTime(text: string): number {
  const time = /^\d{9,11}$/.test(text) ? Number(text) * 1000 : ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgument('It must be seconds since 1970, or a time with its zone such as 2026-03-01T12:00:00Z.');
}

const ISO = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/;

/** The seconds that a job which begins now may take, and `undefined` without an end; 0 when it is too late for any. */
export function secondsLeft({ stopsAt }: Pick<Allocation, 'stopsAt'>, now = Date.now()): number | undefined {
  if (stopsAt === undefined) return undefined;
  const seconds = Math.floor((stopsAt - now) / 1000);
  return seconds < LEAST_ALLOCATION_SECONDS ? 0 : seconds;
}

/** The share of each of `slots` jobs, in the order of the slots. */
export function sharesOf({ cores, megabytes }: Pick<Allocation, 'cores' | 'megabytes'>, slots: number): Share[] {
  const each = Math.floor(cores.length / slots);
  return Array.from({ length: slots }, (_, slot) => ({
    cores: cores.slice(slot * each, (slot + 1) * each),
    megabytes: megabytes && Math.floor(megabytes / slots),
  }));
}

/** The longest that a job may ask for to get into a pilot that a batch system gives so many minutes: the pilot has to start first. */
export function longestJobSeconds(minutes: number): number {
  const milliseconds = minutes * 60_000;
  return Math.max(0, Math.floor((milliseconds - marginOf(milliseconds)) / 1000) - PILOT_START_SECONDS);
}

/** Time to end what runs and to bring its log back: less of a short allocation. */
function marginOf(milliseconds: number): number {
  return Math.min(ALLOCATION_END_SECONDS * 1000, milliseconds / 10);
}

async function endFromSlurm(environment: Environment): Promise<number | undefined> {
  const { SLURM_JOB_ID: job, SLURM_JOB_END_TIME: end } = environment;
  if (end !== undefined && /^\d{9,11}$/.test(end)) return Number(end) * 1000;
  if (job === undefined || !/^\d+$/.test(job)) return undefined;
  const asked = { env: { ...environment, TZ: 'UTC' }, timeout: ASK_MILLISECONDS };
  const answer = await promisify(execFile)('scontrol', ['--oneliner', 'show', 'job', job], asked).catch(
    () => undefined,
  );
  const time = / EndTime=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d) /.exec(answer?.stdout ?? '')?.[1];
  return time === undefined ? undefined : readTime(`${time}Z`);
}

const ASK_MILLISECONDS = 10_000;

/** Those that the kernel lets this process use, and of these as many as Slurm gave. */
function coresOf({ SLURM_CPUS_ON_NODE: given }: Environment): number[] {
  const allowed = ownCores() ?? Array.from({ length: availableParallelism() }, (_, core) => core);
  const count = Number(given);
  return Number.isSafeInteger(count) && count > 0 ? allowed.slice(0, count) : allowed;
}

/** As `Cpus_allowed_list` has them (proc(5)): `0-3,8`. */
function ownCores(): number[] | undefined {
  try {
    const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    const cores = list.split(',').flatMap((range) => {
      const [first = Number.NaN, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
    return cores.length > 0 && cores.every(Number.isSafeInteger) ? cores : undefined;
  } catch {
    return undefined;
  }
}

/** What Slurm gave (0: all that there is), or what a cgroup leaves to this process. */
function megabytesOf(environment: Environment): number | undefined {
  const perNode = Number(environment['SLURM_MEM_PER_NODE']);
  if (perNode > 0) return perNode;
  const perCore = Number(environment['SLURM_MEM_PER_CPU']) * Number(environment['SLURM_CPUS_ON_NODE']);
  if (perCore > 0) return perCore;
  const bytes = process.constrainedMemory();
  // Where nothing is set the kernel shows a number that no machine has.
  return bytes > 0 && bytes < MOST_BYTES ? Math.floor(bytes / 1024 / 1024) : undefined;
}

const MOST_BYTES = 2 ** 50;
