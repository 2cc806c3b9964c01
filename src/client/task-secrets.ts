import type { ListedSecret } from '../protocol/calls/creds.ts';
import { InvalidArgument, NotFound, UnknownCall } from '../protocol/errors.ts';
import type { LeakedOutputs } from '../protocol/leaked-outputs.ts';
import { SECRETS_FILE, splitWireName, type WireName, wireName } from '../protocol/names.ts';
import { formsOf, SECRET_FORMS, type SecretForm } from '../protocol/secret-forms.ts';
import { tlsQueueWarning } from '../protocol/tls-queues.ts';
import { checkTrusted, isTrusted } from '../protocol/trusted-queues.ts';
import type { Client } from './client.ts';
import { expiryWarnings, isOver } from './expiry-warnings.ts';
import { noSuchSecret } from './secrets.ts';

/** The secrets of its owner that a task asks for. */
export interface WantedSecrets {
  useSecrets: boolean;
  /** The only ones, by the names that their owner knows; all of them when left out. */
  secrets?: readonly string[] | undefined;
  /** In which forms jobs find them; in every one when left out. */
  secretForms?: readonly SecretForm[] | undefined;
  /** The treatment of outputs that hold secrets, where it is not `warn`. */
  leakedOutputs?: LeakedOutputs | undefined;
  /** The queue; any when left out. */
  site?: string | undefined;
  /** Milliseconds since 1970; this moment when left out. */
  now?: number | undefined;
}

/**
 * Checks what a task asks of secrets against those that there are, before anything is sent: the server would refuse the same. The
 * list that answers this is an extension, so that a server which would give a task other secrets than these, or in other forms,
 * refuses here.
 *
 * @param warn of secrets that some jobs do not get
 * @returns `names`: those on the wire, in the order given; undefined for all. `files`: the names of the files among them that jobs
 *   find in their working directory, and `panda_secrets.json` where they find that
 * @throws NotFound for secrets that do not exist or have expired; Forbidden for those that may not go to the task's queue; InvalidArgument when
 * none of those named would reach its jobs in the forms that it asks for
 */
export async function checkSecrets(
  client: Client,
  { useSecrets, secrets: names, secretForms, leakedOutputs, site, now = Date.now() }: WantedSecrets,
  warn: (text: string) => void,
): Promise<{ names: WireName[] | undefined; files: string[] }> {
  if (!useSecrets) return { names: undefined, files: [] };
  if (names?.length === 0) throw new InvalidArgument('--useSecrets= needs a name after "="; without "=" it gives all');
  const listed = await client.listSecrets().catch((error: Error) => {
    if (error instanceof UnknownCall && !names && !secretForms && !leakedOutputs) return undefined;
    throw error;
  });
  if (!listed) return { names: undefined, files: filesOf([]) };
  if (!names) {
    const sealed = listed.filter((secret) => secret.sealed).map(({ name }) => name);
    if (sealed.length > 0) warn(`${sealed.join(', ')}: sealed, and not with a key of this device: jobs do not get it`);
    if (listed.length === 0) warn(`you have no secrets: ${noneFound(secretForms)}`);
    for (const secret of listed) warnWhereLeftOut(secret, site, warn);
    for (const text of expiryWarnings(listed, now)) warn(text);
    const good = listed.filter((secret) => !isOver(secret, now));
    for (const secret of withoutForm(good, secretForms)) warn(inNoForm(secret, secretForms));
    await warnOfTls(client, good, site, warn);
    return { names: undefined, files: filesOf(good, secretForms) };
  }
  const missing = names.filter((name) => !listed.some((secret) => secret.name === name));
  if (missing.length > 0) {
    throw noSuchSecret(missing);
  }
  const sealed = names.filter((name) => listed.some((secret) => secret.name === name && secret.sealed));
  if (sealed.length > 0) {
    throw new InvalidArgument(
      `${sealed.join(', ')}: sealed, and not with a key of this device: "pbook keys import" brings yours`,
    );
  }
  const chosen = [...new Set(names.flatMap((name) => listed.filter((secret) => secret.name === name)))];
  const warnings = expiryWarnings(chosen, now);
  if (chosen.some((secret) => isOver(secret, now))) throw new NotFound(warnings.join('; '));
  for (const text of warnings) warn(text);
  const given = chosen.map(({ name, kind, queues = null }) => ({ name: wireName(name, kind), queues }));
  checkTrusted(given, site ?? null);
  checkReached(chosen, secretForms, warn);
  await warnOfTls(client, chosen, site, warn);
  return { names: given.map(({ name }) => name), files: filesOf(chosen, secretForms) };
}

/** The same for secrets that are sealed, of which their owner's device knows, and no server is asked. */
export function checkForms(
  names: readonly WireName[],
  { secretForms }: Pick<WantedSecrets, 'secretForms'>,
  warn: (text: string) => void,
): { names: WireName[]; files: string[] } {
  const chosen = names.map(splitWireName);
  checkReached(chosen, secretForms, warn);
  return { names: [...names], files: filesOf(chosen, secretForms) };
}

/** A secret, as far as the forms in which a job finds it depend on it. */
type Formed = Parameters<typeof formsOf>[0];

function checkReached(
  chosen: readonly Formed[],
  secretForms: readonly SecretForm[] | undefined,
  warn: (text: string) => void,
): void {
  const lost = withoutForm(chosen, secretForms);
  if (lost.length === chosen.length) {
    const each = lost.map((secret) => inNoForm(secret, secretForms));
    throw new InvalidArgument(`none of the secrets that the task names would reach its jobs: ${each.join('; ')}`);
  }
  for (const secret of lost) warn(inNoForm(secret, secretForms));
}

async function warnOfTls(
  client: Client,
  secrets: readonly ListedSecret[],
  site: string | undefined,
  warn: (text: string) => void,
): Promise<void> {
  if (secrets.length === 0) return;
  const { tls_queues } = await client.getQueueNotices();
  const asked = secrets.map(({ queues = null }) => ({ queues }));
  const text = tlsQueueWarning(asked, site, tls_queues);
  if (text !== undefined) warn(text);
}

function filesOf(secrets: readonly Formed[], forms: readonly SecretForm[] = SECRET_FORMS): string[] {
  const json = forms.includes('json') ? [SECRETS_FILE] : [];
  if (!forms.includes('files')) return json;
  return [...json, ...secrets.filter((secret) => formsOf(secret).includes('files')).map(({ name }) => name)];
}

function noneFound(forms: readonly SecretForm[] = SECRET_FORMS): string {
  return forms.includes('json') ? `jobs find {} in ${SECRETS_FILE}` : 'jobs get none';
}

function withoutForm(secrets: readonly Formed[], forms: readonly SecretForm[] = SECRET_FORMS): Formed[] {
  return secrets.filter((secret) => !formsOf(secret).some((form) => forms.includes(form)));
}

function inNoForm(secret: Formed, forms: readonly SecretForm[] = SECRET_FORMS): string {
  return `${secret.name} does not reach the jobs with --secretsAs ${forms.join(',')}: add ${formsOf(secret).join(' or ')}`;
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
