import type { TaskInfo } from '../jobs/jobs.ts';
import type { ListedTask, TaskDetails } from '../protocol/calls/task.ts';
import { pandaTime } from '../protocol/panda-time.ts';
import { isEndedTask, type TaskState } from '../protocol/states.ts';

/** A task as PanDA's `pbook` lists it. */
export function toListedTask(task: TaskInfo): ListedTask {
  const { total, finished, failed } = task.jobs;
  return {
    jediTaskID: task.taskId,
    reqID: task.taskId,
    taskName: task.name,
    userName: task.ownerName,
    creationDate: pandaTime(task.createdAt),
    modificationTime: pandaTime(task.modifiedAt),
    superStatus: superStatus(task.state),
    status: task.state,
    errorDialog: task.diagnosis,
    pctfinished: Math.floor((100 * finished) / total),
    pctfailed: Math.floor((100 * failed) / total),
    nfiles: total,
    nfilesfinished: finished,
    nfilesfailed: failed,
    site: task.queue,
  };
}

/** PanDA's clients group tasks by this: the state in which it ended, `ready` or `running`. */
export function superStatus(state: TaskState): string {
  if (isEndedTask(state) || state === 'registered' || state === 'ready') return state;
  return 'running';
}

/**
 * A task as PanDA's `task/get_details` tells it, in its names: the fields that this system has, and those of a listed task.
 * Input datasets and merging are not offered; names of output datasets are not kept.
 *
 * @param jobs the task's jobs
 */
export function toTaskDetails(task: TaskInfo, jobs: readonly { jobId: number; state: string }[]): TaskDetails {
  return {
    ...toListedTask(task),
    inDS: '',
    PandaID: jobs.map(({ jobId }) => jobId),
    statistics: statistics(jobs),
    mergeStatus: null,
    mergePandaID: [],
  };
}

/** PanDA's way to write how many are where: `finished*2,running*1`. */
function statistics(jobs: readonly { state: string }[]): string {
  const counts = new Map<string, number>();
  for (const { state } of jobs) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${state}*${count}`).join(',');
}
