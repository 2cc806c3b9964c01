import { InvalidArgument, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type JobCounts, superStatus, type TaskInfo } from '../protocol/panda-job.ts';
import { isEndedJob, TASK_STATES, type TaskState } from '../protocol/states.ts';
import { countJobsByState } from '../store/jobs.ts';
import type { Database, Store } from '../store/store.ts';
import { readTasks, type TaskFilter } from '../store/tasks.ts';

/** Which tasks to list. */
export interface TaskQuery {
  /** Only those modified since then, in milliseconds. */
  since?: number | undefined;
  /** PanDA's names -> a value, or several with `|` between them: `jediTaskID`, `taskName`, `status`, `superStatus`, ... */
  filters?: Readonly<Record<string, unknown>> | undefined;
  /** Default 500, at most 1000. */
  limit?: number | undefined;
}

const DEFAULT_LIMIT = 500;
const MAX_LIMIT = 1000;

export async function listTasks(store: Store, owner: OwnerId, query: TaskQuery): Promise<TaskInfo[]> {
  const { userNames, ...filter } = parseFilters(query.filters ?? {});
  if (query.since !== undefined) filter.modifiedSince = query.since;
  const tasks = await readTaskInfo(store.db, owner, filter, Math.min(query.limit ?? DEFAULT_LIMIT, MAX_LIMIT));
  return userNames ? tasks.filter((task) => userNames.includes(task.ownerName)) : tasks;
}

export async function getTask(store: Store, owner: OwnerId, taskId: number): Promise<TaskInfo> {
  const [task] = await readTaskInfo(store.db, owner, { ids: [taskId] }, 1);
  if (!task) throw new NotFound(`you have no task ${taskId}`);
  return task;
}

const FILTERS: Record<string, (values: string[]) => TaskFilter & { userNames?: string[] }> = {
  jediTaskID: (values) => ({ ids: values.map(parseId) }),
  // A task is its own request here.
  reqID: (values) => ({ ids: values.map(parseId) }),
  taskName: (values) => ({ names: values.map((name) => (name.endsWith('/') ? name : `${name}/`)) }),
  status: (values) => ({ states: values }),
  superStatus: (values) => ({ states: TASK_STATES.filter((state) => values.includes(superStatus(state))) }),
  site: (values) => ({ queues: values }),
  userName: (values) => ({ userNames: values }),
};

function parseFilters(filters: Readonly<Record<string, unknown>>): TaskFilter & { userNames?: string[] } {
  const parsed: TaskFilter & { userNames?: string[] } = {};
  for (const [name, value] of Object.entries(filters)) {
    const parse = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (!parse) {
      throw new InvalidArgument(`filters: "${name}" is unknown; use ${Object.keys(FILTERS).join(', ')}`);
    }
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new InvalidArgument(`filters: ${name} must be text`);
    }
    if (/\p{Cc}/u.test(String(value))) throw new InvalidArgument(`filters: ${name} may not have control characters`);
    for (const [part, wanted] of Object.entries(parse(String(value).split('|')))) {
      const field = part as keyof typeof parsed;
      const earlier = parsed[field] as unknown[] | undefined;
      // Two filters on one column (jediTaskID and reqID, status and superStatus) must both hold.
      Object.assign(parsed, {
        [field]: earlier ? (wanted as unknown[]).filter((one) => earlier.includes(one)) : wanted,
      });
    }
  }
  return parsed;
}

function parseId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(id))
    throw new InvalidArgument(`filters: "${text}" is not a task id`);
  return id;
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
    usesSecrets: row.use_secrets === 1,
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
