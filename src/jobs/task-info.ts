import { NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { isEndedJob, type TaskState } from '../protocol/states.ts';
import { countJobsByState } from '../store/jobs.ts';
import type { Database, Store } from '../store/store.ts';
import { readGrant } from '../store/task-grants.ts';
import { readTaskSecrets, readTasks, type TaskFilter } from '../store/tasks.ts';

/** A task, for its owner. Times are milliseconds since 1970 UTC. */
export interface TaskInfo {
  taskId: number;
  name: string;
  ownerName: string;
  state: TaskState;
  queue: string | null;
  usesSecrets: boolean;
  maxAttempts: number;
  /** Why it ended. */
  diagnosis: string;
  createdAt: number;
  modifiedAt: number;
  endedAt: number | undefined;
  jobs: JobCounts;
}

/** A task's jobs, counted by where they are. */
export interface JobCounts {
  total: number;
  /** Not acquired, or again after an attempt failed. */
  waiting: number;
  /** A pilot has them. */
  active: number;
  finished: number;
  failed: number;
  cancelled: number;
}

/** Which tasks to list: those that every given condition holds for. */
export interface TaskQuery extends TaskFilter {
  /** Names of owners, as they are shown. */
  ownerNames?: readonly string[];
  /** Default 500, at most 1000. */
  limit?: number;
}

const DEFAULT_LIMIT = 500;
const MAX_LIMIT = 1000;

export async function listTasks(store: Store, owner: OwnerId, query: TaskQuery): Promise<TaskInfo[]> {
  const { ownerNames, limit = DEFAULT_LIMIT, ...filter } = query;
  const tasks = await readTaskInfo(store.db, owner, filter, Math.min(limit, MAX_LIMIT));
  return ownerNames ? tasks.filter((task) => ownerNames.includes(task.ownerName)) : tasks;
}

export async function getTask(store: Store, owner: OwnerId, taskId: number): Promise<TaskInfo> {
  const [task] = await readTaskInfo(store.db, owner, { ids: [taskId] }, 1);
  if (!task) throw new NotFound(`you have no task ${taskId}`);
  return task;
}

/** See {@link Jobs.secretsOf}. */
export async function secretsOfTask(
  store: Store,
  owner: OwnerId,
  taskId: number,
): Promise<{ secretIds: readonly string[] | null; queue: string | null }> {
  const found = await readTaskSecrets(store.db, owner, taskId);
  if (!found) throw new NotFound(`you have no task ${taskId}`);
  return { secretIds: found.secret_ids === null ? null : JSON.parse(found.secret_ids), queue: found.queue };
}

/** See {@link Jobs.grantOf}. */
export async function grantOfTask(store: Store, owner: OwnerId, taskId: number): Promise<string | null | undefined> {
  if (!(await readTaskSecrets(store.db, owner, taskId))) throw new NotFound(`you have no task ${taskId}`);
  return (await readGrant(store.db, taskId))?.grant;
}

async function readTaskInfo(db: Database, owner: OwnerId, filter: TaskFilter, limit: number): Promise<TaskInfo[]> {
  if (Object.values(filter).some((values) => Array.isArray(values) && values.length === 0)) return [];
  const rows = await readTasks(db, owner, filter, limit);
  if (rows.length === 0) return [];
  const counts = new Map(rows.map((row) => [row.id, emptyCounts(row.job_count)]));
  for (const { task_id, state, count } of await countJobsByState(db, [...counts.keys()])) {
    const of = counts.get(task_id);
    if (of) of[placeOf(state)] += count;
  }
  return rows.map((row) => ({
    taskId: row.id,
    name: row.name,
    ownerName: row.display_name,
    state: row.state as TaskState,
    queue: row.queue,
    usesSecrets: row.use_secrets !== 0,
    maxAttempts: row.max_attempts,
    diagnosis: row.diagnosis,
    createdAt: row.created_at,
    modifiedAt: row.modified_at,
    endedAt: row.ended_at ?? undefined,
    jobs: counts.get(row.id) ?? emptyCounts(row.job_count),
  }));
}

function emptyCounts(total: number): JobCounts {
  return { total, waiting: 0, active: 0, finished: 0, failed: 0, cancelled: 0 };
}

function placeOf(state: string): Exclude<keyof JobCounts, 'total'> {
  if (state === 'activated' || state === 'throttled') return 'waiting';
  if (!isEndedJob(state)) return 'active';
  return state === 'finished' || state === 'failed' ? state : 'cancelled';
}
