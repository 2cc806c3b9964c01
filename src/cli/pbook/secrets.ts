import { InvalidName } from '../../protocol/errors.ts';
import { parseWireName, type SecretKind, splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import {
  ATTRIBUTE_NAMES,
  type GivenAttributes,
  type ToldAttributes,
  typedAttributes,
} from '../../protocol/secret-attributes.ts';
import { formsOf } from '../../protocol/secret-forms.ts';
import type { ToldTlsQueue } from '../../protocol/tls-queues.ts';
import { withConnection } from '../command.ts';
import { info, printJson, UsageError, warn } from '../reporting.ts';
import { keywordArguments, truthValue } from './keyword-arguments.ts';
import { secretValue } from './secret-value.ts';
import { secretsTable } from './secrets-table.ts';

interface Options {
  json?: boolean;
  /** Gives the command up. */
  signal?: AbortSignal;
}

/** `set_secret KEY [VALUE] [is_file=True]`, and an option for each attribute that a secret may carry */
export async function setSecret(
  words: readonly string[],
  { file, json, signal, ...typed }: Options & { file?: string; [attribute: string]: unknown },
): Promise<void> {
  const [key, given, isFile, ...more] = words;
  if (key === undefined) throw new UsageError('set_secret needs KEY and VALUE; "pbook help set_secret" tells more');
  if (more.length > 0 || !/^(is_file=.*|true|false)?$/is.test(isFile ?? '')) {
    throw new UsageError('set_secret takes one KEY and one VALUE: put quotes round a value that has spaces');
  }
  const path = filePath(given, isFile, file);
  const attributes = typedAttributes(typed);
  const options = { ...(json && { json }), ...(signal && { signal }) };
  if (path !== undefined) return await keepSecret(key, { path }, attributes, options);
  userName(key, 'string'); // before the value is asked for
  await keepSecret(key, { value: await secretValue(key, given) }, attributes, options);
}

/** Keeps a value, or the file at a path, under a name as a user types it, with what else the secret is to carry. */
export async function keepSecret(
  key: string,
  content: { value: string } | { path: string },
  attributes: GivenAttributes,
  { json, signal }: Options = {},
): Promise<void> {
  const isFile = 'path' in content;
  const kind = isFile ? 'file' : 'string';
  const name = userName(key, kind);
  const value = isFile ? await readFile(content.path) : content.value;
  const message = await withConnection(({ client }) => client.setSecret(name, value, attributes), signal);
  (await import('./masking.ts')).remarkOnMasking(name, value, attributes.mask === 'whole' ? 'whole' : 'parts');
  if (formsOf({ name: key, kind }).length === 1) {
    const what = isFile ? 'a file' : 'an environment variable';
    warn(`${key} cannot be the name of ${what}: it reaches jobs in panda_secrets.json alone`);
  }
  done(message, json);
}

/** `list_secrets [full=True]` */
export async function listSecrets(
  words: readonly string[],
  { full, json, signal }: Options & { full?: boolean },
): Promise<void> {
  const { plain, named } = keywordArguments(words, ['full']);
  if (plain.length > 1) throw new UsageError('list_secrets takes full=True and nothing else');
  const whole = full === true || truthValue('full', named.full ?? plain[0]);
  const [secrets, carried, { tls_queues: weak }] = await withConnection(
    ({ client }) => Promise.all([client.getSecrets(undefined, warn), client.getAttributes(), client.getQueueNotices()]),
    signal,
  );
  if (json) {
    const listed = [...secrets].map(([wire, value]) => ({
      ...splitWireName(wire),
      value: value.reveal(),
      ...setAttributes(carried.get(wire)),
      ...weakAmong(carried.get(wire)?.queues ?? null, weak),
    }));
    printJson(listed);
  } else {
    process.stdout.write(secrets.size === 0 ? 'No secrets\n' : secretsTable(secrets, carried, { full: whole, weak }));
  }
}

/** The queues among those that a secret names which give it over TLS alone too, where there are any. */
function weakAmong(queues: readonly string[] | null, weak: readonly ToldTlsQueue[]): { tls_queues?: string[] } {
  const named = weak.map(({ queue }) => queue).filter((queue) => queues?.includes(queue));
  return named.length > 0 ? { tls_queues: named } : {};
}

/** Those that are set, by their names. */
function setAttributes(told: Partial<ToldAttributes> = {}): GivenAttributes {
  return Object.fromEntries(ATTRIBUTE_NAMES.flatMap((name) => (told[name] ? [[name, told[name]]] : [])));
}

/** `delete_secret KEY`, or `delete_secret id=ID` for a damaged one */
export async function deleteSecret(words: readonly string[], { json, signal }: Options): Promise<void> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('delete_secret takes one KEY, or id=ID');
  // No name has "=".
  const id = /^id=(.*)$/s.exec(key)?.[1];
  if (id !== undefined) {
    return done(await withConnection(({ client }) => client.deleteSecretById(id), signal), json);
  }
  const name = parseWireName(key);
  done(await withConnection(({ client }) => client.deleteSecret(name), signal), json);
}

/** `delete_all_secrets` */
export async function deleteAllSecrets({ yes, json, signal }: Options & { yes?: boolean }): Promise<void> {
  if (!yes && !(await isConfirmed())) return info('nothing was deleted');
  done(await withConnection(({ client }) => client.deleteAllSecrets(), signal), json);
}

/** The path of the file to upload, if one is meant: `--file PATH`, or VALUE with `is_file=True`. */
function filePath(given: string | undefined, isFile: string | undefined, file: string | undefined): string | undefined {
  const marked = isFile !== undefined && truthValue('is_file', isFile.replace(/^is_file=/, ''));
  if (file !== undefined) {
    if (given !== undefined) throw new UsageError('give either VALUE or --file PATH, not both');
    return file;
  }
  return marked ? given : undefined;
}

/** @throws InvalidName also for the mark of a file, which `--file` puts there */
function userName(key: string, kind: SecretKind): WireName {
  if (splitWireName(key as WireName).kind === 'file') {
    throw new InvalidName('a secret name may not start with "___file___:"; to store a file use --file PATH');
  }
  return wireName(key, kind);
}

async function readFile(path: string): Promise<string> {
  const { readSecretFile } = await import('../../client/secret-file.ts');
  return await readSecretFile(path);
}

async function isConfirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new UsageError('delete_all_secrets asks at a terminal; without one it needs --yes');
  }
  const { confirm } = await import('@inquirer/prompts');
  return await confirm({ message: 'Delete all your secrets?', default: false }, { output: process.stderr });
}

function done(message: string, json: boolean | undefined): void {
  if (json) printJson({ success: true, message: message || 'OK' });
  else info(message || 'OK');
}
