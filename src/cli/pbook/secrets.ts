import { noSuchSecret } from '../../client/secrets.ts';
import { Forbidden, InvalidName, NotFound } from '../../protocol/errors.ts';
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
import { type GivenAttributes, typedAttributes } from '../../protocol/secret-attributes.ts';
import { formsOf } from '../../protocol/secret-forms.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import { withConnection } from '../command.ts';
import { existingKeyFolder, ownKeys } from '../own-keys.ts';
import { problemOf, readOwnSecrets } from '../own-secrets.ts';
import { Declined, info, note, printJson, UsageError, warn } from '../reporting.ts';
import { truthValue } from './keyword-arguments.ts';
import { secretValue } from './secret-value.ts';

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

/** The value of the secret that a user knows by a name; that of a file in base64. @throws {NotFound} @throws {Forbidden} */
export async function findSecret(key: string): Promise<[SecretKind, string]> {
  const names = [wireName(key, 'string'), wireName(key, 'file')];
  const secrets = await withConnection(({ client }) => readOwnSecrets(client, { names }));
  const found = secrets.find((one) => names.includes(one.name)); // A server may answer more than it was asked for.
  if (!found) throw noSuchSecret([key]);
  if (!found.value) throw new Forbidden(`${key}: ${problemOf(found)}`);
  return [splitWireName(found.name).kind, found.value.reveal()];
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
