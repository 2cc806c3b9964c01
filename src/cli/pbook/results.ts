import type { Client } from '../../client/client.ts';
import type { ListedJobFile } from '../../protocol/calls/job.ts';
import { NotFound } from '../../protocol/errors.ts';
import { withConnection } from '../command.ts';
import { info, note, printJson } from '../reporting.ts';
import { parseId } from './task-ids.ts';

/** `logs TASKID`: the logs of the last attempt of each job, one after another. */
export async function logs(word: string, { json, signal }: { json?: boolean; signal?: AbortSignal }): Promise<void> {
  const taskId = parseId(word);
  await withConnection(async ({ client }) => {
    const files = await filesOf(client, taskId, 'log');
    if (json) return printJson(files);
    const { writeLog } = await import('../../client/results.ts');
    for (const file of files) {
      if (files.length > 1) note(`==> job ${file.serial} of ${files.length} (PandaID ${file.job_id}) <==`);
      await writeLog(client, file, process.stdout);
    }
  }, signal);
}

/** `get_outputs TASKID [--dir DIR]` */
export async function getOutputs(
  word: string,
  { dir = '.', force = false, json, signal }: { dir?: string; force?: boolean; json?: boolean; signal?: AbortSignal },
): Promise<void> {
  const taskId = parseId(word);
  await withConnection(async ({ client }) => {
    const files = await filesOf(client, taskId, 'output');
    const { fetchOutput } = await import('../../client/results.ts');
    for (const file of files) {
      const fetched = await fetchOutput(client, file, dir, { overwrite: force });
      if (!json)
        info(fetched === 'written' ? `got ${file.name} (${file.size} bytes)` : `${file.name} is there already`);
    }
    if (json) printJson(files);
  }, signal);
}

/** @throws NotFound when there is none yet, with the state of the task */
async function filesOf(client: Client, taskId: number, kind: ListedJobFile['kind']): Promise<ListedJobFile[]> {
  const files = (await client.getJobFiles(taskId)).filter((file) => file.kind === kind);
  if (files.length > 0) return files;
  const what = kind === 'log' ? 'no log' : 'no output';
  throw new NotFound(`task ${taskId} has ${what} so far; it is ${await client.getTaskStatus(taskId)}`);
}
