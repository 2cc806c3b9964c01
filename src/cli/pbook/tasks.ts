import type { Client } from '../../client/client.ts';
import { Conflict, InvalidArgument, PandaError, Refused } from '../../protocol/errors.ts';
import { KILL_GRACE_SECONDS, KILL_POLL_SECONDS } from '../../protocol/limits.ts';
import { SealedRefusal } from '../../protocol/sealed-refusal.ts';
import { withConnection } from '../command.ts';
import { existingKeyFolder } from '../own-keys.ts';
import { fail, info, printJson } from '../reporting.ts';
import { parseIds, taskIdsOf } from './task-ids.ts';

interface Options {
  json?: boolean;
}

/** The server's answer about one task. */
export interface TaskResult {
  jediTaskID: number;
  success: boolean;
  message: string;
}

/** Like the two below: answers for each task how it went. */
export async function kill(words: readonly string[], options: Options = {}): Promise<TaskResult[]> {
  return await forEachTask(words, KILL, options);
}

/** `finish ID... [soft=True]` */
export async function finish(
  words: readonly string[],
  { soft = false, ...options }: { soft?: boolean } & Options,
): Promise<TaskResult[]> {
  const work = { ...FINISH, ask: (client: Client, id: number) => client.finishTask(id, { soft }) };
  return await forEachTask(words, work, options);
}

export async function retry(words: readonly string[], options: Options = {}): Promise<TaskResult[]> {
  if (!(await existingKeyFolder())) return await forEachTask(words, RETRY, options);
  const { retryTask } = await import('./sealed-retry.ts');
  const say = options.json ? () => {} : info;
  return await forEachTask(words, { ...RETRY, ask: (client, id) => retryTask(client, id, say) }, options);
}

/** The acts on a task, in the words that PanDA's pbook prints. */
interface TaskWork {
  ask(client: Client, taskId: number): Promise<string>;
  before?: string;
  done?(taskId: number): string;
  failed(taskId: number): string;
}

const KILL: TaskWork = {
  ask: (client, id) => client.killTask(id),
  before: 'Sending killTask command ...',
  done: (id) =>
    `Done, jediTaskID=${id} will be killed within ${KILL_POLL_SECONDS + KILL_GRACE_SECONDS} seconds, on a pilot of PanDA's own within 30 min`,
  failed: (id) => `Failed to kill jediTaskID=${id}`,
};
const FINISH = {
  before: 'Sending finishTask command ...',
  done: (id: number) => `Done, jediTaskID=${id} will be finished soon`,
  failed: (id: number) => `Failed to finish jediTaskID=${id}`,
};
const RETRY: TaskWork = {
  ask: (client, id) => client.retryTask(id),
  failed: (id) => `Failed to retry TaskID=${id}`,
};

/** Of one task alone: the next one may go. */
const REFUSALS = [Refused, SealedRefusal, InvalidArgument, Conflict];

/** Does it to all of them, also when one is refused, and says of each how it went. */
async function forEachTask(
  words: readonly string[],
  { ask, before, done, failed }: TaskWork,
  { json = false }: Options,
): Promise<TaskResult[]> {
  const ids = parseIds(words);
  const say = json ? () => {} : info;
  const results = await withConnection(async ({ client }) => {
    const answers: TaskResult[] = [];
    for (const id of await taskIdsOf(client, ids)) {
      if (before) say(before);
      try {
        const message = (await ask(client, id)) || 'OK';
        say(message);
        if (done) say(done(id));
        answers.push({ jediTaskID: id, success: true, message });
      } catch (error) {
        if (!(error instanceof PandaError && REFUSALS.some((kind) => error instanceof kind))) throw error;
        fail(error.message);
        fail(failed(id));
        answers.push({ jediTaskID: id, success: false, message: error.message });
      }
    }
    return answers;
  });
  if (json) {
    const reason =
      results.length === 0
        ? `you have no task with the request id ${ids.join(', ')}`
        : results.find(isRefused)?.message;
    printJson(results, { success: isDone(results), ...(reason !== undefined && { message: reason }) });
  }
  return results;
}

function isRefused({ success }: TaskResult): boolean {
  return !success;
}

/** True when there were tasks, and each was told so. */
export function isDone(results: readonly TaskResult[]): boolean {
  return results.length > 0 && results.every(({ success }) => success);
}
