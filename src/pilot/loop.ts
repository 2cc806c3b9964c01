import { AttemptFailed } from '../protocol/errors.ts';
import { MAX_TIMER_MILLISECONDS, WHOLE_ALLOCATION_PART } from '../protocol/limits.ts';
import { type Allocation, type Share, sharesOf } from './allocation.ts';
import { type JobPolicy, runAttempt } from './attempt.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import type { Isolation } from './isolation.ts';
import { createJobSource, type JobSource } from './job-source.ts';
import { createKillWatch, type KillWatch } from './kill-watch.ts';
import type { MemoryCgroups } from './memory-cgroup.ts';
import { openPilotHome, type PilotHome, removeLeftovers } from './pilot-home.ts';
import { readyJob } from './ready-job.ts';
import type { PilotServer } from './reporter.ts';
import type { NodeSiteKey } from './site-key.ts';

export interface PilotOptions {
  server: PilotServer;
  /** The pilot as the server knows it. */
  pilotId: string;
  node: {
    name: string;
    queue: string;
    /** The folder that the pilots of this user on this node share. */
    folder: string;
    /** Holds secrets' files when payloads are not isolated; `undefined`: they are in the working directories. */
    secretsFolder: string | undefined;
    /** `undefined`: payloads run beside everything else on the node. */
    isolation: Isolation | undefined;
    /** `undefined`: the memory of payloads is only looked at. */
    memoryCgroups?: MemoryCgroups | undefined;
    /** The key of its site, for jobs whose secrets are sealed by their owners. */
    siteKey?: NodeSiteKey | undefined;
    /** The pilot's own environment. */
    environment: Readonly<Record<string, string | undefined>>;
  };
  /** The operator's rules for the pilot and its jobs. */
  policy: JobPolicy & {
    /** Jobs to run, then the end; without limit when left out. */
    jobs?: number | undefined;
    /** Jobs at the same time: `auto` for one on each core. */
    slots: number | 'auto';
    /** The end when no job was there for this long; never when left out. */
    idleExitSeconds?: number | undefined;
    killPollSeconds: number;
  };
  /** What the pilot has of its node; everything, for ever, when left out. */
  allocation?: Allocation;
  /** Aborted, with an `AttemptFailed`, when the pilot is told to stop: running jobs are ended and reported then. */
  stopping: AbortSignal;
  /** For the operator, one line each; without names or values of secrets. */
  say: (text: string) => void;
}

/**
 * A pilot's life: cleans up after pilots that were killed, then runs jobs until there were enough of them, none was there
 * for too long, or it is told to stop.
 *
 * @returns the number of jobs that it ran
 * @throws when the server refuses to give this pilot jobs, after the jobs that still run
 */
export async function runPilot(options: PilotOptions): Promise<number> {
  const { node, policy, say } = options;
  const { folder, secretsFolder } = node;
  const home = await openPilotHome(folder, { secretsFolder, isolated: node.isolation !== undefined });
  const killWatch = createKillWatch({ server: options.server, everySeconds: policy.killPollSeconds });
  try {
    const removed = await removeLeftovers(folder, secretsFolder, (error) => say(`cleaning up: ${error.message}`));
    if (removed > 0) say(`cleaned up after ${removed} pilots that were killed`);
    const quota = { left: policy.jobs ?? Number.POSITIVE_INFINITY, done: 0 };
    const shares = slotsOf(options);
    const source = createJobSource(options, shares[0]);
    const slots = await Promise.allSettled(
      shares.map((share) => runSlot(options, { home, killWatch, source, share }, quota)),
    );
    const failed = slots.find((slot) => slot.status === 'rejected');
    if (failed) throw failed.reason;
    return quota.done;
  } finally {
    killWatch.close();
    await home.close();
  }
}

/** A slot for each job that may run at the same time, with its share where there are several. */
function slotsOf({ allocation, policy }: PilotOptions): (Share | undefined)[] {
  const count = policy.slots === 'auto' ? (allocation?.cores.length ?? 1) : policy.slots;
  return allocation && count > 1 ? sharesOf(allocation, count) : Array(count).fill(undefined);
}

/** One job after another. */
async function runSlot(
  options: PilotOptions,
  {
    home,
    killWatch,
    source,
    share,
  }: { home: PilotHome; killWatch: KillWatch; source: JobSource; share: Share | undefined },
  quota: { left: number; done: number },
): Promise<void> {
  const { server, node, stopping, say } = options;
  const policy = withShare(options.policy, share);
  while (quota.left > 0 && !stopping.aborted) {
    quota.left -= 1;
    const acquired = await source.next();
    if (!acquired) return;
    const { job, recipient } = acquired;
    say(`job ${job.PandaID}: attempt ${job.attemptNr} starts`);
    const end = allocationEnd(options);
    const { failure } = await runAttempt({
      server,
      job,
      makeReady: () => readyJob({ job, recipient, pilotId: options.pilotId, siteKey: node.siteKey }),
      node: { ...node, home },
      policy,
      cores: share?.cores,
      stopping: end ? AbortSignal.any([stopping, end.signal]) : stopping,
      killWatch,
      say,
    });
    end?.dismiss();
    say(`job ${job.PandaID}: ${failure ? `failed: ${failure.message}` : 'finished'}`);
    quota.done += 1;
  }
}

/** A job beside others uses no more memory than its share. */
function withShare(policy: JobPolicy, share: Share | undefined): JobPolicy {
  const { limits } = policy;
  const own = share?.megabytes;
  if (own === undefined) return policy;
  const memoryMegabytes = limits.memoryMegabytes ? Math.min(limits.memoryMegabytes, own) : own;
  return { ...policy, limits: { ...limits, memoryMegabytes } };
}

/** Ends the job that begins now when the time of the node is up, and gives it back: unless it had nearly all of that time. */
function allocationEnd({ allocation }: PilotOptions): { signal: AbortSignal; dismiss(): void } | undefined {
  if (allocation?.stopsAt === undefined) return undefined;
  const { startedAt, stopsAt } = allocation;
  const milliseconds = Math.max(0, stopsAt - Date.now());
  if (milliseconds > MAX_TIMER_MILLISECONDS) return undefined;
  const isGivenBack = milliseconds < WHOLE_ALLOCATION_PART * (stopsAt - startedAt);
  const ending = new AbortController();
  const end = () => {
    const reason = `the time of its node was up: it had ${Math.round(milliseconds / 1000)} s there`;
    ending.abort(new AttemptFailed(PILOT_ERRORS.reachedMaxTime, reason, { isGivenBack }));
  };
  const timer = setTimeout(end, milliseconds);
  return { signal: ending.signal, dismiss: () => clearTimeout(timer) };
}
