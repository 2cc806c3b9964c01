import { setTimeout as delay } from 'node:timers/promises';
import { hasVariable, livingProcesses } from './processes.ts';

/**
 * The variable that every process of a payload inherits. It finds those that left the process group, the session and their
 * parent (a double fork with setsid). A secret never has a name that starts with `PANDA_`, so that it cannot be replaced.
 */
export const MARK_VARIABLE = 'PANDA_PILOT_MARK';

/** The marks by which a payload's processes are known. */
export interface ProcessTree {
  /** The process that was started, leader of its own session; `undefined` when another pilot started it. */
  leader?: number;
  /** The leader only keeps a PID namespace for the others: everything in it ends at once when the leader does. */
  isolated?: boolean;
  /** The beginning of the value of {@link MARK_VARIABLE}. */
  mark: string;
}

const POLL_MILLISECONDS = 25;
const KILL_SECONDS = 5;

/**
 * Ends every process of the tree: asks (TERM), waits for up to `graceSeconds`, then kills. Of a tree that forks faster
 * than it is read, each process is stopped before it is killed, so that it cannot make more.
 *
 * @returns true when all of them are gone
 */
export async function endProcesses(tree: ProcessTree, graceSeconds: number): Promise<boolean> {
  if (membersOf(tree).length === 0) return true;
  const keeper = tree.isolated ? tree.leader : undefined;
  // It would end with the first process in its namespace, and take the time from the others that they have to tidy up.
  if (keeper !== undefined) signal(keeper, 'SIGSTOP');
  const asked = membersOf(tree).filter((pid) => pid !== keeper);
  for (const pid of asked) {
    signal(pid, 'SIGTERM');
    signal(pid, 'SIGCONT');
  }
  const ended = await isGone(tree, graceSeconds, keeper);
  if (keeper !== undefined) signal(keeper, 'SIGCONT');
  if (ended) return true;
  const deadline = Date.now() + KILL_SECONDS * 1000;
  while (Date.now() < deadline) {
    for (const pid of stopAll(tree)) signal(pid, 'SIGKILL');
    if (await isGone(tree, 0.2)) return true;
  }
  return membersOf(tree).length === 0;
}

async function isGone(tree: ProcessTree, seconds: number, keeper?: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (membersOf(tree).some((pid) => pid !== keeper)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MILLISECONDS);
  }
  return true;
}

/** Sweeps until a sweep finds no process that is not stopped yet. */
function stopAll(tree: ProcessTree): Set<number> {
  const stopped = new Set<number>();
  for (let sweeps = 0; sweeps < 100; sweeps++) {
    const fresh = membersOf(tree).filter((pid) => !stopped.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      signal(pid, 'SIGSTOP');
      stopped.add(pid);
    }
  }
  return stopped;
}

/** Pids in the leader's session or group, with the mark, or descended from one of these; a negative one is a whole group. */
export function membersOf({ leader, mark }: ProcessTree): number[] {
  const processes = livingProcesses();
  if (processes.length === 0) return leader !== undefined && signal(-leader, 0) ? [-leader] : [];
  const variable = `${MARK_VARIABLE}=${mark}`;
  const members = new Set<number>();
  for (const { pid, group, session } of processes) {
    if (pid === process.pid) continue;
    if (group === leader || session === leader || hasVariable(pid, variable)) members.add(pid);
  }
  for (let size = -1; size !== members.size; ) {
    size = members.size;
    for (const { pid, parent } of processes) if (members.has(parent)) members.add(pid);
  }
  return [...members];
}

/** @returns true when there was such a process of ours */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
