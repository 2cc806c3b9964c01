import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** `getconf CLK_TCK`: fixed on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** True where a process of this machine can be looked at from outside. */
const readable = existsSync('/proc/self/stat');

/** CPU seconds, user and system, that a process, its threads and the processes that it started have used; NaN where the system has no /proc. */
export function cpuSeconds(pid: number): number {
  if (!readable) return Number.NaN;
  return sum(family(pid).map(ownCpuSeconds));
}

function ownCpuSeconds(pid: number): number {
  const fields = fieldsOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU seconds of those of a process's children that have ended, this one's unless given; NaN where the system has no /proc. */
export function childrenCpuSeconds(pid: number | 'self' = 'self'): number {
  if (!readable) return Number.NaN;
  const fields = fieldsOf(pid);
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

/** The name of the program, in brackets, may hold spaces; the 12th to 15th field after it are utime, stime, cutime and cstime. */
function fieldsOf(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
}

/** The most memory that a process has had in RAM, and those that it started, bytes; NaN where the system has no /proc. */
export function peakMemoryBytes(pid: number): number {
  return memory(pid, 'VmHWM');
}

/** The memory that they have now. */
export function memoryBytes(pid: number): number {
  return memory(pid, 'VmRSS');
}

function memory(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  if (!readable) return Number.NaN;
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm');
  return sum(family(pid).map((one) => Number(line.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1]) * 1024));
}

/** A process and those that it started, and they. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => startedBy(pid, thread));
  return [pid, ...children.flatMap(family)];
}

function startedBy(pid: number, thread: string): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // The thread ended meanwhile, or the kernel was built without this.
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
