import type { Client } from '../../client/client.ts';
import { expiryWarnings } from '../../client/expiry-warnings.ts';
import type { ToldSecret } from '../../client/secrets.ts';
import { durationSeconds } from '../../protocol/duration.ts';
import { UnknownCall } from '../../protocol/errors.ts';
import { type SecretKind, splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import { ATTRIBUTE_NAMES, type GivenAttributes, type ToldAttributes } from '../../protocol/secret-attributes.ts';
import type { ToldTlsQueue } from '../../protocol/tls-queues.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import type { OwnSecret } from '../../sealed/own-secrets.ts';
import { withConnection } from '../command.ts';
import { ownKeys } from '../own-keys.ts';
import { readable, readOwnSecrets } from '../own-secrets.ts';
import { EXIT_REFUSED, printJson, UsageError, warn } from '../reporting.ts';
import { keywordArguments, truthValue } from './keyword-arguments.ts';
import type { NamedSecret } from './secrets-table.ts';

interface Options {
  json?: boolean;
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
        ? await namesTable(namedSecrets(secrets, carried, until), weak)
        : await secretsTable(secrets, carried, { full: whole, weak, until, withUse: idle !== undefined });
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
  else process.stdout.write(await (await table()).namesTable(listed, weak));
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
