import type { PilotJob } from '../protocol/calls/pilot.ts';
import { Unavailable } from '../protocol/errors.ts';
import { MAX_IDLE_POLL_SECONDS } from '../protocol/limits.ts';
import { newRecipient, type Recipient } from '../sealing/delivery.ts';
import { type Allocation, type Share, secondsLeft } from './allocation.ts';
import type { PilotServer } from './reporter.ts';
import { backoffSeconds, pause } from './retry.ts';
import type { NodeSiteKey } from './site-key.ts';

/** A job that the server gave, and what opens its secrets. */
export interface AcquiredJob {
  job: PilotJob;
  /** The same for all jobs of one answer. */
  recipient: Recipient;
}

/** Gets jobs for the slots of a pilot: one request asks for as many as there are slots that wait. */
export interface JobSource {
  /** @returns the next job, `undefined` when the slot is to end instead @throws when the server refuses to give this pilot jobs */
  next(): Promise<AcquiredJob | undefined>;
}

/** The parts of `PilotOptions` that say which jobs a pilot takes, and how long it waits for them. */
export interface JobSourceOptions {
  server: Pick<PilotServer, 'acquireJobs'>;
  node: { name: string; queue: string; siteKey?: NodeSiteKey | undefined };
  policy: { idleExitSeconds?: number | undefined };
  allocation?: Allocation | undefined;
  stopping: AbortSignal;
  say: (text: string) => void;
}

interface WaitingSlot {
  giveUpAt: number;
  end(acquired: AcquiredJob | undefined): void;
  fail(error: unknown): void;
}

/** @param share of each slot, where there are several */
export function createJobSource(options: JobSourceOptions, share: Share | undefined): JobSource {
  const { server, node, policy, stopping, allocation, say } = options;
  const waiting: WaitingSlot[] = [];
  let asking = false;
  let newcomer = new AbortController();

  async function askFor(count: number, left: number | undefined): Promise<AcquiredJob[]> {
    // A key pair for this one request: its private half is forgotten with the jobs that it brings.
    const recipient = await newRecipient();
    const jobs = await server.acquireJobs({
      site_name: node.queue,
      node: node.name,
      n_jobs: count,
      ...roomFor(left, share),
      sealing_keys: recipient.offers,
      ...((await node.siteKey?.isValid()) && { sealed: true }),
    });
    return jobs.map((job) => ({ job, recipient }));
  }

  /** Asks until no slot waits. */
  async function ask(): Promise<void> {
    let inVain = 0;
    let unanswered = 0;
    for (;;) {
      // Slots that become free together ask together.
      await undefined;
      if (stopping.aborted) endAll();
      if (waiting.length === 0) return;
      const left = allocation && secondsLeft(allocation);
      if (left === 0) {
        say('the time of this node is nearly up: it takes no more jobs');
        return endAll();
      }
      newcomer = new AbortController();
      const count = waiting.length;
      let seconds: number;
      try {
        const acquired = await askFor(count, left);
        for (const one of acquired) waiting.shift()?.end(one);
        unanswered = 0;
        if (acquired.length >= count) continue;
        if (acquired.length > 0) inVain = 0;
        seconds = backoffSeconds(inVain++, MAX_IDLE_POLL_SECONDS);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        seconds = backoffSeconds(unanswered++);
      }
      const pauseEnd = Date.now() + seconds * 1000;
      for (const slot of waiting.filter(({ giveUpAt }) => pauseEnd > giveUpAt)) {
        waiting.splice(waiting.indexOf(slot), 1);
        slot.end(undefined);
      }
      if (waiting.length > 0) await pause(seconds, AbortSignal.any([stopping, newcomer.signal]));
      if (newcomer.signal.aborted) inVain = 0;
    }
  }

  function endAll(): void {
    for (const slot of waiting.splice(0)) slot.end(undefined);
  }

  async function askWhileAnyWaits(): Promise<void> {
    if (asking) return newcomer.abort();
    asking = true;
    try {
      // A slot may have come while it ended.
      do await ask();
      while (waiting.length > 0);
    } catch (error) {
      for (const slot of waiting.splice(0)) slot.fail(error);
    } finally {
      asking = false;
    }
  }

  return {
    next: () =>
      new Promise((end, fail) => {
        const giveUpAt = Date.now() + (policy.idleExitSeconds ?? Number.POSITIVE_INFINITY) * 1000;
        waiting.push({ giveUpAt, end, fail });
        askWhileAnyWaits();
      }),
  };
}

/** The room for a job that begins now, as the server is asked for one. */
function roomFor(seconds: number | undefined, share: Share | undefined) {
  return {
    ...(seconds !== undefined && { remaining_time: seconds }),
    ...(share?.megabytes !== undefined && { memory: share.megabytes }),
    ...(share && { cores: Math.max(1, share.cores.length) }),
  };
}
