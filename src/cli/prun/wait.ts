import type { Client } from '../../client/client.ts';
import { watchTask } from '../../client/watch-task.ts';
import type { ListedTask } from '../../protocol/calls/task.ts';
import { withConnection } from '../command.ts';
import {
  EXIT_INTERRUPTED,
  EXIT_REFUSED,
  fail,
  info,
  isLiveTerminal,
  note,
  printable,
  printJson,
  warn,
} from '../reporting.ts';

/**
 * Follows a task to its end, on standard error: at a terminal with a bar that moves, elsewhere with a line for each change. The
 * exit status of the process becomes 0 only when every job finished. Ctrl-C, or the end of the time, ends the waiting and the
 * process, not the task.
 *
 * @param timeout seconds
 * @returns its end, which is also printed unless `json`
 */
export async function waitForTask(
  taskId: number,
  { json, timeout }: { json: boolean; timeout: number | undefined },
): Promise<TaskEnd> {
  const progress = isLiveTerminal(process.stderr) ? await bar() : lines();
  let latest: ListedTask | undefined;
  const leave = (status: number, why: string) => {
    progress.end();
    note(
      `${why}; the task goes on. "pbook show ${taskId}" tells how it is, "pbook logs -f ${taskId}" what it ` +
        `prints, and "pbook kill ${taskId}" ends it`,
    );
    if (json) printJson({ jediTaskID: taskId, ...(latest && endOf(latest)) }, { success: false, message: why });
    process.exit(status);
  };
  const interrupt = () => leave(EXIT_INTERRUPTED, 'no longer waiting');
  const timer = setTimeout(
    () => leave(EXIT_TIMED_OUT, `the task has not ended after ${timeout} seconds`),
    Math.min((timeout ?? 0) * 1000, MAX_TIMER_MILLISECONDS),
  );
  if (timeout === undefined) clearTimeout(timer);
  process.once('SIGINT', interrupt);
  try {
    const task = await withConnection(async ({ client }) => {
      const tellOfPilots = pilotWatch(client);
      for await (const now of watchTask(client, taskId, {
        onTrouble: (error) => warn(`${error.message}; trying on`),
      })) {
        progress.show(now);
        latest = now;
        await tellOfPilots(now);
      }
      return latest as ListedTask;
    });
    progress.end();
    const isDone = task.status === 'done';
    if (!isDone) process.exitCode = EXIT_REFUSED;
    if (!json) tell(task, isDone);
    return endOf(task);
  } finally {
    clearTimeout(timer);
    progress.end();
    process.off('SIGINT', interrupt);
  }
}

/** A task's end, in PanDA's names. */
type TaskEnd = Pick<ListedTask, 'status' | 'errorDialog' | 'nfiles' | 'nfilesfinished' | 'nfilesfailed'>;

/** As `timeout` of the coreutils has it. */
const EXIT_TIMED_OUT = 124;
/** The longest time that a timer of Node's can take. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;
/** Between two looks for pilots while no job runs. */
const PILOTS_SECONDS = 30;

function endOf({ status, errorDialog, nfiles, nfilesfinished, nfilesfailed }: ListedTask): TaskEnd {
  return { status, errorDialog, nfiles, nfilesfinished, nfilesfailed };
}

/** Says that a task waits for nothing that is there, and when that changes. A server that does not tell is not asked again. */
function pilotWatch(client: Client): (task: ListedTask) => Promise<void> {
  let lookAt = 0;
  let wasServed = true;
  return async ({ status, site, superStatus }) => {
    const isWaiting = superStatus === 'ready' || status === 'ready';
    if (!isWaiting || Date.now() < lookAt) return;
    lookAt = Date.now() + PILOTS_SECONDS * 1000;
    const found = await client.checkSite(site ?? undefined).catch(() => undefined);
    if (!found) {
      lookAt = Number.POSITIVE_INFINITY;
      return;
    }
    const isServed = found.pilots + found.running > 0;
    if (isServed !== wasServed) {
      const where = site ? `queue ${site}` : 'any queue';
      note(isServed ? `a pilot serves ${where} now` : `no pilot serves ${where}: the task waits until one joins`);
    }
    wasServed = isServed;
  };
}

function tell(task: ListedTask, isDone: boolean): void {
  const { jediTaskID, status, errorDialog } = task;
  const result = `task ${jediTaskID} is ${status}: ${counted(task)}`;
  if (isDone) info(result);
  else fail(`${result}${errorDialog ? `; ${errorDialog}` : ''}. "pbook logs ${jediTaskID}" may tell more`);
}

interface Progress {
  show(task: ListedTask): void;
  end(): void;
}

async function bar(): Promise<Progress> {
  const { default: ora } = await import('ora');
  const spinner = ora({ discardStdin: false, stream: process.stderr });
  return {
    show(task) {
      spinner.text = `${printable(task.status)} [${filled(task)}] ${counted(task)}`;
      if (!spinner.isSpinning) spinner.start();
    },
    end: () => spinner.stop(),
  };
}

function lines(): Progress {
  let last = '';
  return {
    show(task) {
      const line = `task ${task.jediTaskID} is ${task.status}: ${counted(task)}`;
      if (line !== last) note(line);
      last = line;
    },
    end() {},
  };
}

const BAR_SIGNS = 30;

/** `#` for what finished, `x` for what failed, of the whole. */
function filled({ nfiles, nfilesfinished, nfilesfailed }: ListedTask): string {
  const signs = (count: number) => Math.floor((count / Math.max(nfiles, 1)) * BAR_SIGNS);
  return ('#'.repeat(signs(nfilesfinished)) + 'x'.repeat(signs(nfilesfailed)))
    .slice(0, BAR_SIGNS)
    .padEnd(BAR_SIGNS, '.');
}

/** `3 of 4 jobs finished, 1 failed` */
function counted({ nfiles, nfilesfinished, nfilesfailed }: ListedTask): string {
  const failed = nfilesfailed > 0 ? `, ${nfilesfailed} failed` : '';
  return `${nfilesfinished} of ${nfiles} ${nfiles === 1 ? 'job' : 'jobs'} finished${failed}`;
}
