import type { Caller } from '../identity/caller.ts';
import { launcherIdOf } from '../identity/launchers.ts';
import { activeJobs } from '../jobs/queues.ts';
import { QuotaExceeded } from '../protocol/errors.ts';
import { MAX_HARVESTERS, WORKER_STATISTICS_SECONDS } from '../protocol/limits.ts';
import type { Harvesting } from '../server/routes/harvester.ts';
import { listUnendedBatchesAmong } from '../store/pilots.ts';
import {
  countHarvesters,
  deleteWorkerStatisticsBefore,
  readWorkerStatistics,
  writeWorkerStatistics,
} from '../store/worker-statistics.ts';
import { endBatch, type LaunchingParts, ownQueue, ownQueues } from './launching.ts';

/** The acts of a Harvester, which is a launcher: of queues of others it learns and changes nothing. */
export function createHarvesting(
  parts: Pick<LaunchingParts, 'store' | 'jobs' | 'clock'>,
  launcher: Caller,
): Harvesting {
  const { store, clock } = parts;
  const launcherId = launcherIdOf(launcher);
  const earliest = () => clock() - WORKER_STATISTICS_SECONDS * 1000;

  return {
    async activeJobs() {
      const queues = await ownQueues(store, launcher);
      return Promise.all(queues.map(async (queue) => ({ queue: queue.name, jobs: await activeJobs(store, queue) })));
    },

    async workers() {
      const names = (await ownQueues(store, launcher)).map(({ name }) => name);
      const rows = await readWorkerStatistics(store.db, names, earliest());
      return rows.map(({ harvester_id: harvester, ...row }) => ({ ...row, harvester }));
    },

    async noteWorkers({ queue, harvester, statistics }) {
      await ownQueue(store, launcher, queue);
      const row = { queue, launcher_id: launcherId, harvester_id: harvester, statistics, reported_at: clock() };
      await store.write(async (tx) => {
        await deleteWorkerStatisticsBefore(tx, queue, earliest());
        await writeWorkerStatistics(tx, row);
        if ((await countHarvesters(tx, queue, launcherId)) <= MAX_HARVESTERS) return;
        throw new QuotaExceeded(`a launcher's token is for at most ${MAX_HARVESTERS} Harvesters: add another launcher`);
      });
    },

    async endWorkers(workers) {
      const own = new Set((await ownQueues(store, launcher)).map(({ name }) => name));
      const ended = new Map(
        workers.filter(({ queue }) => own.has(queue)).map((worker) => [`${worker.queue} ${worker.batchId}`, worker]),
      );
      // Most have had no pilot of ours, or are told of again.
      const batchIds = [...new Set([...ended.values()].map(({ batchId }) => batchId))];
      for (const { queue, batch_id } of await listUnendedBatchesAmong(store.db, launcherId, batchIds)) {
        const worker = ended.get(`${queue} ${batch_id}`);
        if (worker) await endBatch(parts, { launcherId, queue, batchId: worker.batchId }, worker.reason);
      }
    },
  };
}
