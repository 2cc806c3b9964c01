import type { Client } from '../../client/client.ts';
import { noSuchSecret } from '../../client/secrets.ts';
import type { ListedDelivery, ListedQueueNotices, ListedVersion } from '../../protocol/calls/creds.ts';
import { UnknownCall } from '../../protocol/errors.ts';
import { DEFAULT_DELIVERIES_SHOWN } from '../../protocol/limits.ts';
import { parseWireName, splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import { isSealedValue } from '../../protocol/sealed-value.ts';
import { type Column, columns } from '../columns.ts';
import { withConnection } from '../command.ts';
import { ownKeys } from '../own-keys.ts';
import { info, note, printable, printJson, UsageError, warn } from '../reporting.ts';
import { keywordArguments } from './keyword-arguments.ts';

interface Options {
  json?: boolean;
}

/** `secret_history [KEY] [limit=N]`: which jobs were given which secrets, where and when; never a value. */
export async function secretHistory(words: readonly string[], { json }: Options): Promise<readonly ListedDelivery[]> {
  const { plain, named } = keywordArguments(words, ['limit']);
  if (plain.length > 1) throw new UsageError('secret_history takes one KEY, or none for all secrets');
  const limit = named.limit === undefined ? DEFAULT_DELIVERIES_SHOWN : parseCount(named.limit, 'limit');
  const [deliveries, notices] = await findHistory(plain[0], limit);
  for (const notice of notices) warn(noticeText(notice));
  if (json) printJson(deliveries);
  else if (deliveries.length === 0) {
    process.stdout.write(`No job has been given ${plain[0] ?? 'any of your secrets'} so far\n`);
  } else process.stdout.write(await historyTable(deliveries));
  if (!json && deliveries.length === limit)
    note(`Showing the last ${limit}. One can set limit=N to see more, up to 1000`);
  return deliveries;
}

type QueueNotice = ListedQueueNotices['changes'][number];

/** With the notices of queues that became weaker, or strong again, while the secret named them; the oldest first. */
async function findHistory(
  key: string | undefined,
  limit: number,
): Promise<[readonly ListedDelivery[], readonly QueueNotice[]]> {
  return await withConnection(async ({ client }) => {
    const name = key === undefined ? undefined : await existingName(client, key);
    const [deliveries, { changes }] = await Promise.all([
      client.getSecretDeliveries({ ...(name !== undefined && { name }), limit }),
      client.getQueueNotices(),
    ]);
    return [deliveries, changes.filter(({ secrets }) => name === undefined || secrets.includes(name)).reverse()];
  });
}

/** `since 2026-01-01 00:00:00 (UTC) queue Q gives secrets over TLS alone too: TOKEN names it` */
function noticeText({ at, queue, allow_tls_secrets, secrets }: QueueNotice): string {
  const gives = allow_tls_secrets ? 'gives secrets over TLS alone too' : 'gives secrets sealed only again';
  const names = secrets.map(shownName);
  const shown = names.slice(0, SHOWN_SECRETS).join(', ');
  const others = names.length - SHOWN_SECRETS;
  const which = others > 0 ? `${shown} and ${others} more` : shown;
  return `since ${shownTime(at)} (UTC) queue ${queue} ${gives}; ${which} ${names.length === 1 ? 'names' : 'name'} it`;
}

/** `secret_versions KEY`: what of it is still kept, without values. */
export async function secretVersions(words: readonly string[], { json }: Options): Promise<readonly ListedVersion[]> {
  const [key, ...more] = words;
  if (key === undefined || more.length > 0) throw new UsageError('secret_versions takes one KEY');
  const versions = await withConnection(
    async ({ client }) => await client.getSecretVersions(await existingName(client, key)),
  );
  if (json) printJson(versions);
  else process.stdout.write(await versionsTable(versions));
  return versions;
}

/** `restore_secret KEY VERSION`. @returns the version that it becomes, where the server counts it */
export async function restoreSecret(words: readonly string[], { json }: Options): Promise<number | undefined> {
  const [key, version, ...more] = words;
  if (key === undefined || version === undefined || more.length > 0) {
    throw new UsageError('restore_secret takes a KEY and a VERSION; "pbook secret_versions KEY" lists them');
  }
  const number = parseCount(version, 'VERSION');
  const restored = await withConnection(async ({ client }) => {
    const name = await existingName(client, key);
    return (await restoreSealed(client, name, number)) ?? (await client.restoreSecret(name, number));
  });
  if (json) printJson({ version: restored.version ?? null });
  else info(restored.message || 'OK');
  return restored.version;
}

/** A version that was sealed is sealed anew here: an old one put back by the server alone would be refused. @returns undefined for any other */
async function restoreSealed(
  client: Client,
  name: WireName,
  version: number,
): Promise<{ message: string; version?: number } | undefined> {
  const kept = await client.getSecretVersion(name, version).catch((error: Error) => {
    if (error instanceof UnknownCall) return undefined;
    throw error;
  });
  const keys = await ownKeys();
  if (!kept || !(keys || isSealedValue(kept.value.reveal()))) return undefined;
  const own = await import('../../sealed/own-secrets.ts');
  const restored = await own.restoreSealed(client, keys, kept.name, kept.value, Date.now() / 1000);
  if (!restored) return undefined;
  note(`sealed anew: the value that was sealed at ${shownTime(new Date(restored.sealedAt).toISOString())} (UTC)`);
  return { message: restored.message };
}

function parseCount(text: string, what: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${what} must be a whole number from 1`);
  return Number(text);
}

/** @throws NotFound */
async function existingName(client: Client, key: string): Promise<WireName> {
  const { name } = splitWireName(parseWireName(key));
  const found = (await client.listSecrets()).find((secret) => secret.name === name);
  if (!found) throw noSuchSecret([name]);
  return wireName(found.name, found.kind);
}

const HISTORY: readonly Column[] = [
  { title: 'Time (UTC)' },
  { title: 'JediTaskID', align: 'right' },
  { title: 'PandaID', align: 'right' },
  { title: 'Attempt', align: 'right' },
  { title: 'Queue' },
  { title: 'Node' },
  { title: 'Pilot' },
  { title: 'Secrets (version)' },
];
const SHOWN_SECRETS = 5;

function historyTable(deliveries: readonly ListedDelivery[]): Promise<string> {
  const rows = deliveries.map(({ at, task_id, job_id, attempt, queue, node, pilot, secrets }) =>
    [shownTime(at), task_id, job_id, attempt, queue, node, pilot, shownSecrets(secrets)].map((cell) =>
      printable(String(cell)),
    ),
  );
  return columns(HISTORY, rows);
}

function shownSecrets(secrets: ListedDelivery['secrets']): string {
  const shown = secrets.slice(0, SHOWN_SECRETS).map(({ name, version }) => {
    return `${shownName(name)} (${version})`;
  });
  const others = secrets.length - shown.length;
  return others > 0 ? `${shown.join(', ')} and ${others} more` : shown.join(', ');
}

/** @param name as on the wire */
function shownName(name: string | null): string {
  return name === null ? '(deleted since)' : splitWireName(name as WireName).name;
}

const VERSIONS: readonly Column[] = [
  { title: 'Version', align: 'right' },
  { title: 'Set (UTC)' },
  { title: 'Bytes', align: 'right' },
  { title: 'Current' },
];

function versionsTable(versions: readonly ListedVersion[]): Promise<string> {
  const rows = versions.map(({ version, created_at, size, current }) => [
    String(version),
    shownTime(created_at),
    String(size),
    current ? 'yes' : '',
  ]);
  return columns(VERSIONS, rows);
}

/** As tasks are shown. */
function shownTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}
