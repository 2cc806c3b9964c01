import { setTimeout as pause } from 'node:timers/promises';
import type { Counts } from '../../metrics/added-up.ts';
import { METRICS_OF_WORKER_MILLISECONDS } from '../../protocol/limits.ts';
import { askWorker, type Worker } from './starting.ts';

/** What the workers of a server have counted since it started. */
export interface WorkerCounts {
  /** The counts of these, and of those that have ended. Of one that is slow the counts of the time before are told. */
  of(workers: readonly Worker[]): Promise<Counts[]>;
  /** A count that went down would look to Prometheus as if all of it had come anew: those of one that has ended are kept. */
  keep(counts: Counts): void;
}

/** Of a process that has ended there is no state. */
const RISING = new Set(['counter', 'histogram']);

/** @param running those that have not ended, by number */
export function createWorkerCounts(running: ReadonlyMap<number, Worker>): WorkerCounts {
  let ended: Counts[] = [];
  let adding: Promise<void> = Promise.resolve();

  return {
    async of(workers) {
      const all = Promise.all(workers.map((worker) => askWorker(worker, { type: 'count' }, 'counts')));
      const late = new AbortController();
      const limit = pause(METRICS_OF_WORKER_MILLISECONDS, undefined, { signal: late.signal }).catch(() => {});
      await Promise.race([all, limit]);
      late.abort();
      const there = workers.filter((worker) => running.get(worker.number) === worker);
      return [...there.map(({ counts }) => counts).filter((counts) => counts !== undefined), ...ended];
    },
    keep(counts) {
      // They are told at once, and added to the others later.
      ended = [...ended, counts.filter(({ type }) => RISING.has(String(type)))];
      adding = adding.then(async () => {
        const { sumOf } = await import('../../metrics/added-up.ts');
        const added = ended.length;
        const sum = await sumOf(ended);
        ended = [sum, ...ended.slice(added)];
      });
    },
  };
}
