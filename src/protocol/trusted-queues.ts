import { Forbidden, InvalidArgument } from './errors.ts';
import { splitWireName, type WireName } from './names.ts';

/** The queues to which a secret may go, sorted and without repetition; null for any. */
export type TrustedQueues = readonly string[] | null;

/** Stands for any queue where queues are named. No queue can have that name. */
const ANY_QUEUE = '*';

const QUEUE_NAME = /^[\w.-]{1,64}$/;

/** @throws {InvalidArgument} when the name cannot be a queue's */
export function checkQueueName(name: string): void {
  if (QUEUE_NAME.test(name)) return;
  throw new InvalidArgument(`"${name}" cannot be a queue's name: 1 to 64 letters, digits, ".", "_" and "-"`);
}

/**
 * Reads the queues that an owner names; `*` alone stands for any. An empty list is refused and not taken for any: it is what
 * a script sends whose variable was not set.
 *
 * @throws {InvalidArgument} when it is empty, a name cannot be a queue's, or `*` is among others
 */
export function parseTrustedQueues(names: readonly string[]): TrustedQueues {
  if (names.length === 0) throw new InvalidArgument('queues: name at least one queue, or "*" for any');
  if (names.length === 1 && names[0] === ANY_QUEUE) return null;
  if (names.includes(ANY_QUEUE)) throw new InvalidArgument('queues: "*" stands for any queue and goes with no other');
  for (const name of names) checkQueueName(name);
  return [...new Set(names)].sort();
}

/** @param attribute `queues` of a secret, as the row has it */
export function trustedQueues(attribute: string | null): TrustedQueues {
  return attribute === null ? null : attribute.split(',');
}

/** @param queue where a job runs; null when it may be any */
export function isTrusted(queues: TrustedQueues, queue: string | null): boolean {
  return queues === null || (queue !== null && queues.includes(queue));
}

/**
 * Checks that a task may name these secrets.
 *
 * @param queue the task's; null when its jobs may run on any
 * @throws {Forbidden} naming all that may not go there, and where they may
 */
export function checkTrusted(
  secrets: readonly { name: WireName; queues: TrustedQueues }[],
  queue: string | null,
): void {
  const refused = secrets.filter(({ queues }) => !isTrusted(queues, queue));
  if (refused.length === 0) return;
  const which = refused.map(({ name, queues }) => `"${splitWireName(name).name}" goes to ${queues?.join(', ')}`);
  const task = queue === null ? 'the task names no queue' : `the task is for queue ${queue}`;
  throw new Forbidden(
    `${which.join('; ')} only: ${task}. Name one of these queues (prun --site), or leave the secret out`,
  );
}
