import type { ActiveJobs } from '../jobs/queues.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { MAX_BATCH_ID_CHARS, MAX_DIAGNOSIS_CHARS, MAX_WORKER_COUNTS } from '../protocol/limits.ts';
import { resourceTypeOf } from './resource-types.ts';

/** The active jobs of a queue. */
interface QueueJobs {
  queue: string;
  jobs: readonly ActiveJobs[];
}

/** PanDA's statistics have these states of every queue, also where they are 0. */
const ALWAYS_TOLD = { assigned: 0, activated: 0, running: 0 };

/** `{queue: {state: jobs}}`, the answer of `statistics/active_job_stats_by_site`. */
export function jobStatistics(queues: readonly QueueJobs[]): Nested<Nested<number>> {
  return Object.fromEntries(queues.map(({ queue, jobs }) => [queue, countByState(jobs)]));
}

/**
 * `{queue: {resource type: {prodSourceLabel: {state: jobs}}}}`, the answer of `statistics/active_job_detailed_stats_by_site`. A queue
 * without jobs has a kind with zeros: Harvester takes a queue that is left out for one of which nothing is known.
 */
export function detailedJobStatistics(queues: readonly QueueJobs[]): Nested<Nested<Nested<Nested<number>>>> {
  return Object.fromEntries(queues.map(({ queue, jobs }) => [queue, countByKind(jobs.length > 0 ? jobs : [NO_JOBS])]));
}

function countByKind(jobs: readonly ActiveJobs[]): Nested<Nested<Nested<number>>> {
  const typeOf = ({ cores }: ActiveJobs) => resourceTypeOf(cores);
  return nested(jobs, typeOf, (ofType) => nested(ofType, ({ label }) => label, countByState));
}

const NO_JOBS: ActiveJobs = { state: 'activated', cores: 1, label: 'user', jobs: 0 };

function countByState(jobs: readonly ActiveJobs[]): Nested<number> {
  const counts: Nested<number> = { ...ALWAYS_TOLD };
  for (const { state, jobs: count } of jobs) counts[state] = (counts[state] ?? 0) + count;
  return counts;
}

type Nested<T> = Record<string, T>;

/** An object with one field for each group. Users choose labels, and no name of a field is special to it. */
function nested<T, R>(items: readonly T[], nameOf: (item: T) => string, inside: (group: T[]) => R): Nested<R> {
  return Object.fromEntries([...Map.groupBy(items, nameOf)].map(([name, group]) => [name, inside(group)]));
}

/** `{kind of work: {resource type: {state: workers}}}`. */
type WorkerCounts = Nested<Nested<Nested<number>>>;

/** @throws {InvalidArgument} when the text is not such */
export function parseWorkerCounts(text: string): WorkerCounts {
  const wrong = new InvalidArgument(
    "'statistics' must be JSON: a kind of work, a kind of resource, a state, and the number of workers, at most " +
      `${MAX_WORKER_COUNTS} numbers`,
  );
  let room = MAX_WORKER_COUNTS;
  const read = <T>(value: unknown, inside: (value: unknown) => T): Record<string, T> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong;
    const entries = Object.entries(value);
    room -= entries.length;
    if (room < 0 || entries.some(([name]) => !NAME.test(name))) throw wrong;
    return Object.fromEntries(entries.map(([name, one]) => [name, inside(one)]));
  };
  const count = (value: unknown): number => {
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong;
    return value as number;
  };
  const kinds = read(readJson(text, wrong), (types) => read(types, (states) => read(states, count)));
  // As PanDA's server does.
  for (const types of Object.values(kinds)) delete types['Undefined'];
  return kinds;
}

const NAME = /^[\w.-]{1,64}$/;

function readJson(text: string, wrong: InvalidArgument): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrong;
  }
}

/** What Harvesters said of their workers, as `harvester/get_worker_statistics` tells it: `{queue: {harvester: counts}}`. */
export function workerStatistics(
  rows: readonly { queue: string; harvester: string; statistics: string }[],
): Nested<Nested<WorkerCounts>> {
  return nested(
    rows,
    ({ queue }) => queue,
    (ofQueue) =>
      nested(
        ofQueue,
        ({ harvester }) => harvester,
        ([row]) => JSON.parse(row?.statistics ?? '{}') as WorkerCounts,
      ),
  );
}

/** A worker, which is a batch job with a pilot, that Harvester says has ended. */
export interface EndedWorker {
  queue: string;
  batchId: string;
  /** Why, in words that the owner of its job may read. */
  reason: string;
}

const ENDED: readonly unknown[] = ['finished', 'failed', 'cancelled', 'missed'];

/** Those of `harvester/update_workers` that have ended and say in which queue and batch job they were. */
export function endedWorkers(workers: readonly object[]): EndedWorker[] {
  return workers.flatMap((worker) => {
    const { status, computingSite: queue, batchID, diagMessage } = worker as Record<string, unknown>;
    if (!ENDED.includes(status) || typeof queue !== 'string') return [];
    const batchId = typeof batchID === 'number' ? String(batchID) : batchID;
    if (typeof batchId !== 'string' || batchId === '' || batchId.length > MAX_BATCH_ID_CHARS) return [];
    const said =
      typeof diagMessage === 'string' ? diagMessage.slice(0, MAX_DIAGNOSIS_CHARS).replace(/\s+/g, ' ').trim() : '';
    const why = said === '' ? '' : `: ${said}`;
    return [{ queue, batchId, reason: `Harvester calls it ${status}${why}`.slice(0, MAX_DIAGNOSIS_CHARS / 2) }];
  });
}
