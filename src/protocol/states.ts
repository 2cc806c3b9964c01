/**
 * States of tasks and jobs: PanDA's names (the list is its JEDI's; a client prints them as they are). This system uses
 * the ones in the comments; the others may come from a PanDA server.
 */
export const TASK_STATES = [
  'registered', // accepted, not yet split
  'defined',
  'pending',
  'ready', // split; no job has started
  'scouting',
  'running', // at least one job was acquired
  'finishing',
  'done', // every job finished
  'finished', // ended, some jobs finished and some did not
  'failed', // ended, no job finished
  'aborting', // killed; pilots are being told
  'aborted', // killed; nothing runs any more
  'paused', // its owner holds it: no job is given out
  'exhausted',
  'broken', // cannot be split as submitted
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const JOB_STATES = [
  'defined',
  'assigned',
  'waiting',
  'activated', // may be acquired
  'sent', // acquired by a pilot that has not reported yet
  'starting', // the pilot prepares it
  'running',
  'holding', // the payload ended; results are on their way
  'transferring',
  'merging',
  'finished',
  'failed', // every attempt is used up, or it may not be retried
  'cancelled', // killed
  'closed',
  'throttled', // may be acquired once its task, which is paused, is resumed
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** States of queues: ours, PanDA has others. */
export const QUEUE_STATES = [
  'open',
  'paused', // gives out no job; tasks are taken and wait
  'draining', // takes no new task; jobs of those that name it run
] as const;
export type QueueState = (typeof QUEUE_STATES)[number];

/** A pilot has the job. */
export const HELD_JOB_STATES = [
  'sent',
  'starting',
  'running',
  'holding',
  'transferring',
] as const satisfies readonly JobState[];

export const ENDED_TASK_STATES = [
  'done',
  'finished',
  'failed',
  'aborted',
  'exhausted',
  'broken',
] as const satisfies readonly TaskState[];
const ENDED_TASK: ReadonlySet<string> = new Set(ENDED_TASK_STATES);
const ENDED_JOB: ReadonlySet<string> = new Set<JobState>(['finished', 'failed', 'cancelled', 'closed']);

export function isEndedTask(state: string): boolean {
  return ENDED_TASK.has(state);
}

export function isEndedJob(state: string): boolean {
  return ENDED_JOB.has(state);
}

/** PanDA's pilot error code (`pilot/error-codes.ts`) of an attempt whose pilot was told to stop by SIGTERM, as batch systems do. */
export const TOLD_TO_STOP = 1201;
