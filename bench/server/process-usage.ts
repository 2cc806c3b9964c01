import { existsSync, readFileSync } from 'node:fs';

/** `getconf CLK_TCK`: fixed on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** True where a process of this machine can be looked at from outside. */
const readable = existsSync('/proc/self/stat');

/** CPU seconds, user and system, that a process and its threads have used; NaN where the system has no /proc. */
export function cpuSeconds(pid: number): number {
  if (!readable) return Number.NaN;
  // The name of the program, in brackets, may hold spaces; utime and stime are the 12th and 13th field after it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The most memory that a process has had in RAM, bytes; NaN where the system has no /proc. */
export function peakMemoryBytes(pid: number): number {
  if (!readable) return Number.NaN;
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(peak) * 1024;
}
