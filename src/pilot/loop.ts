import type { PilotJob } from '../protocol/calls/pilot.ts';
import { Unavailable } from '../protocol/errors.ts';
import { MAX_IDLE_POLL_SECONDS } from '../protocol/limits.ts';
import { newRecipient, type Recipient } from '../sealing/delivery.ts';
import { type JobPolicy, runAttempt } from './attempt.ts';
import type { Isolation } from './isolation.ts';
import { createKillWatch, type KillWatch } from './kill-watch.ts';
import { openPilotHome, type PilotHome, removeLeftovers } from './pilot-home.ts';
import { readyJob } from './ready-job.ts';
import type { PilotServer } from './reporter.ts';
import { backoffSeconds, pause } from './retry.ts';
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
    /** The key of its site, for jobs whose secrets are sealed by their owners. */
    siteKey?: NodeSiteKey | undefined;
    /** The pilot's own environment. */
    environment: Readonly<Record<string, string | undefined>>;
  };
  /** The operator's rules for the pilot and its jobs. */
  policy: JobPolicy & {
    /** Jobs to run, then the end; without limit when left out. */
    jobs?: number | undefined;
    /** Jobs at the same time. */
    slots: number;
    /** The end when no job was there for this long; never when left out. */
    idleExitSeconds?: number | undefined;
    killPollSeconds: number;
  };
  /** Aborted, with an `AttemptFailed`, when the pilot is told to stop: running jobs are ended and reported then. */
  stopping: AbortSignal;
  /** For the operator, one line each; without names or values of secrets. */
  say: (text: string) => void;
}

const RENEW_SECONDS = 300;

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
  const renewing = setInterval(() => void home.renew(), RENEW_SECONDS * 1000);
  try {
    const removed = await removeLeftovers(folder, secretsFolder, (error) => say(`cleaning up: ${error.message}`));
    if (removed > 0) say(`cleaned up after ${removed} pilots that were killed`);
    const quota = { left: policy.jobs ?? Number.POSITIVE_INFINITY, done: 0 };
    const slots = await Promise.allSettled(
      Array.from({ length: policy.slots }, () => runSlot(options, { home, killWatch }, quota)),
    );
    const failed = slots.find((slot) => slot.status === 'rejected');
    if (failed) throw failed.reason;
    return quota.done;
  } finally {
    clearInterval(renewing);
    killWatch.close();
    await home.close();
  }
}

/** One job after another. */
async function runSlot(
  options: PilotOptions,
  { home, killWatch }: { home: PilotHome; killWatch: KillWatch },
  quota: { left: number; done: number },
): Promise<void> {
  const { server, node, policy, stopping, say } = options;
  while (quota.left > 0 && !stopping.aborted) {
    quota.left -= 1;
    const acquired = await waitForJob(options);
    if (!acquired) return;
    const { job, recipient } = acquired;
    say(`job ${job.PandaID}: attempt ${job.attemptNr} starts`);
    const { failure } = await runAttempt({
      server,
      job,
      makeReady: () => readyJob({ job, recipient, pilotId: options.pilotId, siteKey: node.siteKey }),
      node: { ...node, home },
      policy,
      stopping,
      killWatch,
      say,
    });
    say(`job ${job.PandaID}: ${failure ? `failed: ${failure.message}` : 'finished'}`);
    quota.done += 1;
  }
}

/** @returns `undefined` when the pilot is to end instead */
async function waitForJob(options: PilotOptions): Promise<{ job: PilotJob; recipient: Recipient } | undefined> {
  const { server, node, policy, stopping } = options;
  const giveUpAt = Date.now() + (policy.idleExitSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  let unanswered = 0;
  for (let asked = 0; !stopping.aborted; asked++) {
    let seconds = backoffSeconds(asked, MAX_IDLE_POLL_SECONDS);
    try {
      // A key pair for this one request: its private half is forgotten with the job.
      const recipient = await newRecipient();
      const [job] = await server.acquireJobs({
        site_name: node.queue,
        node: node.name,
        n_jobs: 1,
        sealing_keys: recipient.offers.map((offer) => ({ ...offer })),
        ...((await node.siteKey?.isValid()) && { sealed: true }),
      });
      if (job) return { job, recipient };
      unanswered = 0;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      seconds = backoffSeconds(unanswered++);
    }
    if (Date.now() + seconds * 1000 > giveUpAt) return undefined;
    await pause(seconds, stopping);
  }
  return undefined;
}
