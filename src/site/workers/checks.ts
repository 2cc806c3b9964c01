import type { Logger } from 'pino';
import {
  MAX_FIRST_START_SILENCES,
  MAX_START_SILENCES,
  MAX_WORKER_SILENCES,
  WORKER_CHECK_SECONDS,
} from '../../protocol/limits.ts';
import { askWorker, type Worker } from './starting.ts';

/** Finds workers that stand still. */
export interface Checks {
  /** @returns when the worker answers, or has ended */
  ping(worker: Worker): Promise<void>;
  stop(): void;
}

/**
 * Asks each worker every `WORKER_CHECK_SECONDS` if it is there. One that answers nothing for `MAX_WORKER_SILENCES` checks is killed: it may have the turn to
 * write, and others wait for it. One that starts has longer.
 *
 * @param hasAnyServed false while the server starts
 */
export function checkWorkers({
  workers,
  logger,
  hasAnyServed,
}: {
  workers: ReadonlyMap<number, Worker>;
  logger: Logger;
  hasAnyServed(): boolean;
}): Checks {
  const timer = setInterval(check, WORKER_CHECK_SECONDS * 1000).unref();

  /** Checks are counted, and no time: after a pause of the whole machine all have time to answer. */
  function check(): void {
    for (const worker of workers.values()) {
      if (worker.ping) worker.silences += 1;
      else void ping(worker);
      if (worker.hasHung || worker.silences < mostSilencesOf(worker)) continue;
      worker.hasHung = true;
      const ofIt = { part: 'workers', worker: worker.number, pid: worker.child.pid };
      if (worker.isReady) logger.error(ofIt, 'a worker does not answer, and is killed');
      else logger.error(ofIt, 'a worker hangs while it starts, and is killed');
      worker.child.kill('SIGKILL');
    }
  }

  function mostSilencesOf({ isReady }: Worker): number {
    if (isReady) return MAX_WORKER_SILENCES;
    // The first of all may make the tables of a newer release, and SQLite lets it answer nothing meanwhile.
    return hasAnyServed() ? MAX_START_SILENCES : MAX_FIRST_START_SILENCES;
  }

  return { ping, stop: () => clearInterval(timer) };
}

function ping(worker: Worker): Promise<void> {
  worker.ping ??= askWorker(worker, { type: 'ping' }, 'pong').then(() => {
    worker.ping = undefined;
    worker.silences = 0;
  });
  return worker.ping;
}
