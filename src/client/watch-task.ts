import { setTimeout as delay } from 'node:timers/promises';
import type { ListedTask } from '../protocol/calls/task.ts';
import { NotFound, type Unavailable } from '../protocol/errors.ts';
import { FOLLOW_SECONDS } from '../protocol/limits.ts';
import { isEndedTask } from '../protocol/states.ts';
import { repeatUnanswered } from './repeat-unanswered.ts';
import type { TaskCalls } from './tasks.ts';

/**
 * A task every few seconds, as it is then, until it has ended: the last is how it ended.
 *
 * @param onTrouble told when the server does not answer, once each time
 * @throws {NotFound} when the server does not know it; what the call throws otherwise, `Unavailable` only after a while
 */
export async function* watchTask(
  client: Pick<TaskCalls, 'listTasks'>,
  taskId: number,
  {
    everySeconds = FOLLOW_SECONDS,
    onTrouble = () => {},
  }: { everySeconds?: number; onTrouble?: (error: Unavailable) => void } = {},
): AsyncGenerator<ListedTask> {
  const query = { filters: { jediTaskID: String(taskId) } };
  for (;;) {
    const [task] = await repeatUnanswered(() => client.listTasks(query), { everySeconds, onTrouble });
    if (!task) throw new NotFound(`you have no task ${taskId}`);
    yield task;
    if (isEndedTask(task.status)) return;
    await delay(everySeconds * 1000);
  }
}
