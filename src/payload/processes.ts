import { readdirSync, readFileSync } from 'node:fs';

/** One living process of this machine, as `/proc` shows it. */
export interface Process {
  pid: number;
  parent: number;
  group: number;
  session: number;
}

/**
 * Every process that is alive (zombies are not). Empty where there is no `/proc`: callers then fall back on process groups.
 * Read in one synchronous sweep, so that as little as possible changes meanwhile.
 */
export function livingProcesses(): Process[] {
  return pids().flatMap((pid) => {
    const fields = statFields(pid);
    if (!fields || fields[0] === 'Z' || fields[0] === 'X') return [];
    return [{ pid, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]) }];
  });
}

/** When a process started, in clock ticks since boot: with the pid it names one process. `undefined` when it is not alive. */
export function startTimeOf(pid: number): string | undefined {
  const fields = statFields(pid);
  return fields && fields[0] !== 'Z' && fields[0] !== 'X' ? fields[19] : undefined;
}

/** True when a process is in the foreground of a terminal, whose keys (Ctrl-C) then send signals to it and the rest of its group. */
export function isInForeground(pid: number): boolean {
  const fields = statFields(pid);
  return fields !== undefined && Number(fields[4]) !== 0 && fields[5] === fields[2];
}

/** True when a process was started with a variable whose `NAME=VALUE` begins with `text`, and can be looked into. */
export function hasVariable(pid: number, text: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return environment.startsWith(text) || environment.includes(`\0${text}`);
  } catch {
    return false;
  }
}

/**
 * The memory that processes use, in bytes. Shared memory counts once, where that can be told and matters: finding out takes
 * long, so that it is done only when the sum with it counted for each of them is above `limit`.
 */
export function memoryOf(pids: readonly number[], limit: number): number {
  const whole = sum(pids, (pid) => kilobytes(pid, 'status', 'VmRSS') ?? 0) * 1024;
  if (whole <= limit) return whole;
  return sum(pids, (pid) => kilobytes(pid, 'smaps_rollup', 'Pss') ?? kilobytes(pid, 'status', 'VmRSS') ?? 0) * 1024;
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0);
}

function kilobytes(pid: number, file: string, name: string): number | undefined {
  try {
    const [, number] =
      new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'latin1')) ?? [];
    return number === undefined ? undefined : Number(number);
  } catch {
    return undefined;
  }
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** The fields of `/proc/PID/stat` from the state on (proc(5), field 3); a command name may itself hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
