import { Conflict, NotFound } from '../protocol/errors.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { HELD_JOB_STATES, isEndedTask } from '../protocol/states.ts';
import { moveJobsOfTask, reviveJobs, wasStarted } from '../store/jobs.ts';
import { useSandboxOfTask } from '../store/sandboxes.ts';
import type { Database } from '../store/store.ts';
import { awaitGrant, giveGrant, readGrant } from '../store/task-grants.ts';
import {
  countOpenJobs,
  type LockedTask,
  lockTask,
  moveTaskToQueue,
  readTaskOfName,
  updateTask,
} from '../store/tasks.ts';
import type { JobsContext } from './context.ts';
import { settleTask } from './settle.ts';
import { checkOpenJobs, checkQueue } from './submit.ts';

/** The properties of a task that may differ at a retry. */
export interface ChangedTask {
  /** Null for any. */
  queue?: string | null;
  maxAttempts?: number;
  /** True when its owner signs again: its jobs wait for that. */
  sealed?: boolean;
}

/** An owner's acts on a task as a whole. Each is one transaction that has locked the task. */

export function killTask(context: JobsContext, owner: OwnerId, taskId: number): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (isEndedTask(task.state)) throw hasEnded(task);
    await updateTask(tx, task.id, { state: 'aborting' });
    await stopWaiting(tx, task, now);
    await stopRunning(tx, task, now);
    await settleTask(tx, { ...task, state: 'aborting' }, now);
  });
}

export function finishTask(
  context: JobsContext,
  owner: OwnerId,
  taskId: number,
  { soft = false }: { soft?: boolean },
): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (isEndedTask(task.state)) throw hasEnded(task);
    if (task.state === 'aborting') throw new Conflict(`task ${task.id} is being killed`);
    await updateTask(tx, task.id, { state: 'finishing' });
    await stopWaiting(tx, task, now);
    if (!soft) await stopRunning(tx, task, now);
    await settleTask(tx, { ...task, state: 'finishing' }, now);
  });
}

export function retryTask(
  context: JobsContext,
  owner: OwnerId,
  taskId: number,
  { queue, maxAttempts, sealed = false }: ChangedTask,
): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (!isEndedTask(task.state)) {
      throw new Conflict(`task ${task.id} has not ended: it is ${task.state}; its jobs are retried while it runs`);
    }
    if (task.state === 'done') throw new Conflict(`task ${task.id} is done: all of its jobs finished`);
    if (task.unique_name === 1) {
      const [other] = await readTaskOfName(tx, { owner, name: task.name, other: task.id });
      if (other) throw new Conflict(`task ${other.id} has taken the name ${task.name}; kill it first`);
    }
    checkSealed(task, sealed, maxAttempts);
    if ((await useSandboxOfTask(tx, task.id, now)) === false) {
      throw new Conflict(`the sandbox of task ${task.id} is no longer kept: submit the task again`);
    }
    await checkQueue(tx, queue === undefined ? task.queue : queue, context.store.skipLocked);
    if (queue !== undefined) await moveTaskToQueue(tx, task.id, queue);
    const change = maxAttempts === undefined ? {} : { max_attempts: maxAttempts };
    const attempts = maxAttempts ?? task.max_attempts;
    await reviveJobs(tx, task.id, { attempts, queue, state: sealed ? 'throttled' : 'activated' }, now);
    checkOpenJobs(await countOpenJobs(tx, owner, context.store.skipLocked), task.job_count, context.maxOpenJobs);
    if (sealed) await awaitGrant(tx, { taskId: task.id });
    await updateTask(tx, task.id, {
      ...change,
      state: sealed ? 'paused' : 'ready',
      diagnosis: '',
      ended_at: null,
      files_removed_at: null,
    });
  });
}

/** See {@link Jobs.grant}. */
export function grantTask(context: JobsContext, owner: OwnerId, taskId: number, grant: string): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (!(await readGrant(tx, task.id))?.awaited) {
      throw new Conflict(`task ${task.id} waits for no grant: it has one, or its secrets are not sealed`);
    }
    if (task.state !== 'paused') throw new Conflict(`task ${task.id} takes no grant any more: it is ${task.state}`);
    await giveGrant(tx, task.id, grant);
    await goOn(tx, task, now);
  });
}

export function pauseTask(context: JobsContext, owner: OwnerId, taskId: number): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (task.state === 'paused') return;
    if (task.state !== 'ready' && task.state !== 'running') {
      throw new Conflict(`task ${task.id} cannot be paused: it is ${task.state}`);
    }
    await updateTask(tx, task.id, { state: 'paused' });
    await moveJobsOfTask(tx, task.id, ['activated'], { state: 'throttled', modified_at: now });
  });
}

export function resumeTask(context: JobsContext, owner: OwnerId, taskId: number): Promise<void> {
  return changeTask(context, owner, taskId, async (tx, task, now) => {
    if (task.state !== 'paused') throw new Conflict(`task ${task.id} is not paused: it is ${task.state}`);
    if ((await readGrant(tx, task.id))?.awaited) throw isAwaited(task);
    await goOn(tx, task, now);
  });
}

async function goOn(tx: Database, task: LockedTask, now: number): Promise<void> {
  await moveJobsOfTask(tx, task.id, ['throttled'], { state: 'activated', modified_at: now });
  await updateTask(tx, task.id, { state: (await wasStarted(tx, task.id)) ? 'running' : 'ready' });
}

function checkSealed(task: LockedTask, sealed: boolean, maxAttempts: number | undefined): void {
  const isSealed = task.use_secrets === 2;
  if (isSealed && !sealed) throw isAwaited(task);
  if (!isSealed && sealed) throw new Conflict(`task ${task.id} has no sealed secrets: it needs no grant`);
  if (isSealed && maxAttempts !== undefined) {
    throw new Conflict(
      `task ${task.id} has sealed secrets: its owner signed for how many attempts. Submit it anew for more`,
    );
  }
}

function isAwaited({ id }: LockedTask): Conflict {
  return new Conflict(
    `task ${id} has sealed secrets, and its owner has not signed for these jobs: "pbook retry ${id}" signs again, or says how to ` +
      'go on, on a machine that has your key',
  );
}

async function changeTask(
  { store, clock }: JobsContext,
  owner: OwnerId,
  taskId: number,
  change: (tx: Database, task: LockedTask, now: number) => Promise<void>,
): Promise<void> {
  const now = clock();
  await store.write(async (tx) => {
    const task = await lockTask(tx, owner, taskId, now);
    if (!task) throw new NotFound(`you have no task ${taskId}`);
    await change(tx, task, now);
  });
}

async function stopWaiting(tx: Database, task: LockedTask, now: number): Promise<void> {
  await moveJobsOfTask(tx, task.id, ['activated', 'throttled'], { state: 'cancelled', modified_at: now });
}

/** Their pilots are told at their next report. */
async function stopRunning(tx: Database, task: LockedTask, now: number): Promise<void> {
  await moveJobsOfTask(tx, task.id, HELD_JOB_STATES, { kill_requested: 1, modified_at: now });
}

function hasEnded(task: LockedTask): Conflict {
  return new Conflict(`task ${task.id} has ended already: it is ${task.state}`);
}
