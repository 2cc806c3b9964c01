import type { PilotJob } from '../protocol/calls/pilot.ts';
import type { PilotServer } from './reporter.ts';
import { backoffSeconds, pause } from './retry.ts';

/** Asks the server every few seconds whether jobs that run here are to be killed: one question for all of a pilot's jobs. */
export interface KillWatch {
  /** @returns a function that stops watching this job */
  watch(job: Pick<PilotJob, 'PandaID' | 'attemptNr'>, onKill: () => void): () => void;
  close(): void;
}

/** A server that takes long to answer is asked less often: it answers one pilot for at most this part of the time. */
const SHARE_OF_TIME = 0.02;
/** Each time comes up to a quarter sooner or later, so that the pilots of a site spread out. */
const SPREAD = 0.25;

/**
 * Heartbeats tell of kills as well, but are writes, and so are far apart. What goes wrong here is passed over: the heartbeats
 * say so.
 */
export function createKillWatch({
  server,
  everySeconds,
  random = Math.random,
}: {
  server: Pick<PilotServer, 'getPilotJobStatus'>;
  everySeconds: number;
  random?: () => number;
}): KillWatch {
  const watched = new Map<number, { attempt: number; onKill: () => void }>();
  const closed = new AbortController();
  let isAsking = false;

  async function ask(): Promise<void> {
    let failures = 0;
    let seconds = everySeconds;
    while (watched.size > 0 && !closed.signal.aborted) {
      await pause(seconds * (1 + SPREAD * (2 * random() - 1)), closed.signal);
      if (watched.size === 0 || closed.signal.aborted) break;
      const began = performance.now();
      try {
        for (const { job_id, attempt_number, command } of await server.getPilotJobStatus([...watched.keys()])) {
          const job = watched.get(job_id);
          if (command === 'tobekilled' && job?.attempt === attempt_number) job.onKill();
        }
        failures = 0;
        seconds = Math.max(everySeconds, (performance.now() - began) / 1000 / SHARE_OF_TIME);
      } catch {
        await pause(backoffSeconds(failures++), closed.signal);
      }
    }
    isAsking = false;
  }

  return {
    watch({ PandaID, attemptNr }, onKill) {
      watched.set(PandaID, { attempt: attemptNr, onKill });
      if (!isAsking) {
        isAsking = true;
        void ask();
      }
      return () => void watched.delete(PandaID);
    },
    close: () => closed.abort(),
  };
}
