import { readFileSync } from 'node:fs';

/**
 * The processor time that this process takes from now on, in milliseconds: a limit of it holds also where the machine has much else
 * to do, which one by the clock does not.
 */
export function processorTime(): { milliseconds(): number } {
  const begun = process.cpuUsage();
  return {
    milliseconds() {
      const { user, system } = process.cpuUsage(begun);
      return (user + system) / 1000;
    },
  };
}

/**
 * The time from now on as this process gets to see it, in seconds: by the clock on a machine with little else to do, and less of it where
 * this process, as what it waits for, seldom has a processor.
 */
export function seenTime(): { seconds(): number } {
  let turns = 0;
  setInterval(() => turns++, TURN_MILLISECONDS).unref();
  return { seconds: () => (turns * TURN_MILLISECONDS) / 1000 };
}

const TURN_MILLISECONDS = 10;

const TICKS_PER_SECOND = 100;

/** The processor time of this process's children that have ended, with their own: proc_pid_stat(5), `cutime` and `cstime`. 0 without /proc. */
export function secondsOfChildren(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
