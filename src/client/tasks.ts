import type { ArgumentsAt, PostPath } from '../protocol/calls/calls.ts';
import type { ListedTask, TaskDetails } from '../protocol/calls/task.ts';
import { Refused, Unavailable, UnknownCall } from '../protocol/errors.ts';
import { pandaTime } from '../protocol/panda-time.ts';
import type { Transport } from './transport.ts';

export interface TaskQuery {
  /** Tasks modified since then; of any age when left out. */
  since?: Date;
  /** Column -> value, such as `{ status: 'running' }`. */
  filters?: Record<string, string>;
  limit?: number;
}

/** The caller's tasks. Every call throws as `Transport` says. What answers text answers the server's message. */
export interface TaskCalls {
  /** `parameters` are PanDA's task parameters (see `task-parameters.ts`). */
  submitTask(parameters: object, parentTaskId?: number): Promise<{ taskId: number; message: string }>;
  /**
   * Checks a queue, or any, before something is submitted for it (our extension).
   *
   * @throws Refused as a submission would be @throws UnknownCall from a server of PanDA's
   */
  checkSite(site: string | undefined): Promise<{ pilots: number; running: number }>;
  listTasks(query?: TaskQuery): Promise<ListedTask[]>;
  getTaskStatus(taskId: number): Promise<string>;
  getTaskDetails(taskId: number, include?: { parameters?: boolean; status?: boolean }): Promise<TaskDetails>;
  getJobIds(taskId: number): Promise<readonly number[]>;
  killTask(taskId: number): Promise<string>;
  /** `soft`: running jobs may still finish. */
  finishTask(taskId: number, options?: { soft?: boolean }): Promise<string>;
  /** `sealed`: its owner signs again, and its jobs wait for that (our extension). */
  retryTask(taskId: number, options?: { sealed?: boolean }): Promise<string>;
  /** Gives a task with sealed secrets what its owner signed for it (our extension). */
  grantTask(taskId: number, grant: string): Promise<string>;
  pauseTask(taskId: number): Promise<string>;
  resumeTask(taskId: number): Promise<string>;
}

export function taskCalls(transport: Transport): TaskCalls {
  const command = async <P extends PostPath>(path: P, body: ArgumentsAt<P>) =>
    (await transport.post(path, body)).message;

  return {
    async submitTask(parameters, parentTaskId) {
      const { message, data } = await transport.post('task/submit', {
        task_parameters: parameters,
        parent_tid: parentTaskId ?? null,
      });
      return { taskId: submittedTaskId(message, data), message };
    },
    checkSite: async (site) => (await transport.get('task/check_site', { site })).data,
    async listTasks({ since, filters, limit } = {}) {
      const { data } = await transport.get('task/get_tasks_detailed_info_since', {
        since: since && pandaTime(since),
        filters: filters && JSON.stringify(filters),
        n_tasks: limit,
      });
      return (data ?? []).map(withPlainDates);
    },
    async getTaskStatus(taskId) {
      return (await transport.get('task/get_status', { task_id: taskId })).data;
    },
    async getTaskDetails(taskId, { parameters = false, status = true } = {}) {
      const query = { task_id: taskId, include_parameters: parameters, include_status: status };
      return withPlainDates((await transport.get('task/get_details', query)).data);
    },
    async getJobIds(taskId) {
      return (await transport.get('task/get_job_ids', { task_id: taskId })).data;
    },
    killTask: (taskId) => command('task/kill', { task_id: taskId }),
    finishTask: (taskId, { soft = false } = {}) => command('task/finish', { task_id: taskId, soft }),
    retryTask: (taskId, { sealed = false } = {}) =>
      command('task/retry', { task_id: taskId, ...(sealed && { new_parameters: { sealed } }) }),
    grantTask: (taskId, grant) => command('task/grant', { task_id: taskId, grant }),
    pauseTask: (taskId) => command('task/pause', { task_id: taskId }),
    resumeTask: (taskId) => command('task/resume', { task_id: taskId }),
  };
}

/** A task with its parameters and grant; undefined from a server that does not tell. */
export async function detailsOf(
  client: Pick<TaskCalls, 'getTaskDetails'>,
  task: number,
): Promise<TaskDetails | undefined> {
  try {
    return await client.getTaskDetails(task, { parameters: true });
  } catch (error) {
    if (error instanceof UnknownCall || error instanceof Refused) return undefined;
    throw error;
  }
}

/** `data` is the id; older servers say it in the message alone. */
function submittedTaskId(message: string, data: unknown): number {
  if (Number.isSafeInteger(data)) return data as number;
  const written = /jediTaskID=(\d+)/.exec(message)?.[1];
  if (written === undefined) throw new Unavailable('the task was accepted, but the server did not say its jediTaskID');
  return Number(written);
}

/** A date may come as `{"__datetime__": "ISO"}`. */
function withPlainDates<T extends object>(task: T): T {
  const plain = Object.entries(task).map(([name, value]) => {
    const date = (value as { __datetime__?: unknown } | null)?.__datetime__;
    return [name, typeof date === 'string' ? date.slice(0, 19).replace('T', ' ') : value];
  });
  return Object.fromEntries(plain) as T;
}
