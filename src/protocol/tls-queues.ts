import { isTrusted, type TrustedQueues } from './trusted-queues.ts';

/** A queue that gives secrets over TLS alone; `since` when, as ISO 8601, where it did not from the start. */
export interface ToldTlsQueue {
  readonly queue: string;
  readonly since: string | null;
}

/** The remark on a secret that names such queues; nothing for another. */
export function tlsQueueRemark(queues: TrustedQueues, weak: readonly ToldTlsQueue[]): string[] {
  const named = weak.filter(({ queue }) => queues?.includes(queue));
  return named.length === 0 ? [] : [`over TLS alone too on ${named.map(shown).join(', ')}`];
}

/**
 * The warning for a task whose jobs get secrets.
 *
 * @param secrets those of its owner that it asks for
 * @param site its queue; undefined for any
 */
export function tlsQueueWarning(
  secrets: readonly { queues: TrustedQueues }[],
  site: string | undefined,
  weak: readonly ToldTlsQueue[],
): string | undefined {
  if (!secrets.some(({ queues }) => isTrusted(queues, site ?? null))) return undefined;
  const where = site === undefined ? weak : weak.filter(({ queue }) => queue === site);
  if (where.length === 0) return undefined;
  const may = site === undefined ? 'jobs may run on' : 'jobs run on';
  return (
    `${may} ${where.map(shown).join(', ')}, where pilots without a key get secrets over TLS alone, and a pilot of PanDA's ` +
    'writes them in clear into its own log; "--site" names another queue'
  );
}

function shown({ queue, since }: ToldTlsQueue): string {
  return since === null ? queue : `${queue} (since ${since.slice(0, 10)})`;
}
