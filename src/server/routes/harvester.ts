import type { FastifyInstance } from 'fastify';
import type { Caller } from '../../identity/caller.ts';
import type { ActiveJobs } from '../../jobs/queues.ts';
import {
  detailedJobStatistics,
  type EndedWorker,
  endedWorkers,
  jobStatistics,
  parseWorkerCounts,
  workerStatistics,
} from '../../panda/harvester.ts';
import { RESOURCE_TYPES } from '../../panda/resource-types.ts';
import * as calls from '../../protocol/calls/harvester.ts';
import * as metaconfig from '../../protocol/calls/metaconfig.ts';
import * as statistics from '../../protocol/calls/statistics.ts';
import { succeeded } from '../../protocol/envelope.ts';
import { callerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** The acts of a Harvester on the queues of its token. */
export interface Harvesting {
  /** The jobs of each of its queues that have not ended. */
  activeJobs(): Promise<{ queue: string; jobs: ActiveJobs[] }[]>;
  /** What Harvesters said of their workers there, `statistics` as JSON. */
  workers(): Promise<{ queue: string; harvester: string; statistics: string }[]>;
  /** @throws {Forbidden} when the queue is not its own @throws {QuotaExceeded} when it has too many names */
  noteWorkers(report: { queue: string; harvester: string; statistics: string }): Promise<void>;
  /** Ends what these had. One of a queue that is not its own is passed over. */
  endWorkers(workers: readonly EndedWorker[]): Promise<void>;
}

export type HarvestingBy = (launcher: Caller) => Harvesting;

/** The calls of PanDA's Harvester, for launchers. */
export function harvesterRoutes(app: FastifyInstance, harvestingBy: HarvestingBy): void {
  route(app, statistics.activeJobStatsBySite, async (_args, request) =>
    succeeded(jobStatistics(await harvestingBy(callerOf(request)).activeJobs())),
  );
  route(app, statistics.activeJobDetailedStatsBySite, async (_args, request) =>
    succeeded(detailedJobStatistics(await harvestingBy(callerOf(request)).activeJobs())),
  );
  route(app, metaconfig.getResourceTypes, async () => succeeded([...RESOURCE_TYPES]));
  route(app, calls.getWorkerStatistics, async (_args, request) =>
    succeeded(workerStatistics(await harvestingBy(callerOf(request)).workers())),
  );
  route(
    app,
    calls.reportWorkerStatistics,
    async ({ harvester_id: harvester, panda_queue: queue, ...args }, request) => {
      const counts = JSON.stringify(parseWorkerCounts(args.statistics));
      await harvestingBy(callerOf(request)).noteWorkers({ queue, harvester, statistics: counts });
      return succeeded(null, 'OK');
    },
  );
  route(app, calls.updateWorkers, async ({ workers }, request) => {
    await harvestingBy(callerOf(request)).endWorkers(endedWorkers(workers));
    return succeeded(workers.map(() => true));
  });
  route(app, calls.acquireCommands, async () => succeeded([]));
  // A Harvester's words about itself are not kept; it must not fail on saying them.
  for (const call of [calls.heartbeat, calls.addDialogs, calls.acknowledgeCommands]) {
    route(app, call, async () => succeeded(null));
  }
}
