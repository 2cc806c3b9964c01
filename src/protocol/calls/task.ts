import { Type } from 'typebox';
import { call, Id, MAX_WHOLE } from './call.ts';

const TaskId = Type.Integer({ ...Id, description: 'jediTaskID' });
const OneTask = Type.Object({ task_id: TaskId });

/**
 * Accepted: `data` is the task id and the message contains `jediTaskID=N`. Refused: `data` is 1 or 2 for a duplicate
 * name, 4 for a fault of the server.
 */
export const submitTask = call({
  path: 'task/submit',
  http: 'POST',
  panda: true,
  summary: 'Submits a task; `task_parameters` are those of PanDA.',
  parameters: Type.Object({
    task_parameters: Type.Record(Type.String(), Type.Any()),
    parent_tid: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  }),
});

/** `data` is null, or the state. */
export const getTaskStatus = call({
  path: 'task/get_status',
  http: 'GET',
  panda: true,
  summary: 'The state of a task.',
  parameters: OneTask,
});

export const getTaskDetails = call({
  path: 'task/get_details',
  http: 'GET',
  panda: true,
  summary: 'A task with its parameters and states.',
  parameters: Type.Object({
    task_id: TaskId,
    include_parameters: Type.Optional(Type.Boolean()),
    include_status: Type.Optional(Type.Boolean()),
  }),
});

export const getTasksDetailedInfoSince = call({
  path: 'task/get_tasks_detailed_info_since',
  http: 'GET',
  panda: true,
  summary: "The caller's tasks that were modified since a time.",
  parameters: Type.Object({
    since: Type.Optional(Type.String({ description: 'UTC, "YYYY-MM-DD HH:MM:SS"; without it tasks of any age' })),
    filters: Type.Optional(Type.String({ description: 'JSON object: column -> value' })),
    n_tasks: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_WHOLE })),
  }),
});

/** One task in the answers of `get_tasks_detailed_info_since` and `get_details`; what PanDA's pbook prints. */
export interface ListedTask {
  jediTaskID: number;
  reqID: number;
  taskName: string;
  userName: string;
  /** UTC, "YYYY-MM-DD HH:MM:SS". */
  creationDate: string;
  modificationTime: string;
  superStatus: string;
  status: string;
  /** Why the task ended, for its owner. */
  errorDialog: string;
  pctfinished: number;
  pctfailed: number;
  nfiles: number;
  nfilesfinished: number;
  nfilesfailed: number;
  /** The queue that it was submitted for, or null. */
  site: string | null;
}

export const getJobIds = call({
  path: 'task/get_job_ids',
  http: 'GET',
  panda: true,
  summary: "The ids of a task's jobs.",
  parameters: OneTask,
});

export const killTask = call({
  path: 'task/kill',
  http: 'POST',
  panda: true,
  summary: 'Kills a task: its running jobs are stopped, the others cancelled.',
  parameters: Type.Object({ task_id: TaskId, broadcast: Type.Optional(Type.Boolean()) }),
});

export const finishTask = call({
  path: 'task/finish',
  http: 'POST',
  panda: true,
  summary: 'Ends a task early: what finished counts; with `soft`, what runs may still finish.',
  parameters: Type.Object({
    task_id: TaskId,
    soft: Type.Optional(Type.Boolean()),
    broadcast: Type.Optional(Type.Boolean()),
  }),
});

export const retryTask = call({
  path: 'task/retry',
  http: 'POST',
  panda: true,
  summary: 'Runs the failed jobs of an ended task again.',
  parameters: Type.Object({
    task_id: TaskId,
    new_parameters: Type.Optional(
      Type.Union([Type.String(), Type.Record(Type.String(), Type.Any()), Type.Null()], {
        description: 'site and maxAttempt: an object, or the JSON text of one',
      }),
    ),
    no_child_retry: Type.Optional(Type.Boolean()),
    discard_events: Type.Optional(Type.Boolean()),
    disable_staging_mode: Type.Optional(Type.Boolean()),
    keep_gshare_priority: Type.Optional(Type.Boolean()),
    ignore_hard_exhausted: Type.Optional(Type.Boolean()),
  }),
});

export const pauseTask = call({
  path: 'task/pause',
  http: 'POST',
  panda: true,
  summary: 'Gives out no further job of a task until it is resumed.',
  parameters: OneTask,
});

export const resumeTask = call({
  path: 'task/resume',
  http: 'POST',
  panda: true,
  summary: 'Resumes a paused task.',
  parameters: OneTask,
});
