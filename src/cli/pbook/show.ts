import type { Client } from '../../client/client.ts';
import { describeJobs } from '../../client/jobs.ts';
import { detailsOf, type TaskQuery } from '../../client/tasks.ts';
import type { JobDescription, ListedJobFile } from '../../protocol/calls/job.ts';
import type { ListedTask } from '../../protocol/calls/task.ts';
import { NotFound, Refused, Unavailable } from '../../protocol/errors.ts';
import { SHOWN_TASK_DAYS, SHOWN_TASKS } from '../../protocol/limits.ts';
import { SealedRefusal } from '../../protocol/sealed-refusal.ts';
import { isEndedTask, TASK_STATES } from '../../protocol/states.ts';
import { withConnection } from '../command.ts';
import { existingKeyFolder } from '../own-keys.ts';
import { note, printable, printJson, UsageError } from '../reporting.ts';
import { jobsTable } from './jobs-table.ts';
import { keywordArguments } from './keyword-arguments.ts';
import { isRequestId, parseId, parseIds } from './task-ids.ts';
import { tasksTable } from './tasks-table.ts';

const FILTERS = { taskname: 'taskName', status: 'status', superstatus: 'superStatus', username: 'userName' } as const;
const SHOW_ARGUMENTS = ['days', 'limit', 'format', 'taskname', 'status', 'superstatus', 'username'] as const;
const FORMATS = ['standard', 'long', 'json'] as const;

/** A task; when it was asked for by its id, with its jobs, and with the end of the grant that its user signed, where there is one. */
type ShownTask = ListedTask & { jobs?: JobDescription[]; grantEnds?: string };

/** The tasks that `show` was asked for, and how. */
interface FoundTasks {
  tasks: ShownTask[];
  /** Of tasks with ids: logs and outputs that pilots put elsewhere. */
  elsewhere: ListedJobFile[];
  format: (typeof FORMATS)[number];
  /** Empty where all tasks of the last `days` were asked for, at most `limit`. */
  ids: number[];
  days: number;
  limit: number;
}

/** `show [ID|run|fin] [format=long] [days=N] [limit=N] [status=S] ...` */
export async function show(
  words: readonly string[],
  options: { json?: boolean; long?: boolean },
): Promise<readonly ShownTask[]> {
  const found = await findTasks(words, options);
  await printTasks(found);
  return found.tasks;
}

/** @param words as `show` takes them @throws NotFound when there is none with the ids */
async function findTasks(words: readonly string[], options: { json?: boolean; long?: boolean }): Promise<FoundTasks> {
  const { plain, named } = keywordArguments(words, SHOW_ARGUMENTS);
  const format = options.json ? 'json' : options.long ? 'long' : parseFormat(named.format ?? 'standard');
  const state = plain[0] === 'run' || plain[0] === 'fin' ? plain[0] : undefined;
  if (!plain.every((word) => word === state || /^[\d,]+$/.test(word)) || (state !== undefined && plain.length > 1)) {
    throw new UsageError(`show takes ID..., run or fin, and ${SHOW_ARGUMENTS.map((name) => `${name}=`).join(', ')}`);
  }
  const ids = state === undefined && plain.length > 0 ? parseIds(plain) : [];
  checkState(named.status);
  checkState(named.superstatus);

  const days = named.days === undefined ? SHOWN_TASK_DAYS : parseNumber('days', named.days);
  const limit = named.limit === undefined ? SHOWN_TASKS : parseNumber('limit', named.limit);
  const filters = Object.entries(FILTERS).flatMap(([argument, column]) => {
    const value = named[argument as keyof typeof FILTERS];
    return value === undefined ? [] : [[column, value]];
  });
  const query: TaskQuery = { filters: Object.fromEntries(filters), limit };
  return await withConnection(async ({ client }) => {
    const found =
      ids.length > 0
        ? await tasksWithIds(client, ids, query)
        : await client.listTasks({ ...query, since: daysAgo(days) });
    const chosen = found.filter(({ status }) => state === undefined || isEndedTask(status) === (state === 'fin'));
    // Also for a program: what is not there is no result.
    if (ids.length > 0 && found.length === 0) throw new NotFound(`you have no task ${ids.join(', ')}`);
    const tasks = ids.length > 0 ? await Promise.all(chosen.map((task) => withJobs(client, task))) : chosen;
    const elsewhere = ids.length > 0 && format !== 'json' ? await filesElsewhere(client, tasks) : [];
    return { tasks, elsewhere, format, ids, days, limit };
  });
}

async function printTasks({ tasks, elsewhere, format, ids, days, limit }: FoundTasks): Promise<void> {
  if (format === 'json') {
    printJson(tasks);
    return;
  }
  if (ids.length === 0) {
    note(`Showing only max ${limit} tasks in last ${days} days. One can set days=N and limit=M to see more`);
  }
  process.stdout.write(tasks.length === 0 ? 'No tasks\n' : await tasksTable(tasks, { long: format === 'long' }));
  for (const task of tasks) if (task.jobs) await showJobs(task, task.jobs);
  for (const file of elsewhere) showPlace(file);
}

async function tasksWithIds(client: Client, ids: readonly number[], query: TaskQuery): Promise<ListedTask[]> {
  const lists = await Promise.all(
    ids.map((id) => {
      const column = isRequestId(id) ? 'reqID' : 'jediTaskID';
      return client.listTasks({ ...query, filters: { ...query.filters, [column]: String(id) } });
    }),
  );
  return lists.flat();
}

/** Without them on a server that tells nothing of jobs. */
async function withJobs(client: Client, task: ListedTask): Promise<ShownTask> {
  const [jobs, grantEnds] = await Promise.all([
    orNone(async () => describeJobs(client, await client.getJobIds(task.jediTaskID))),
    grantEnd(client, task.jediTaskID),
  ]);
  return { ...task, jobs, ...(grantEnds !== undefined && { grantEnds }) };
}

/** For those who seal; nothing of a task without a grant. */
async function grantEnd(client: Client, task: number): Promise<string | undefined> {
  if (!(await existingKeyFolder())) return undefined;
  const [{ endOf }, { readGrant }] = await Promise.all([import('./sealed-retry.ts'), import('../../sealed/grant.ts')]);
  const grant = (await detailsOf(client, task))?.grant;
  try {
    return grant ? endOf(readGrant(grant)) : undefined;
  } catch (error) {
    if (error instanceof SealedRefusal) return undefined; // Said where it matters: at a retry.
    throw error;
  }
}

async function filesElsewhere(client: Client, tasks: readonly ListedTask[]): Promise<ListedJobFile[]> {
  const files = await orNone(() => Promise.all(tasks.map(({ jediTaskID }) => client.getJobFiles(jediTaskID))));
  return files.flat().filter(({ location }) => location !== undefined);
}

/** None from a server that does not know the call, as one of PanDA's does not know all of ours. */
async function orNone<T>(call: () => Promise<T[]>): Promise<T[]> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Unavailable || error instanceof Refused) return [];
    throw error;
  }
}

function showPlace({ serial, kind, name, location = '' }: ListedJobFile): void {
  process.stdout.write(`\n ${kind} of job ${serial}: ${printable(name)}\n   ${printable(location)}\n`);
}

/** Why it ended, and what became of each job. */
async function showJobs(
  { jediTaskID, errorDialog, grantEnds }: ShownTask,
  jobs: readonly JobDescription[],
): Promise<void> {
  if (errorDialog) process.stdout.write(`\n ${jediTaskID}: ${printable(errorDialog)}\n`);
  if (grantEnds) process.stdout.write(`\n ${jediTaskID}: its grant ends on ${grantEnds}\n`);
  if (jobs.length > 0) process.stdout.write(`\n${await jobsTable(jobs)}`);
}

function parseFormat(text: string): FoundTasks['format'] {
  const format = FORMATS.find((known) => known === text);
  if (format === undefined) throw new UsageError(`format is one of ${FORMATS.join(', ')}`);
  return format;
}

function checkState(text: string | undefined): void {
  if (text === undefined || (TASK_STATES as readonly string[]).includes(text)) return;
  throw new UsageError(`"${text}" is not a state of tasks; those are ${TASK_STATES.join(', ')}`);
}

function parseNumber(name: string, text: string): number {
  try {
    return parseId(text);
  } catch {
    throw new UsageError(`${name} must be a whole number from 1`);
  }
}

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * 24 * 3600 * 1000);
}
