import type { PilotJob } from '../protocol/calls/pilot.ts';

/** The lines in a job's log on secrets that the server left out. A server may say anything: only whole numbers are passed on. */
export function leftOutBy(
  { secretsLeftOut, secretsSealedLeftOut, secretsExpired }: PilotJob,
  queue: string,
): readonly string[] {
  return [
    ...counted(secretsLeftOut, `secrets that are not here because they may not go to queue ${queue}`),
    ...counted(secretsSealedLeftOut, 'secrets that are not here because their owner sealed them, and not for this job'),
    ...counted(secretsExpired, 'secrets that are not here because they have expired'),
  ];
}

function counted(count: unknown, what: string): string[] {
  return Number.isSafeInteger(count) && (count as number) > 0 ? [`${what}: ${count}`] : [];
}
