import { Type } from 'typebox';
import { MAX_REPORT_BYTES, MAX_REPORTED_WORKERS, WORKER_STATISTICS_SECONDS } from '../limits.ts';
import { call, Id, MAX_WHOLE, Nothing, orNull } from './call.ts';

/** The calls of PanDA's Harvester, which starts pilots of queues in batch systems: it is a launcher here. */

const HarvesterId = Type.String({
  pattern: '^[\\w.:@-]{1,64}$',
  description: 'the name that a Harvester has in its own configuration',
  examples: ['harvester_slurm'],
});
const Timeout = Type.Optional(
  orNull(Type.Integer({ minimum: -MAX_WHOLE, maximum: MAX_WHOLE }), { description: 'not used' }),
);
const Anything = Type.Object({}, { additionalProperties: true });

export const heartbeat = call({
  path: 'harvester/heartbeat',
  http: 'POST',
  panda: true,
  summary: 'Tells that a Harvester runs. Nothing of it is kept.',
  parameters: Type.Object({
    harvester_id: HarvesterId,
    data: orNull(Anything, { description: 'its release and when it started; not used', examples: [{}] }),
  }),
  answer: Nothing,
});

export const acquireCommands = call({
  path: 'harvester/acquire_commands',
  http: 'POST',
  panda: true,
  summary: 'Commands for a Harvester. There are none: it decides by the statistics how many pilots it starts.',
  parameters: Type.Object({
    harvester_id: HarvesterId,
    n_commands: Type.Integer({ minimum: 0, maximum: MAX_WHOLE, description: 'how many commands at most' }),
    timeout: Timeout,
  }),
  answer: Type.Array(Type.Null(), { maxItems: 0, description: 'none' }),
});

export const acknowledgeCommands = call({
  path: 'harvester/acknowledge_commands',
  http: 'POST',
  panda: true,
  summary: 'Tells that commands were received. Without effect, as there are none.',
  parameters: Type.Object({
    command_ids: Type.Array(Id, { maxItems: 1000, description: 'the commands' }),
    timeout: Timeout,
  }),
  answer: Nothing,
});

export const reportWorkerStatistics = call({
  path: 'harvester/report_worker_statistics',
  http: 'POST',
  panda: true,
  summary: 'Tells how many workers a Harvester has in a queue. It replaces what the Harvester told before.',
  parameters: Type.Object({
    harvester_id: HarvesterId,
    panda_queue: Type.String({ description: "a queue of the launcher's", examples: ['SITE_A'] }),
    statistics: Type.String({
      maxLength: 32_768,
      description: 'JSON: a kind of work, a kind of resource, a state, and the number of workers',
      examples: ['{"user": {"SCORE": {"running": 1, "submitted": 1}}}'],
    }),
  }),
  answer: Nothing,
});

export const getWorkerStatistics = call({
  path: 'harvester/get_worker_statistics',
  http: 'GET',
  panda: true,
  summary: "The workers of a launcher's queues, as Harvesters told them.",
  parameters: Type.Object({}),
  answer: Type.Object(
    {},
    {
      additionalProperties: true,
      description: `\`{queue: {Harvester: {kind of work: {kind of resource: {state: workers}}}}}\`, those of the last ${WORKER_STATISTICS_SECONDS / 3600} hours`,
      examples: [{ SITE_A: { harvester_slurm: { managed: { SCORE: { running: 1 } } } } }],
    },
  ),
});

export const addDialogs = call({
  path: 'harvester/add_dialogs',
  http: 'POST',
  maxBodyBytes: MAX_REPORT_BYTES,
  panda: true,
  summary: 'Takes the messages of a Harvester, which stand in its own log. Nothing of them is kept.',
  parameters: Type.Object({
    harvester_id: HarvesterId,
    dialogs: Type.Array(Anything, { maxItems: 1000, description: 'the messages; not used' }),
  }),
  answer: Nothing,
});

export const updateWorkers = call({
  path: 'harvester/update_workers',
  http: 'POST',
  maxBodyBytes: MAX_REPORT_BYTES,
  panda: true,
  summary:
    'Tells what became of workers. The end of one (`finished`, `failed`, `cancelled`, `missed`) is what `launcher/report_end` is of its ' +
    '`batchID`; nothing else of it is kept.',
  parameters: Type.Object({
    harvester_id: HarvesterId,
    workers: Type.Array(Anything, {
      maxItems: MAX_REPORTED_WORKERS,
      description: 'each with `computingSite`, `batchID`, `status` and, for owners of jobs, `diagMessage`',
      examples: [[{ workerID: 1, batchID: '4711', computingSite: 'SITE_A', status: 'running' }]],
    }),
  }),
  answer: Type.Array(Type.Boolean(), { description: 'true for each of them' }),
});
