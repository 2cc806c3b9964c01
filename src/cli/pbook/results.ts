import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../../client/client.ts';
import type { ListedJobFile } from '../../protocol/calls/job.ts';
import { NotFound } from '../../protocol/errors.ts';
import { SealedRefusal } from '../../protocol/sealed-refusal.ts';
import { isEndedTask } from '../../protocol/states.ts';
import { withConnection } from '../command.ts';
import { fail, info, note, printJson, UsageError } from '../reporting.ts';
import { type OwnResults, ownResults } from './own-results.ts';
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
    if (json) {
      const files = (await client.getJobFiles(taskId)).filter(({ kind }) => kind === 'log');
      printJson(files);
      return files;
    }
    const results = await ownResults(client, taskId);
    const logFiles = (await results.client.getJobFiles(taskId)).filter(({ kind }) => kind === 'log');
    const jobs = await results.client.getJobIds(taskId);
    let printed = 0;
    const print = async (jobId: number, title: string) => {
      const { writeLog, writeLiveLog } = await import('../../client/results.ts');
      const file = logFiles.find(({ job_id }) => job_id === jobId);
      if (file) {
        if (title) note(title);
        await writeLog(results.client, file, process.stdout);
        printed += 1;
      } else if (await writeLiveLog(results.client, jobId, process.stdout, () => title && note(title))) printed += 1;
    };
    await withRefusals(results, 'log', async (refused) => {
      for (const [place, jobId] of jobs.entries()) {
        const title = jobs.length > 1 ? `==> job ${place + 1} of ${jobs.length} (PandaID ${jobId}) <==` : '';
        await print(jobId, title).catch(refused);
      }
    });
    if (printed === 0) throw await nothingYet(client, taskId, 'log');
    return logFiles;
  });
}

/** `get_outputs TASKID [--dir DIR]` */
export async function getOutputs(
  word: string,
  { dir = '.', force = false, json }: { dir?: string; force?: boolean; json?: boolean },
): Promise<readonly ListedJobFile[]> {
  const taskId = parseId(word);
  return await withConnection(async ({ client }) => {
    const results = await ownResults(client, taskId);
    const files = (await results.client.getJobFiles(taskId)).filter(({ kind }) => kind === 'output');
    const { fetchOutput } = await import('../../client/results.ts');
    await withRefusals(results, 'output', async (refused) => {
      for (const file of files) {
        const fetched = await fetchOutput(results.client, file, dir, { overwrite: force }).catch(refused);
        if (!fetched || json) continue;
        const { size } = await stat(join(dir, file.name));
        info(fetched === 'written' ? `fetched ${file.name} (${size} bytes)` : `${file.name} is there already`);
      }
    });
    if (files.length === 0) throw await nothingYet(client, taskId, 'output');
    if (json) printJson(files);
    return files;
  });
}

/**
 * Lets a result that is refused keep no other from being read: each but the last is told, and the command fails with that one.
 *
 * @param work is given what takes a refusal
 */
async function withRefusals(
  results: OwnResults,
  kind: ListedJobFile['kind'],
  work: (refused: (error: unknown) => undefined) => Promise<void>,
): Promise<void> {
  const refusals: SealedRefusal[] = [];
  const refused = (error: unknown) => {
    if (!(error instanceof SealedRefusal)) throw error;
    refusals.push(error);
    return undefined;
  };
  try {
    await work(refused);
    if (refusals.length === 0) await results.tellMissing(kind).catch(refused);
  } finally {
    await results.close();
  }
  const last = refusals.pop();
  for (const { message, code } of refusals) fail(`${message} (${code})`);
  if (last) throw last;
}

/** With the state of the task, which says why. */
async function nothingYet(client: Client, taskId: number, what: 'log' | 'output'): Promise<NotFound> {
  const status = await client.getTaskStatus(taskId);
  const [task] = isEndedTask(status) ? await client.listTasks({ filters: { jediTaskID: String(taskId) } }) : [];
  const reason = task?.errorDialog ? `: ${task.errorDialog}` : '';
  return new NotFound(`task ${taskId} has no ${what} so far; it is ${status}${reason}`);
}
