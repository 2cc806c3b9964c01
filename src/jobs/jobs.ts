import { type Tell, tellNobody } from '../events/events.ts';
import type { OwnerId } from '../protocol/ids.ts';
import { type Acquisition, acquireJobs, type LeasedJob } from './acquire.ts';
import { type ChangedTask, finishTask, grantTask, killTask, pauseTask, resumeTask, retryTask } from './commands.ts';
import type { JobsContext } from './context.ts';
import { addFile, type BroughtFile, checkUpload, findFile, type JobFile, listFiles } from './files.ts';
import { getJobs, getJobsOfPilot, type JobInfo, jobsOfTask } from './job-info.ts';
import { expireLeases, losePilot } from './leases.ts';
import { type AcquiredJob, putBackJobs } from './put-back.ts';
import { failAttempt, type JobReport, reportJob } from './report.ts';
import { checkSite, type Submission, submitTask } from './submit.ts';
import { getTask, grantOfTask, listTasks, secretsOfTask, type TaskInfo, type TaskQuery } from './task-info.ts';
import { withheldCounts } from './withheld-counts.ts';

export type { Acquisition, LeasedJob } from './acquire.ts';
export type { ChangedTask } from './commands.ts';
export type { BroughtFile, JobFile } from './files.ts';
export type { JobInfo } from './job-info.ts';
export type { JobReport } from './report.ts';
export type { Submission } from './submit.ts';
export type { TaskInfo, TaskQuery } from './task-info.ts';

/**
 * Tasks and jobs: a task is split into jobs, a job has attempts, an attempt is a pilot's for as long as its lease. Safe with
 * many replicas on one database. Another owner's task or job is answered as one that is not there.
 */
export interface Jobs {
  /**
   * Takes a task and makes its jobs.
   *
   * @throws {InvalidArgument} when its queue is unknown or its jobs could not be run, with the reason
   * @throws {Conflict} when its queue takes no new tasks
   * @throws {AlreadyExists} when its name is taken; the message has `jediTaskID=N` of the other one
   * @throws {QuotaExceeded} when its owner has too many jobs under way
   */
  submit(owner: OwnerId, submission: Submission): Promise<{ taskId: number }>;
  /**
   * Checks a queue, or any, for somebody who is about to submit; answers how many attempts run there.
   *
   * @throws {InvalidArgument} {Conflict} in the words of `submit`
   */
  checkSite(queue: string | null): Promise<{ running: number }>;

  /** The newest first. */
  listTasks(owner: OwnerId, query?: TaskQuery): Promise<TaskInfo[]>;
  /** @throws {NotFound} */
  getTask(owner: OwnerId, taskId: number): Promise<TaskInfo>;
  /** The secrets that a task names, null for all of its owner's, and the queue that it is for, null for any. @throws {NotFound} */
  secretsOf(owner: OwnerId, taskId: number): Promise<{ secretIds: readonly string[] | null; queue: string | null }>;
  /** In the order of their serials. @throws {NotFound} */
  jobsOf(owner: OwnerId, taskId: number): Promise<JobInfo[]>;
  /** Those that are there, in the order of their ids. */
  getJobs(owner: OwnerId, jobIds: readonly number[]): Promise<JobInfo[]>;
  /** Those whose last attempt is, or was, this pilot's. */
  getJobsOfPilot(pilotId: string, jobIds: readonly number[]): Promise<JobInfo[]>;

  /** Cancels the jobs that wait and has the pilots stop those that run. @throws {NotFound} @throws {Conflict} when it has ended */
  kill(owner: OwnerId, taskId: number): Promise<void>;
  /** Ends a task early; what finished counts. `soft`: what runs may finish. @throws {NotFound} @throws {Conflict} */
  finish(owner: OwnerId, taskId: number, options?: { soft?: boolean }): Promise<void>;
  /**
   * Runs the jobs of an ended task again that did not finish, on another queue or with more attempts if so asked.
   *
   * @throws {NotFound} @throws {Conflict} also when the queue takes no new tasks @throws {InvalidArgument} when there is no such queue
   */
  retry(owner: OwnerId, taskId: number, change?: ChangedTask): Promise<void>;
  /** Gives out no further job until {@link Jobs.resume}; what runs goes on. @throws {NotFound} @throws {Conflict} */
  pause(owner: OwnerId, taskId: number): Promise<void>;
  /** @throws {NotFound} @throws {Conflict} also while it waits for a grant */
  resume(owner: OwnerId, taskId: number): Promise<void>;
  /**
   * Lets the jobs of a task with sealed secrets go, with what its owner signed for them.
   *
   * @throws {NotFound} @throws {Conflict} when it waits for none
   */
  grant(owner: OwnerId, taskId: number, grant: string): Promise<void>;
  /** The grant of a task with sealed secrets, null before its owner signed; undefined for another task. @throws {NotFound} */
  grantOf(owner: OwnerId, taskId: number): Promise<string | null | undefined>;

  /**
   * Gives waiting jobs of a queue (and those for any queue) to a pilot, each with a lease: in turns one of each owner, the oldest of theirs
   * first. No job goes to two pilots.
   *
   * @returns `withheld`: how many wait that may not go to it as they need secrets, or, in `withheldSealed`, sealed ones; `refused`: how many failed instead, because their rows were changed
   * behind the server
   */
  acquire(acquisition: Acquisition): Promise<{
    jobs: LeasedJob[];
    withheld: number;
    withheldSealed: number;
    refused: number;
  }>;
  /**
   * Takes a pilot's report, which also renews the lease. A final report may be repeated.
   *
   * @throws {NotFound} when there is no such attempt
   * @throws {Conflict} when the attempt is another pilot's or has ended otherwise (its lease, for one); nothing is changed
   */
  report(pilotId: string, report: JobReport): Promise<{ command: 'NULL' | 'tobekilled' }>;
  /**
   * Ends an attempt that could not begin, because its secrets could not be delivered. Where that is for good, the jobs of its task that
   * wait fail with it. Nothing happens when it has ended.
   */
  failAttempt(jobId: number, attempt: number, reason: string, options: { retriable: boolean }): Promise<void>;
  /** Lets jobs wait again of which no pilot was told, as if they had not been acquired. Nothing happens to one whose attempt has ended. */
  putBack(jobs: readonly AcquiredJob[]): Promise<void>;
  /** Takes jobs from pilots that have been silent for too long; how many. */
  expireLeases(): Promise<number>;
  /** Takes from a pilot that has ended the jobs that it has, each with that reason for its owner; how many. */
  losePilot(pilot: { queue: string; pilotId: string }, reason: string): Promise<number>;

  /**
   * Checks that a pilot may upload for this attempt, and this file where one is named: before the bytes are taken.
   *
   * @returns the job's owner
   * @throws {NotFound} @throws {Conflict} @throws {InvalidArgument} when the job's owner asked for no such file
   */
  checkUpload(
    pilotId: string,
    file: Pick<JobFile, 'jobId' | 'attempt'> & Partial<Pick<JobFile, 'kind' | 'name'>>,
  ): Promise<OwnerId>;
  /** Notes a log or output whose content is kept already, here or where its pilot put it. @throws {NotFound} @throws {Conflict} @throws {InvalidArgument} */
  addFile(pilotId: string, file: BroughtFile): Promise<void>;
  /** Of each job's last attempt, in the order of serial and name. @throws {NotFound} */
  listFiles(owner: OwnerId, taskId: number): Promise<JobFile[]>;
  /** @throws {NotFound} @throws {InvalidArgument} when no file can have that name */
  findFile(owner: OwnerId, jobId: number, attempt: number, name: string): Promise<Omit<JobFile, 'serial'>>;
}

export function createJobs(dependencies: Omit<JobsContext, 'tell'> & { tell?: Tell }): Jobs {
  const context = { tell: tellNobody, countWithheld: withheldCounts(dependencies), ...dependencies };
  return {
    submit: (owner, submission) => submitTask(context, owner, submission),
    checkSite: (queue) => checkSite(context.store, queue),
    listTasks: (owner, query = {}) => listTasks(context.store, owner, query),
    getTask: (owner, taskId) => getTask(context.store, owner, taskId),
    secretsOf: (owner, taskId) => secretsOfTask(context.store, owner, taskId),
    jobsOf: (owner, taskId) => jobsOfTask(context.store, owner, taskId),
    getJobs: (owner, jobIds) => getJobs(context.store, owner, jobIds),
    getJobsOfPilot: (pilotId, jobIds) => getJobsOfPilot(context.store, pilotId, jobIds),
    kill: (owner, taskId) => killTask(context, owner, taskId),
    finish: (owner, taskId, options = {}) => finishTask(context, owner, taskId, options),
    retry: (owner, taskId, change = {}) => retryTask(context, owner, taskId, change),
    pause: (owner, taskId) => pauseTask(context, owner, taskId),
    resume: (owner, taskId) => resumeTask(context, owner, taskId),
    grant: (owner, taskId, grant) => grantTask(context, owner, taskId, grant),
    grantOf: (owner, taskId) => grantOfTask(context.store, owner, taskId),
    acquire: (acquisition) => acquireJobs(context, acquisition),
    report: (pilotId, report) => reportJob(context, pilotId, report),
    failAttempt: (jobId, attempt, reason, options) => failAttempt(context, { jobId, attempt }, reason, options),
    putBack: (acquired) => putBackJobs(context, acquired),
    expireLeases: () => expireLeases(context),
    losePilot: (pilot, reason) => losePilot(context, pilot, reason),
    checkUpload: (pilotId, attempt) => checkUpload(context.store, pilotId, attempt),
    addFile: (pilotId, file) => addFile(context, pilotId, file),
    listFiles: (owner, taskId) => listFiles(context.store, owner, taskId),
    findFile: (owner, jobId, attempt, name) => findFile(context.store, owner, { jobId, attempt, name }),
  };
}
