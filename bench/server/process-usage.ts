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
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** CPU seconds of those of a process's children that have ended, this one's unless given; NaN where the system has no /proc. */
export function childrenCpuSeconds(pid: number | 'self' = 'self'): number {
  if (!readable) return Number.NaN;
  const fields = fieldsOf(pid);
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

/** The name of the program, in brackets, may hold spaces; the 12th to 15th field after it are utime, stime, cutime and cstime: none of one that has ended. */
function fieldsOf(pid: number | 'self'): string[] {
  return whileItRuns(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')) ?? [];
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
  const kilobytesOf = (one: number) => whileItRuns(() => line.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1]);
  return sum(family(pid).map((one) => Number(kilobytesOf(one) ?? 0) * 1024));
}

/** A process and those that it started, and they. */
function family(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(family)];
}

/** The processes that one has started and that run. */
export function childrenOf(pid: number): number[] {
  const threads = whileItRuns(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  return threads.flatMap((thread) => startedBy(pid, thread));
}

function startedBy(pid: number, thread: string): number[] {
  const children = whileItRuns(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'));
  return children?.split(' ').filter(Boolean).map(Number) ?? [];
}

/** Looks at a process or a thread, which may end at any time. @returns nothing then, or where the kernel was built without what is looked at */
function whileItRuns<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH'].includes(code)) return undefined;
    throw error;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
