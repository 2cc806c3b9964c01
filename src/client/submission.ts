import type { ListedSecret } from '../protocol/calls/creds.ts';
import { InvalidArgument, NotFound, Unauthenticated } from '../protocol/errors.ts';
import { type WireName, wireName } from '../protocol/names.ts';
import { claimsOf } from './claims.ts';
import type { Client } from './client.ts';
import type { Connection } from './connect.ts';
import { packDirectory } from './pack.ts';
import type { StoredSandbox } from './sandboxes.ts';
import { buildTaskParameters, checkOutDataset, type TaskOptions } from './task-parameters.ts';

export interface SubmissionOptions extends Omit<TaskOptions, 'secretNames'> {
  /** What to pack. */
  directory: string;
  /** Patterns of what to leave out of the sandbox. */
  exclude: readonly string[];
  /** The only secrets that the jobs get, by the names that their owner knows; all of them when left out. */
  secrets?: readonly string[] | undefined;
}

/** What a submission tells while it goes on. */
export interface Progress {
  step(text: string): void;
  warning(text: string): void;
}

/**
 * Packs a directory, uploads it unless the server has it, and submits a task that runs in it. Everything that can be checked
 * here is checked before anything is sent.
 *
 * @throws InvalidArgument for options that make no sense; NotFound for secrets that do not exist; what the client throws
 */
export async function submitDirectory(
  { client, token, vo }: Connection,
  options: SubmissionOptions,
  progress: Progress,
): Promise<{ taskId: number; message: string; sandbox: string }> {
  checkOutDataset(options.outDataset, nicknameOf(await token()));
  const plainVo = vo.split(/[.:]/, 1)[0] ?? vo;
  const task: TaskOptions = { ...options, secretNames: await wireNames(client, options.secrets) };
  buildTaskParameters(task, plainVo, { origin: client.origin, fileName: 'jobO.tar.gz' });

  const sandbox = await storeDirectory(client, options, progress);
  progress.step(`submit ${task.outDataset.replace(/\/?$/, '/')}`);
  const { taskId, message } = await client.submitTask(buildTaskParameters(task, plainVo, sandbox));
  return { taskId, message, sandbox: sandbox.fileName };
}

async function storeDirectory(client: Client, options: SubmissionOptions, progress: Progress): Promise<StoredSandbox> {
  progress.step(`gathering files under ${options.directory}`);
  const packed = await packDirectory(options.directory, options.exclude);
  for (const link of packed.linksOut) progress.warning(`${link} is a link that leads out of this directory: left out`);
  const known = await client.findSandbox(packed.archive.length, packed.checksum);
  if (known) {
    progress.step('the sandbox is on the server already');
    return known;
  }
  progress.step(`upload sandbox (${packed.paths.length} files, ${packed.archive.length} bytes)`);
  return await client.uploadSandbox(`jobO.${crypto.randomUUID()}.tar.gz`, packed.archive);
}

/** The user's short name, which stands in the name of everything that the user makes. */
function nicknameOf(token: string): string {
  const { preferred_username: nickname } = claimsOf(token);
  if (typeof nickname === 'string' && /^[\w.@+-]+$/.test(nickname)) return nickname;
  throw new Unauthenticated(
    'your token has no preferred_username, from which the names of outputs are made: ask who issues your tokens to add it',
  );
}

/**
 * The names on the wire of secrets that their owner names: where a string and a file share one, both. The list that
 * answers this is an extension, so that a server which would give a task all secrets instead of these refuses here.
 */
async function wireNames(client: Client, names: readonly string[] | undefined): Promise<WireName[] | undefined> {
  if (names === undefined) return undefined;
  if (names.length === 0) throw new InvalidArgument('--useSecrets= needs a name after "="; without "=" it gives all');
  const secrets = await client.listSecrets();
  const missing = names.filter((name) => !secrets.some((secret) => secret.name === name));
  if (missing.length > 0)
    throw new NotFound(`you have no secret named ${missing.join(', ')}; "pbook list_secrets" lists them`);
  return secrets.filter(({ name }) => names.includes(name)).map(toWireName);
}

function toWireName({ name, kind }: ListedSecret): WireName {
  return wireName(name, kind);
}
