import type { TaskCalls } from '../../client/tasks.ts';
import { FIRST_TASK_ID } from '../../protocol/limits.ts';
import { fail, UsageError } from '../reporting.ts';

/**
 * Numbers as a user gives them, `123 456` or `123,456`.
 *
 * @throws {UsageError} when there is none, or one is not a number
 */
export function parseIds(words: readonly string[]): number[] {
  const ids = words.flatMap((word) => word.split(',')).filter((word) => word !== '');
  if (ids.length === 0) throw new UsageError('no task is named: give its jediTaskID; "pbook show" lists them');
  return ids.map(parseId);
}

/** @throws {UsageError} */
export function parseId(word: string): number {
  const id = Number(word);
  if (!/^\d+$/.test(word) || !Number.isSafeInteger(id) || id === 0) {
    throw new UsageError(`"${word}" is not a task id, which is a number; "pbook show" lists them`);
  }
  return id;
}

/** Numbers below `FIRST_TASK_ID` are request ids, and stand for the tasks of that request. */
export function isRequestId(id: number): boolean {
  return id < FIRST_TASK_ID;
}

/** The tasks that the numbers stand for. A request without tasks is reported and left out. */
export async function taskIdsOf(client: TaskCalls, ids: readonly number[]): Promise<number[]> {
  const found = await Promise.all(
    ids.map(async (id) => {
      if (!isRequestId(id)) return [id];
      const tasks = await client.listTasks({ filters: { reqID: String(id) } });
      if (tasks.length === 0) fail(`you have no task with the request id ${id}`);
      return tasks.map((task) => task.jediTaskID);
    }),
  );
  return found.flat();
}
