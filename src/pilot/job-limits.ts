import { membersOf, type ProcessTree } from '../payload/process-tree.ts';
import { memoryOf } from '../payload/processes.ts';
import type { PilotJob } from '../protocol/calls/pilot.ts';
import { AttemptFailed } from '../protocol/errors.ts';
import { DISK_POLL_SECONDS, MAX_TIMER_MILLISECONDS, MEMORY_GRACE, MEMORY_POLL_SECONDS } from '../protocol/limits.ts';
import { diskUsage } from './disk-usage.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import type { MemoryCgroup } from './memory-cgroup.ts';

/** The most that a payload may use; 0 for no limit. */
export interface JobLimits {
  walltimeSeconds: number;
  memoryMegabytes: number;
  diskMegabytes: number;
}

/** The lower of what its owner asked for and what the operator allows; memory as PanDA's pilot, twice what was asked for. */
export function limitsOf(
  job: Pick<PilotJob, 'maxWalltime' | 'minRamCount' | 'maxDiskCount'>,
  allowed: Partial<JobLimits>,
): JobLimits {
  return {
    walltimeSeconds: lower(job.maxWalltime, allowed.walltimeSeconds),
    memoryMegabytes: lower((job.minRamCount ?? 0) * MEMORY_GRACE, allowed.memoryMegabytes),
    diskMegabytes: lower(job.maxDiskCount, allowed.diskMegabytes),
  };
}

function lower(asked: number | undefined, allowed: number | undefined): number {
  return asked && allowed ? Math.min(asked, allowed) : asked || allowed || 0;
}

const MEGABYTE = 1024 * 1024;
/** The most of a core that looking may take. */
const SHARE_OF_CORE = 0.01;

/**
 * Watches a payload from its start on. Memory and disk are looked at every few seconds, and less often where looking takes long,
 * so that it costs no more than a hundredth of a core.
 *
 * @param cgroup the payload's own, where it has one: the kernel holds it to the limit at once
 * @param directories their contents count, without files that the payload deleted and no longer uses
 * @param onExceeded told once at most, with the reason
 * @returns to be told when the payload has ended: it may have been the kernel that ended it
 */
export function enforceLimits(
  limits: JobLimits,
  {
    tree,
    cgroup,
    directories,
  }: { tree: ProcessTree; cgroup?: MemoryCgroup | undefined; directories: readonly string[] },
  onExceeded: (failure: AttemptFailed) => void,
): { ended(): void } {
  const { walltimeSeconds, memoryMegabytes, diskMegabytes } = limits;
  const timers = new Set<() => void>();
  const stop = () => {
    for (const cancel of timers) cancel();
  };
  let isTold = false;
  const exceeded = (code: number, reason: string) => {
    stop();
    if (isTold) return;
    isTold = true;
    onExceeded(new AttemptFailed(code, reason));
  };

  const lookAtCgroup = (): boolean => {
    if (!cgroup?.hasKilled()) return false;
    exceeded(
      PILOT_ERRORS.payloadExceedsMemory,
      `the job needed more memory, and the kernel ended a process of it; it may use ${memoryMegabytes} MB`,
    );
    return true;
  };

  if (walltimeSeconds > 0) {
    const reason = `the job ran longer than the ${walltimeSeconds} s it may`;
    const milliseconds = Math.min(walltimeSeconds * 1000, MAX_TIMER_MILLISECONDS);
    const timer = setTimeout(() => exceeded(PILOT_ERRORS.reachedMaxTime, reason), milliseconds);
    timers.add(() => clearTimeout(timer));
  }
  if (memoryMegabytes > 0) {
    timers.add(
      poll(MEMORY_POLL_SECONDS, async () => {
        if (lookAtCgroup()) return;
        const used = Math.ceil(memoryOf(membersOf(tree), memoryMegabytes * MEGABYTE) / MEGABYTE);
        if (used <= memoryMegabytes) return;
        exceeded(
          PILOT_ERRORS.payloadExceedsMemory,
          `the job used ${used} MB of memory; it may use ${memoryMegabytes} MB`,
        );
      }),
    );
  }
  if (diskMegabytes > 0) {
    timers.add(
      poll(DISK_POLL_SECONDS, async () => {
        const used = Math.ceil((await diskUsage(directories)) / MEGABYTE);
        if (used <= diskMegabytes) return;
        exceeded(PILOT_ERRORS.directoryTooLarge, `the job used ${used} MB of disk; it may use ${diskMegabytes} MB`);
      }),
    );
  }
  return {
    ended() {
      stop();
      lookAtCgroup();
    },
  };
}

/** Looks every `seconds` until the returned function is called. */
function poll(seconds: number, look: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const next = (milliseconds: number) => {
    timer = setTimeout(async () => {
      const began = performance.now();
      await look();
      const took = performance.now() - began;
      if (!isOver) next(Math.max(seconds * 1000, took / SHARE_OF_CORE));
    }, milliseconds);
  };
  next(seconds * 1000);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
