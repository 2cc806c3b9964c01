import type { Client } from '../../client/client.ts';
import type { ListedJobFile } from '../../protocol/calls/job.ts';
import { NotFound } from '../../protocol/errors.ts';
import { isEndedTask } from '../../protocol/states.ts';
import { withConnection } from '../command.ts';
import { info, note, printJson, UsageError } from '../reporting.ts';
import { parseId } from './task-ids.ts';

/** `logs TASKID`: the logs of the last attempt of each job, one after another; of jobs that run, as far as they have come. */
export async function logs(
  word: string,
  { json, follow = false }: { json?: boolean; follow?: boolean },
): Promise<readonly ListedJobFile[]> {
  const taskId = parseId(word);
  if (follow && json)
    throw new UsageError('--follow prints what comes, and --json lists what is there: give one of the two');
  if (follow) {
    await (await import('./follow-logs.ts')).follow(taskId);
    return [];
  }
  return await withConnection(async ({ client }) => {
    const files = (await client.getJobFiles(taskId)).filter(({ kind }) => kind === 'log');
    if (json) printJson(files);
    if (json) return files;
    const { writeLog, writeLiveLog } = await import('../../client/results.ts');
    const jobs = await client.getJobIds(taskId);
    let printed = 0;
    for (const [place, jobId] of jobs.entries()) {
      const title = jobs.length > 1 ? `==> job ${place + 1} of ${jobs.length} (PandaID ${jobId}) <==` : '';
      const file = files.find(({ job_id }) => job_id === jobId);
      if (file) {
        if (title) note(title);
        await writeLog(client, file, process.stdout);
        printed += 1;
      } else if (await writeLiveLog(client, jobId, process.stdout, () => title && note(title))) printed += 1;
    }
    if (printed === 0) throw await nothingYet(client, taskId, 'log');
    return files;
  });
}

/** `get_outputs TASKID [--dir DIR]` */
export async function getOutputs(
  word: string,
  { dir = '.', force = false, json }: { dir?: string; force?: boolean; json?: boolean },
): Promise<readonly ListedJobFile[]> {
  const taskId = parseId(word);
  return await withConnection(async ({ client }) => {
    const files = (await client.getJobFiles(taskId)).filter(({ kind }) => kind === 'output');
    if (files.length === 0) throw await nothingYet(client, taskId, 'output');
    const { fetchOutput } = await import('../../client/results.ts');
    for (const file of files) {
      const fetched = await fetchOutput(client, file, dir, { overwrite: force });
      if (!json)
        info(fetched === 'written' ? `fetched ${file.name} (${file.size} bytes)` : `${file.name} is there already`);
    }
    if (json) printJson(files);
    return files;
  });
}

/** With the state of the task, which says why. */
async function nothingYet(client: Client, taskId: number, what: 'log' | 'output'): Promise<NotFound> {
  const status = await client.getTaskStatus(taskId);
  const [task] = isEndedTask(status) ? await client.listTasks({ filters: { jediTaskID: String(taskId) } }) : [];
  const reason = task?.errorDialog ? `: ${task.errorDialog}` : '';
  return new NotFound(`task ${taskId} has no ${what} so far; it is ${status}${reason}`);
}
