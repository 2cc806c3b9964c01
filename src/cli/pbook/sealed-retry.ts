import type { Client } from '../../client/client.ts';
import { detailsOf } from '../../client/tasks.ts';
import { Conflict, InvalidArgument } from '../../protocol/errors.ts';
import { splitWireName, type WireName } from '../../protocol/names.ts';
import { isTrusted } from '../../protocol/trusted-queues.ts';
import { grantedJob } from '../../sealed/admission.ts';
import { type Grant, readGrant } from '../../sealed/grant.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import { currentSites, resealSecret } from '../../sealed/own-secrets.ts';
import { grantAgain } from '../../sealed/task-grant.ts';
import { ownKeys } from '../own-keys.ts';

/**
 * Retries a task. One with sealed secrets is signed for again, which says what runs: the server shows the grant before, and only a grant
 * of the user's own for this very task is renewed.
 *
 * @returns the server's message
 */
export async function retryTask(client: Client, task: number, say: (text: string) => void): Promise<string> {
  const details = await detailsOf(client, task);
  if (details?.grant === undefined) return await client.retryTask(task);
  if (details.grant === null) {
    throw new Conflict(
      `task ${task} never had a grant, and only the prun that submitted it could sign: "pbook kill ${task}" ends it; then submit again`,
    );
  }
  const own = await ownKeys();
  if (!own)
    throw new Conflict(`task ${task} has sealed secrets, and this device has no key: "pbook keys import" brings it`);
  const word = await signAgain(client, own, task, details.grant, say);
  await own.tasks.again(readGrant(details.grant), readGrant(word), Date.now() / 1000);
  if (details.status !== 'paused') await client.retryTask(task, { sealed: true });
  return await client.grantTask(task, word);
}

async function signAgain(
  client: Client,
  own: OwnKeys,
  task: number,
  before: string,
  say: (text: string) => void,
): Promise<string> {
  const now = Date.now() / 1000;
  const old = readGrant(before);
  const marks = await Promise.all(old.secrets.map(({ name }) => own.marks.of(name as WireName)));
  const queues = (await own.sites.list())
    .filter(({ id }) => old.sites.includes(id))
    .filter(({ queue }) => marks.every((mark) => isTrusted(mark?.queues ?? null, queue)));
  const sites = queues.length > 0 ? queues.map(({ id }) => id) : old.sites;
  const word = grantAgain(own, before, { task, sites }, now, crypto.getRandomValues(new Uint8Array(16)));
  if (queues.length === 0) {
    throw new InvalidArgument(`task ${task} is for a site that you do not trust any more, or not with its secrets`);
  }
  await currentSites(
    client,
    own,
    queues.map(({ queue }) => queue),
    now,
  );
  for (const [place, mark] of marks.entries()) {
    const name = splitWireName(old.secrets[place]?.name as WireName).name;
    if (!mark || mark.deleted) throw new InvalidArgument(`${name}, which task ${task} needs, was deleted here`);
    if (await resealSecret(client, own, mark, now)) say(`${name} is sealed anew`);
  }
  tell(readGrant(word), queues, say);
  return word;
}

function tell(grant: Grant, queues: readonly { queue: string; id: string }[], say: (text: string) => void): void {
  const names = grant.secrets.map(({ name }) => splitWireName(name as WireName).name).join(', ');
  say(`signing again for task ${grant.task}, which runs: ${grantedJob(grant, 1).payload.command}`);
  say(`at ${queues.map(({ queue, id }) => `${queue} (${id})`).join(', ')}, with ${names}, until ${endOf(grant)}`);
}

/** When a grant ends, for people. */
export function endOf({ end }: Pick<Grant, 'end'>): string {
  return `${new Date(end * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
