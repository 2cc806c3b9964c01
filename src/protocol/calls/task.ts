import { Type } from 'typebox';
import { MAX_GRANT_CHARS, MAX_JSON_BODY_BYTES } from '../limits.ts';
import { SIGNED_WORD } from '../sealed-value.ts';
import { call, type Data, Id, MAX_WHOLE, Nothing, orNull } from './call.ts';

const TaskId = Type.Integer({ ...Id, description: 'the id of a task, `jediTaskID`', examples: [10000000] });
const Time = Type.String({ description: 'UTC, YYYY-MM-DD HH:MM:SS', examples: ['2026-11-20 16:40:11'] });
const Done = Type.Integer({ description: '0: done; 3: done, with other parameters than before' });
const Unused = Type.Optional(Type.Boolean({ description: 'taken as PanDA has it, without effect' }));
const OneTask = Type.Object({ task_id: TaskId });

const LISTED = {
  jediTaskID: TaskId,
  reqID: Type.Integer({ ...Id, description: 'the same' }),
  taskName: Type.String({ description: 'with a / at its end', examples: ['user.alice.first/'] }),
  userName: Type.String({ description: 'the name of its owner that is shown' }),
  creationDate: Time,
  modificationTime: Time,
  superStatus: Type.String({ description: 'the state that it ended in, or ready, or running' }),
  status: Type.String({ description: 'the state', examples: ['done'] }),
  errorDialog: Type.String({ description: 'the reason why it ended, for its owner' }),
  pctfinished: Type.Integer({ description: 'percent of its jobs' }),
  pctfailed: Type.Integer({ description: 'percent of its jobs' }),
  nfiles: Type.Integer({ description: 'how many jobs it has' }),
  nfilesfinished: Type.Integer({ description: 'how many of them finished' }),
  nfilesfailed: Type.Integer({ description: 'how many of them failed' }),
  site: orNull(Type.String(), { description: 'the queue that it was submitted for; null for any' }),
};

export const checkSite = call({
  path: 'task/check_site',
  http: 'GET',
  panda: false,
  summary: 'Refuses a queue that a submission would be refused for, and tells if somebody serves it.',
  parameters: Type.Object({ site: Type.Optional(Type.String({ description: 'a queue; any when it is left out' })) }),
  answer: Type.Object({
    pilots: Type.Integer({
      description: "pilots that joined it and are active; PanDA's own, which do not join, are not counted",
    }),
    running: Type.Integer({ description: 'attempts that run there' }),
  }),
});

/** A task as PanDA's `pbook` prints it. */
export type ListedTask = Data<typeof ListedTask>;
const ListedTask = Type.Object(LISTED);

/** A task with its jobs. */
export type TaskDetails = Data<typeof TaskDetails>;
const TaskDetails = Type.Object({
  ...LISTED,
  inDS: Type.String({ description: 'always empty: input datasets are not offered' }),
  PandaID: Type.Array(Id, { description: 'its jobs' }),
  statistics: Type.String({ description: 'how many jobs are in which state: finished*2,running*1' }),
  mergeStatus: Type.Null(),
  mergePandaID: Type.Array(Id, { maxItems: 0 }),
  jobs: Type.Optional(
    Type.Object(
      {
        total: Type.Integer(),
        waiting: Type.Integer({ description: 'not acquired, or again after an attempt failed' }),
        active: Type.Integer({ description: 'a pilot has them' }),
        finished: Type.Integer(),
        failed: Type.Integer(),
        cancelled: Type.Integer(),
      },
      { description: 'extension, with include_status: how many jobs are where' },
    ),
  ),
  grant: Type.Optional(
    orNull(Type.String(), {
      description: 'extension, with include_parameters, of a task with sealed secrets: the grant that it has, or null',
    }),
  ),
});

/**
 * Accepted: `data` is the task id and the message contains `jediTaskID=N`. Refused: `data` is 1 or 2 for a duplicate
 * name, 4 for a fault of the server.
 */
export const submitTask = call({
  path: 'task/submit',
  http: 'POST',
  maxBodyBytes: MAX_JSON_BODY_BYTES,
  panda: true,
  summary: 'Submits a task; `task_parameters` are those of PanDA.',
  parameters: Type.Object({
    task_parameters: Type.Record(Type.String(), Type.Any(), {
      description: "PanDA's parameters of a task, as `prun` makes them: `prun --dumpTaskParams FILE` writes one's own",
      examples: [{ taskName: 'user.alice.first/', vo: 'panda', nEvents: 1 }],
    }),
    parent_tid: Type.Optional(
      orNull(Type.Integer(), { description: 'a task that this one follows, as PanDA has it; not used' }),
    ),
  }),
  answer: TaskId,
});

export const getTaskStatus = call({
  path: 'task/get_status',
  http: 'GET',
  panda: true,
  summary: 'The state of a task.',
  parameters: OneTask,
  answer: Type.String({ description: 'the state', examples: ['running'] }),
});

export const getTaskDetails = call({
  path: 'task/get_details',
  http: 'GET',
  panda: true,
  summary: 'A task with its parameters and states.',
  parameters: Type.Object({
    task_id: TaskId,
    include_parameters: Type.Optional(Type.Boolean({ description: 'taken as PanDA has it: the answer is the same' })),
    include_status: Type.Optional(Type.Boolean({ description: 'with `jobs`: how many are where' })),
  }),
  answer: TaskDetails,
});

export const getTasksDetailedInfoSince = call({
  path: 'task/get_tasks_detailed_info_since',
  http: 'GET',
  panda: true,
  summary: "The caller's tasks that were modified since a time.",
  parameters: Type.Object({
    since: Type.Optional(Type.String({ description: 'UTC, "YYYY-MM-DD HH:MM:SS"; without it tasks of any age' })),
    filters: Type.Optional(
      Type.String({ description: 'the JSON text of an object: column -> value', examples: ['{"status": "running"}'] }),
    ),
    n_tasks: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_WHOLE, description: 'how many at most, the newest' }),
    ),
  }),
  answer: Type.Array(ListedTask),
});

export const getJobIds = call({
  path: 'task/get_job_ids',
  http: 'GET',
  panda: true,
  summary: "The ids of a task's jobs.",
  parameters: OneTask,
  answer: Type.Array(Id),
});

export const killTask = call({
  path: 'task/kill',
  http: 'POST',
  panda: true,
  summary: 'Kills a task: its running jobs are stopped, the others cancelled.',
  parameters: Type.Object({ task_id: TaskId, broadcast: Unused }),
  answer: Done,
});

export const finishTask = call({
  path: 'task/finish',
  http: 'POST',
  panda: true,
  summary: 'Ends a task early: what finished counts; with `soft`, what runs may still finish.',
  parameters: Type.Object({
    task_id: TaskId,
    soft: Type.Optional(Type.Boolean({ description: 'lets what runs finish' })),
    broadcast: Unused,
  }),
  answer: Done,
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
        description: '`site`, `maxAttempt` and `sealed`: an object, or the JSON text of one',
        examples: [{ site: 'SITE_B' }],
      }),
    ),
    no_child_retry: Unused,
    discard_events: Unused,
    disable_staging_mode: Unused,
    keep_gshare_priority: Unused,
    ignore_hard_exhausted: Unused,
  }),
  answer: Done,
});

export const grantTask = call({
  path: 'task/grant',
  http: 'POST',
  maxBodyBytes: MAX_GRANT_CHARS + 1024,
  panda: false,
  summary: 'Lets the jobs of a task with sealed secrets go, with what its owner signed for them.',
  parameters: Type.Object({
    task_id: TaskId,
    grant: Type.String({
      pattern: SIGNED_WORD,
      maxLength: MAX_GRANT_CHARS,
      description: '`PAYLOAD.SIGNATURE`, each in base64url',
      examples: ['eyJ2IjoxfQ.AAAA'],
    }),
  }),
  answer: Nothing,
});

export const pauseTask = call({
  path: 'task/pause',
  http: 'POST',
  panda: true,
  summary: 'Gives out no further job of a task until it is resumed.',
  parameters: OneTask,
  answer: Done,
});

export const resumeTask = call({
  path: 'task/resume',
  http: 'POST',
  panda: true,
  summary: 'Resumes a paused task.',
  parameters: OneTask,
  answer: Done,
});
