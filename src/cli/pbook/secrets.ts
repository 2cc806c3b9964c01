import type { Client } from '../../client/client.ts';
import { expiryWarnings } from '../../client/expiry-warnings.ts';
import { noSuchSecret, type ToldSecret } from '../../client/secrets.ts';
import { durationSeconds } from '../../protocol/duration.ts';
import { Forbidden, InvalidName, NotFound, UnknownCall } from '../../protocol/errors.ts';
import {
  isFileName,
  parseWireName,
  SECRETS_DIRECTORY,
  SECRETS_FILE,
  type SecretKind,
  splitWireName,
  type WireName,
  wireName,
} from '../../protocol/names.ts';
import { Plaintext } from '../../protocol/plaintext.ts';
import {
  ATTRIBUTE_NAMES,
  type GivenAttributes,
  type ToldAttributes,
  typedAttributes,
} from '../../protocol/secret-attributes.ts';
import { formsOf } from '../../protocol/secret-forms.ts';
import type { ToldTlsQueue } from '../../protocol/tls-queues.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import type { OwnSecret } from '../../sealed/own-secrets.ts';
import { withConnection } from '../command.ts';
import { existingKeyFolder, ownKeys } from '../own-keys.ts';
import { problemOf, readable, readOwnSecrets } from '../own-secrets.ts';
import { Declined, EXIT_REFUSED, info, note, printJson, UsageError, warn } from '../reporting.ts';
import { keywordArguments, truthValue } from './keyword-arguments.ts';
import { secretValue } from './secret-value.ts';
import type { NamedSecret } from './secrets-table.ts';

interface Options {
  json?: boolean;
}

/** `set_secret KEY [VALUE] [is_file=True]`, and an option for each attribute that a secret may carry */
export async function setSecret(
  words: readonly string[],
  { file, json, sealed, plain, ...typed }: Options & SealChoice & { file?: string; [attribute: string]: unknown },
): Promise<void> {
  const [key, given, isFile, ...more] = words;
  if (key === undefined) throw new UsageError('set_secret needs KEY and VALUE; "pbook help set_secret" tells more');
  if (more.length > 0 || !/^(is_file=.*|true|false)?$/is.test(isFile ?? '')) {
    throw new UsageError('set_secret takes one KEY and one VALUE: put quotes round a value that has spaces');
  }
  const path = filePath(given, isFile, file);
  const attributes = typedAttributes(typed, Date.now());
  if (sealed && plain) throw new UsageError('give --sealed or --plain, not both');
  const options = {
    ...(json && { json }),
    ...(sealed && { sealed }),
    ...(plain && { plain }),
  };
  if (path !== undefined) return await keepSecret(key, { path }, attributes, options);
  userName(key, 'string'); // before the value is asked for
  await keepSecret(key, { value: await secretValue(key, given) }, attributes, options);
}

/** Keeps a value, or the file at a path, under a name as a user types it, with what else the secret is to carry. */
export async function keepSecret(
  key: string,
  content: { value: string } | { path: string },
  attributes: GivenAttributes,
  { json, sealed, plain }: Options & SealChoice = {},
): Promise<void> {
  const isFile = 'path' in content;
  const kind = isFile ? 'file' : 'string';
  const name = userName(key, kind);
  const value = isFile ? await readFile(content.path) : content.value;
  const keys = await sealingKeys(name, { sealed, plain });
  const { message, queues } = await withConnection(async ({ client }) => {
    if (!keys) return { message: await client.setSecret(name, value, attributes), queues: undefined };
    const { setSealed } = await import('../../sealed/own-secrets.ts');
    return await setSealed(client, keys, name, new Plaintext(value), { attributes, now: Date.now() / 1000 });
  });
  if (queues) tellWhoOpens(key, queues);
  (await import('./masking.ts')).remarkOnMasking(name, value, attributes.mask === 'whole' ? 'whole' : 'parts');
  if (formsOf({ name: key, kind }).length === 1) {
    warn(`${key} cannot be the name of an environment variable: it reaches jobs in panda_secrets.json alone`);
  }
  done(message, json, { name: key, kind });
}

/** Said by the user; without it a value is sealed where there is a key. */
interface SealChoice {
  sealed?: boolean | undefined;
  plain?: boolean | undefined;
}

/**
 * The keys to seal a value with; undefined for one that is sent as it is.
 *
 * @throws {NotFound} when it is to be sealed and there is no key @throws {Forbidden} for a plain value under a name that was ever sealed
 * here; also under any name that the user did not call plain, where the key is gone from a device that sealed
 */
async function sealingKeys(name: WireName, { sealed, plain }: SealChoice): Promise<OwnKeys | undefined> {
  const keys = plain ? undefined : await ownKeys();
  if (keys) return keys;
  if (sealed) throw new NotFound('this device has no key to seal with: "pbook keys init" makes one');
  const folder = await existingKeyFolder();
  if (!folder) return undefined;
  if (await folder.wasEverSealed(name)) {
    throw new Forbidden(
      `${splitWireName(name).name} was sealed on this device, and no plain value can take its place: choose another name`,
    );
  }
  if (!plain && (await folder.isInUse())) {
    throw new Forbidden(
      'secrets are sealed on this device, and its key is gone: "pbook keys import" brings it back, "pbook keys init" makes a new one; ' +
        'or say --plain for a value that the server may read',
    );
  }
  return undefined;
}

function tellWhoOpens(key: string, queues: readonly string[]): void {
  if (queues.length > 0) note(`sealed for you and for the sites of ${queues.join(', ')}`);
  else
    warn(`${key} is sealed for you alone: no job can open it until you trust a site (pbook keys trust QUEUE=SITE-ID)`);
}

/** A secret as `--json` has it; `value` is base64 for a file, and not there where names alone were asked for. */
export type ShownSecret = {
  name: string;
  kind: SecretKind;
  value?: string | null;
  sealed?: true;
  sealed_at?: string;
  problem?: string;
  tls_queues?: string[];
  last_used_at?: string | null;
} & GivenAttributes;

/**
 * `list_secrets [full=True] [--names] [--unused 90d]`
 *
 * @param options `unused`: only those that no job got, and nobody set, within that time
 */
export async function listSecrets(
  words: readonly string[],
  {
    full,
    names,
    unused,
    json,
    hidden,
  }: Options & {
    full?: boolean;
    names?: boolean;
    unused?: string;
    hidden?: boolean;
  },
): Promise<ShownSecret[]> {
  const { plain, named } = keywordArguments(words, ['full', 'unused']);
  if (plain.length > 1) throw new UsageError('list_secrets takes full=True, unused=90d and nothing else');
  const now = Date.now();
  const idle = unusedSince(unused ?? named.unused, now);
  const whole = full === true || truthValue('full', named.full ?? plain[0]);
  if (names && whole)
    throw new UsageError('--names shows no values, and full=True shows them whole: give one of the two');
  // A list that was asked for whole, or for a program, is not of names alone because of a setting.
  const isSet = !whole && !json && isNamesOnly(process.env);
  if (names || (isSet && hidden === undefined)) return await listNames({ ...(json && { json }), idle, now });
  const [all, carried, { tls_queues: weak }, keys] = await withConnection(({ client }) => {
    const own = ownKeys();
    const read = readOwnSecrets(client, { remark: warn }, own);
    return Promise.all([read, client.getAttributes(), client.getQueueNotices(), own]);
  });
  await warnOfWithheld(all, keys);
  const secrets = all.filter(({ name }) => isIdle(carried.get(name) ?? {}, idle));
  const { problems } = readable(secrets);
  const until = secrets.some(({ sealed }) => sealed) ? await recordEnds(keys) : new Map<string, string>();
  const listed = secrets.map(
    ({ name, value, sealed, problem }): ShownSecret => ({
      ...splitWireName(name),
      value: value?.reveal() ?? null,
      ...(sealed && { sealed: true, sealed_at: new Date(sealed.version).toISOString() }),
      ...(problem && { problem }),
      ...setAttributes(carried.get(name)),
      ...weakAmong(carried.get(name)?.queues ?? null, weak),
      ...lastUse(carried.get(name)),
    }),
  );
  if (problems.length > 0) process.exitCode = EXIT_REFUSED;
  warnOfEnds(
    secrets.map(({ name }) => ({ name, told: carried.get(name) ?? {} })),
    now,
  );
  if (json) printJson(listed, problems.length > 0 ? { success: false, message: problems.join('; ') } : {});
  else if (secrets.length === 0) process.stdout.write('No secrets\n');
  else {
    const { namedSecrets, namesTable, secretsTable } = await table();
    const text =
      hidden || isSet
        ? namesTable(namedSecrets(secrets, carried, until), weak)
        : secretsTable(secrets, carried, { full: whole, weak, until, withUse: idle !== undefined });
    process.stdout.write(text);
  }
  return listed;
}

/** Loaded when there is something to show. */
const table = () => import('./secrets-table.ts');

/** The setting that keeps values off the screen unless they are asked for. */
function isNamesOnly(env: NodeJS.ProcessEnv): boolean {
  const setting = env['PBOOK_LIST'] || 'values';
  if (setting === 'names' || setting === 'values') return setting === 'names';
  throw new UsageError(`PBOOK_LIST is "${setting}"; it may be names or values`);
}

/** Without values, which are not even fetched from a server that tells names without them. */
async function listNames({
  json,
  idle,
  now,
}: Options & { idle: number | undefined; now: number }): Promise<ShownSecret[]> {
  const [all, { tls_queues: weak }] = await withConnection(({ client }) =>
    Promise.all([namesOf(client), client.getQueueNotices()]),
  );
  const listed = all.filter(({ told }) => isIdle(told, idle));
  warnOfEnds(
    listed.map(({ name, kind, told }) => ({ name: wireName(name, kind), told })),
    now,
  );
  const secrets = listed
    .map(({ name, kind, told }) => ({
      name,
      kind,
      ...setAttributes(told),
      ...weakAmong(told.queues ?? null, weak),
      ...lastUse(told),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (json) printJson(secrets);
  else if (listed.length === 0) process.stdout.write('No secrets\n');
  else process.stdout.write((await table()).namesTable(listed, weak));
  return secrets;
}

async function namesOf(client: Client): Promise<NamedSecret[]> {
  try {
    return (await client.listSecrets(warn)).map((told) => ({
      name: told.name,
      kind: told.kind,
      size: told.size,
      told,
    }));
  } catch (error) {
    if (!(error instanceof UnknownCall)) throw error;
    return [...(await client.getSecrets()).keys()].map((wire) => ({ ...splitWireName(wire), told: {} }));
  }
}

/** @returns milliseconds since 1970; undefined without a time @throws {UsageError} */
function unusedSince(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const seconds = durationSeconds(text);
  if (seconds === undefined) throw new UsageError('unused is a number and s, m, h or d: 12h, 90d');
  return now - seconds * 1000;
}

/** True for a secret that no job got, and nobody set, since that time; for all without one. @throws {UnknownCall} */
function isIdle({ updated_at, last_used_at }: ToldSecret, since: number | undefined): boolean {
  if (since === undefined) return true;
  if (last_used_at === undefined) throw new UnknownCall('the server does not tell when secrets were last used');
  return Date.parse(updated_at ?? '') < since && (last_used_at === null || Date.parse(last_used_at) < since);
}

function lastUse(told: ToldSecret | undefined): { last_used_at?: string | null } {
  return told?.last_used_at === undefined ? {} : { last_used_at: told.last_used_at };
}

function warnOfEnds(secrets: readonly { name: WireName; told: ToldSecret }[], now: number): void {
  const listed = secrets.map(({ name, told }) => ({ ...told, name: splitWireName(name).name }));
  for (const text of expiryWarnings(listed, now)) warn(text);
}

/** The value of the secret that a user knows by a name; that of a file in base64. @throws {NotFound} @throws {Forbidden} */
export async function findSecret(key: string): Promise<[SecretKind, string]> {
  const names = [wireName(key, 'string'), wireName(key, 'file')];
  const secrets = await withConnection(({ client }) => readOwnSecrets(client, { names }));
  const found = secrets.find((one) => names.includes(one.name)); // A server may answer more than it was asked for.
  if (!found) throw noSuchSecret([key]);
  if (!found.value) throw new Forbidden(`${key}: ${problemOf(found)}`);
  return [splitWireName(found.name).kind, found.value.reveal()];
}

/** Says which secrets were sealed here, and are not among those that the server shows. */
async function warnOfWithheld(shown: readonly OwnSecret[], keys: OwnKeys | undefined): Promise<void> {
  const names = new Set(shown.map(({ name }) => splitWireName(name).name));
  for (const { name: wire, deleted, taken } of (await keys?.marks.list()) ?? []) {
    const { name } = splitWireName(wire as WireName);
    if (deleted || taken === 0 || names.has(name)) continue;
    warn(
      `${name} was sealed on this device, and the server does not show it: ` +
        `set it anew, or, if you deleted it on another device, "pbook delete_secret ${name}" here too`,
    );
  }
}

/** Until when the records of trusted sites last, by the site's id and the record's number; warns of those that end soon. */
async function recordEnds(keys: OwnKeys | undefined): Promise<Map<string, string>> {
  const { sitesOf } = await import('./trusted-records.ts');
  const sites = await sitesOf(keys);
  for (const { warning } of sites) if (warning) warn(warning);
  return new Map(sites.map(({ id, serial, queue, until }) => [`${id} ${serial}`, `${queue} until ${until}`]));
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
export async function deleteSecret(words: readonly string[], { json }: Options): Promise<void> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('delete_secret takes one KEY, or id=ID');
  // No name has "=".
  const id = /^id=(.*)$/s.exec(key)?.[1];
  if (id !== undefined) {
    return done(await withConnection(({ client }) => client.deleteSecretById(id)), json, { id });
  }
  const name = parseWireName(key);
  const shown = splitWireName(name).name;
  const message = await withConnection(({ client }) => client.deleteSecret(name)).catch(async (error: unknown) => {
    // Deleted on another device, perhaps: what this one knows of it still stops tasks.
    if (!(error instanceof NotFound) || !(await isKeptSealed(name))) throw error;
    return `${shown} was gone from the server already`;
  });
  await noteDeleted(name);
  done(message, json, { name: shown });
}

async function isKeptSealed(name: WireName): Promise<boolean> {
  const folder = await existingKeyFolder();
  if (!folder || !(await folder.wasEverSealed(name))) return false;
  return (await (await ownKeys())?.marks.of(name))?.deleted === false;
}

/** A deleted name stays known as one that was sealed. @param name of one, or all */
async function noteDeleted(name: WireName | undefined): Promise<void> {
  const folder = await existingKeyFolder();
  if (folder && (name === undefined || (await folder.wasEverSealed(name)))) await (await ownKeys())?.marks.delete(name);
}

/** `delete_all_secrets` */
export async function deleteAllSecrets({ yes, json }: Options & { yes?: boolean }): Promise<void> {
  if (!yes && !(await isConfirmed())) throw new Declined('nothing was deleted');
  const message = await withConnection(({ client }) => client.deleteAllSecrets());
  await noteDeleted(undefined);
  done(message, json, null);
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

/** @throws InvalidName also for the mark of a file, which `--file` puts there, and for a file that no job could be given as one */
function userName(key: string, kind: SecretKind): WireName {
  if (splitWireName(key as WireName).kind === 'file') {
    throw new InvalidName('a secret name may not start with "___file___:"; to store a file use --file PATH');
  }
  const name = wireName(key, kind);
  if (kind === 'file' && !isFileName(key)) {
    throw new InvalidName(
      `"${key}" cannot be the name of a file in a job's directory: choose one without "/" or "\\", ` +
        `other than ${SECRETS_FILE} and ${SECRETS_DIRECTORY}`,
    );
  }
  return name;
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

function done(message: string, json: boolean | undefined, data: unknown): void {
  if (json) printJson(data);
  else info(message || 'OK');
}
