import { type TaskInfo, toListedTask } from './panda-job.ts';

/**
 * What PanDA's `task/get_details` tells of a task, in its names: the fields that this system has, and those of a listed task.
 * Input datasets and merging are not offered; names of output datasets are not kept.
 *
 * @param jobs the task's jobs
 */
export function toTaskDetails(
  task: TaskInfo,
  jobs: readonly { jobId: number; state: string }[],
): Record<string, unknown> {
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
