import { watchTask } from '../../client/watch-task.ts';
import type { ListedTask } from '../../protocol/calls/task.ts';
import { withConnection } from '../command.ts';
import { EXIT_REFUSED, fail, info, isLiveTerminal, note, printable, warn } from '../reporting.ts';

/** The exit status of a process that Ctrl-C ends, as shells count it. */
const EXIT_INTERRUPTED = 130;

/**
 * Follows a task to its end, on standard error: at a terminal with a bar that moves, elsewhere with a line for each change. The
 * exit status of the process becomes 0 only when every job finished. Ctrl-C ends the waiting and the process, not the task.
 *
 * @returns its end, which is also printed unless `json`
 */
export async function waitForTask(taskId: number, { json }: { json: boolean }): Promise<TaskEnd> {
  const progress = isLiveTerminal(process.stderr) ? await bar() : lines();
  const leave = () => {
    progress.end();
    note(
      `no longer waiting; the task goes on. "pbook show ${taskId}" tells how it is, "pbook logs -f ${taskId}" what it ` +
        `prints, and "pbook kill ${taskId}" ends it`,
    );
    process.exit(EXIT_INTERRUPTED);
  };
  process.once('SIGINT', leave);
  try {
    const task = await withConnection(async ({ client }) => {
      let latest: ListedTask | undefined;
      for await (const now of watchTask(client, taskId, {
        onTrouble: (error) => warn(`${error.message}; trying on`),
      })) {
        progress.show(now);
        latest = now;
      }
      return latest as ListedTask;
    });
    progress.end();
    const isDone = task.status === 'done';
    if (!isDone) process.exitCode = EXIT_REFUSED;
    if (!json) tell(task, isDone);
    const { status, errorDialog, nfiles, nfilesfinished, nfilesfailed } = task;
    return { status, errorDialog, nfiles, nfilesfinished, nfilesfailed };
  } finally {
    progress.end();
    process.off('SIGINT', leave);
  }
}

/** A task's end, in PanDA's names. */
type TaskEnd = Pick<ListedTask, 'status' | 'errorDialog' | 'nfiles' | 'nfilesfinished' | 'nfilesfailed'>;

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
