import type { Client } from '../../client/client.ts';
import { Refused } from '../../protocol/errors.ts';
import { withConnection } from '../command.ts';
import { fail, info } from '../reporting.ts';
import { parseIds, taskIdsOf } from './task-ids.ts';

/** Like the two below: answers for each task whether it was told so. */
export async function kill(words: readonly string[]): Promise<boolean[]> {
  return await forEachTask(words, KILL);
}

/** `finish ID... [soft=True]` */
export async function finish(words: readonly string[], { soft = false }: { soft?: boolean }): Promise<boolean[]> {
  const work = { ...FINISH, ask: (client: Client, id: number) => client.finishTask(id, { soft }) };
  return await forEachTask(words, work);
}

export async function retry(words: readonly string[]): Promise<boolean[]> {
  return await forEachTask(words, RETRY);
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
  done: (id) => `Done, jediTaskID=${id} will be killed within the next 30 min`,
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

/** Does it to all of them, also when one is refused, and says of each how it went. */
async function forEachTask(words: readonly string[], { ask, before, done, failed }: TaskWork): Promise<boolean[]> {
  const ids = parseIds(words);
  return await withConnection(async ({ client }) => {
    const results: boolean[] = [];
    for (const id of await taskIdsOf(client, ids)) {
      if (before) info(before);
      try {
        info((await ask(client, id)) || 'OK');
        if (done) info(done(id));
        results.push(true);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        fail(error.message);
        fail(failed(id));
        results.push(false);
      }
    }
    return results;
  });
}
