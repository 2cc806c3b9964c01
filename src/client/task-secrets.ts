import type { ListedSecret } from '../protocol/calls/creds.ts';
import { InvalidArgument, NotFound, UnknownCall } from '../protocol/errors.ts';
import { type WireName, wireName } from '../protocol/names.ts';
import type { SecretForm } from '../protocol/secret-forms.ts';
import { checkTrusted, isTrusted } from '../protocol/trusted-queues.ts';
import type { Client } from './client.ts';

/** The secrets of its owner that a task asks for. */
export interface WantedSecrets {
  useSecrets: boolean;
  /** The only ones, by the names that their owner knows; all of them when left out. */
  secrets?: readonly string[] | undefined;
  /** In which forms jobs find them; in every one when left out. */
  secretForms?: readonly SecretForm[] | undefined;
  /** The queue; any when left out. */
  site?: string | undefined;
}

/**
 * Checks what a task asks of secrets against those that there are, before anything is sent: the server would refuse the same. The
 * list that answers this is an extension, so that a server which would give a task other secrets than these, or in other forms,
 * refuses here.
 *
 * @param warn of secrets that some jobs do not get
 * @returns `names`: those on the wire, in the order given, where a string and a file share one both; undefined for all.
 *   `files`: the names of the files among them that jobs find in their working directory
 * @throws NotFound for secrets that do not exist; Forbidden for those that may not go to the task's queue
 */
export async function checkSecrets(
  client: Client,
  { useSecrets, secrets: names, secretForms, site }: WantedSecrets,
  warn: (text: string) => void,
): Promise<{ names: WireName[] | undefined; files: string[] }> {
  if (!useSecrets) return { names: undefined, files: [] };
  if (names?.length === 0) throw new InvalidArgument('--useSecrets= needs a name after "="; without "=" it gives all');
  const listed = await client.listSecrets().catch((error: Error) => {
    if (error instanceof UnknownCall && !names && !secretForms) return [];
    throw error;
  });
  if (!names) {
    for (const secret of listed) warnWhereLeftOut(secret, site, warn);
    return { names: undefined, files: filesOf(listed, secretForms) };
  }
  const missing = names.filter((name) => !listed.some((secret) => secret.name === name));
  if (missing.length > 0) {
    throw new NotFound(`you have no secret named ${missing.join(', ')}; "pbook list_secrets" lists them`);
  }
  const chosen = names.flatMap((name) => listed.filter((secret) => secret.name === name));
  const sent = chosen.map(withWireName);
  checkTrusted(sent, site ?? null);
  return { names: [...new Set(sent.map(({ name }) => name))], files: filesOf(chosen, secretForms) };
}

function filesOf(secrets: readonly ListedSecret[], forms: readonly SecretForm[] | undefined): string[] {
  if (forms && !forms.includes('files')) return [];
  return secrets.filter(({ kind }) => kind === 'file').map(({ name }) => name);
}

function withWireName({ name, kind, queues = null }: ListedSecret) {
  return { name: wireName(name, kind), queues };
}

function warnWhereLeftOut(
  { name, queues = null }: ListedSecret,
  site: string | undefined,
  warn: (text: string) => void,
) {
  if (queues === null || isTrusted(queues, site ?? null)) return;
  const where = site === undefined ? 'jobs on other queues do' : `jobs on queue ${site} do`;
  warn(`${name} goes to ${queues.join(', ')} only: ${where} not get it`);
}
