import type { FastifyInstance } from 'fastify';
import type { Jobs } from '../../jobs/jobs.ts';
import { toListedTask, toTaskDetails } from '../../panda/task-answers.ts';
import { parseTaskFilters } from '../../panda/task-filters.ts';
import { parseChangedParameters, parseTaskParameters } from '../../panda/task-parameters.ts';
import * as calls from '../../protocol/calls/task.ts';
import { refused, succeeded } from '../../protocol/envelope.ts';
import { AlreadyExists } from '../../protocol/errors.ts';
import { parsePandaTime } from '../../protocol/panda-time.ts';
import type { Vault } from '../../vault/vault.ts';
import { ownerOf } from '../plugins/authentication.ts';
import { route } from '../route.ts';

/** PanDA's codes in `data`. A submission: a task of that name is there. A command: it is done. */
const DUPLICATE_NAME = 1;
const DONE = 0;
/** Done with other parameters than before. */
const TAKEN_UP_AGAIN = 3;

/** The rooms that these calls work on. */
export interface TaskRooms {
  jobs: Jobs;
  vault: Vault;
  /** The number of pilots that joined a queue, or any, and are active. */
  activePilots(queue: string | null): Promise<number>;
}

/** A user's tasks. */
export function taskRoutes(app: FastifyInstance, { jobs, vault, activePilots }: TaskRooms): void {
  route(app, calls.submitTask, async ({ task_parameters: parameters }, request) => {
    const owner = ownerOf(request);
    const task = parseTaskParameters(parameters);
    const secretIds = task.secretNames && (await vault.idsOf(owner, task.secretNames, task));
    try {
      const { taskId } = await jobs.submit(owner, { ...task, secretIds });
      return succeeded(taskId, `succeeded. new jediTaskID=${taskId}`);
    } catch (error) {
      if (error instanceof AlreadyExists) return refused(error.message, DUPLICATE_NAME);
      throw error;
    }
  });

  route(app, calls.checkSite, async ({ site = null }) => {
    const [{ running }, pilots] = await Promise.all([jobs.checkSite(site), activePilots(site)]);
    return succeeded({ running, pilots });
  });

  route(app, calls.getTaskStatus, async ({ task_id: taskId }, request) =>
    succeeded((await jobs.getTask(ownerOf(request), taskId)).state),
  );

  route(app, calls.getTaskDetails, async ({ task_id: taskId, include_parameters, include_status }, request) => {
    const owner = ownerOf(request);
    const [task, ofTask] = await Promise.all([jobs.getTask(owner, taskId), jobs.jobsOf(owner, taskId)]);
    const grant = include_parameters ? await jobs.grantOf(owner, taskId) : undefined;
    return succeeded({
      ...toTaskDetails(task, ofTask),
      ...(include_status && { jobs: task.jobs }),
      ...(grant !== undefined && { grant }),
    });
  });

  route(app, calls.getTasksDetailedInfoSince, async ({ since, filters, n_tasks: limit }, request) => {
    const tasks = await jobs.listTasks(ownerOf(request), {
      ...(since !== undefined && { modifiedSince: parsePandaTime(since, 'since') }),
      ...(filters !== undefined && parseTaskFilters(filters)),
      ...(limit !== undefined && { limit }),
    });
    return succeeded(tasks.map(toListedTask));
  });

  route(app, calls.getJobIds, async ({ task_id: taskId }, request) =>
    succeeded((await jobs.jobsOf(ownerOf(request), taskId)).map(({ jobId }) => jobId)),
  );

  route(app, calls.killTask, async ({ task_id: taskId }, request) => {
    await jobs.kill(ownerOf(request), taskId);
    return succeeded(DONE, 'the task is being killed');
  });

  route(app, calls.finishTask, async ({ task_id: taskId, soft = false }, request) => {
    await jobs.finish(ownerOf(request), taskId, { soft });
    return succeeded(DONE, 'the task is being finished');
  });

  route(app, calls.retryTask, async ({ task_id: taskId, new_parameters: changed }, request) => {
    const change = changed ? parseChangedParameters(changed) : {};
    const owner = ownerOf(request);
    const { secretIds, queue } = await jobs.secretsOf(owner, taskId);
    if (secretIds) {
      const names = await vault.namesOf(owner, secretIds);
      await vault.idsOf(owner, [...names.values()], { queue: change.queue === undefined ? queue : change.queue });
    }
    await jobs.retry(owner, taskId, change);
    return succeeded(Object.keys(change).length > 0 ? TAKEN_UP_AGAIN : DONE, 'the jobs that did not finish run again');
  });

  route(app, calls.grantTask, async ({ task_id: taskId, grant }, request) => {
    await jobs.grant(ownerOf(request), taskId, grant);
    return succeeded(null, 'the task has its grant');
  });

  route(app, calls.pauseTask, async ({ task_id: taskId }, request) => {
    await jobs.pause(ownerOf(request), taskId);
    return succeeded(DONE, 'the task is paused');
  });

  route(app, calls.resumeTask, async ({ task_id: taskId }, request) => {
    await jobs.resume(ownerOf(request), taskId);
    return succeeded(DONE, 'the task goes on');
  });
}
