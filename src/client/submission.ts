import { Unauthenticated } from '../protocol/errors.ts';
import { claimsOf } from './claims.ts';
import type { Client } from './client.ts';
import type { Connection } from './connect.ts';
import { packDirectory } from './pack.ts';
import type { StoredSandbox } from './sandboxes.ts';
import { buildTaskParameters, checkOutDataset, type TaskOptions } from './task-parameters.ts';
import { checkSecrets, type WantedSecrets } from './task-secrets.ts';

export interface SubmissionOptions extends Omit<TaskOptions, 'secretNames'>, WantedSecrets {
  /** The directory to pack. */
  directory: string;
  /** Patterns of what to leave out of the sandbox. */
  exclude: readonly string[];
  /** Looks at what was packed, paths relative to the directory, before it is sent; answers whether to go on. */
  examine?: ((paths: readonly string[]) => Promise<boolean>) | undefined;
}

/** A submission tells its steps and warnings while it goes on. */
export interface Progress {
  step(text: string): void;
  warning(text: string): void;
}

/**
 * Packs a directory, uploads it unless the server has it, and submits a task that runs in it. Everything that can be checked
 * here is checked before anything is sent.
 *
 * @returns nothing when it was not to go on
 * @throws InvalidArgument for options that make no sense; NotFound for secrets that do not exist; what the client throws
 */
export async function submitDirectory(
  { client, token, vo }: Connection,
  options: SubmissionOptions,
  progress: Progress,
): Promise<{ taskId: number; message: string; sandbox: string } | undefined> {
  checkOutDataset(options.outDataset, nicknameOf(await token()));
  const plainVo = vo.split(/[.:]/, 1)[0] ?? vo;
  const task: TaskOptions = { ...options, secretNames: await checkSecrets(client, options, progress.warning) };
  buildTaskParameters(task, plainVo, { origin: client.origin, fileName: 'jobO.tar.gz' });

  const sandbox = await storeDirectory(client, options, progress);
  if (!sandbox) return undefined;
  progress.step(`submit ${task.outDataset.replace(/\/?$/, '/')}`);
  const { taskId, message } = await client.submitTask(buildTaskParameters(task, plainVo, sandbox));
  return { taskId, message, sandbox: sandbox.fileName };
}

async function storeDirectory(
  client: Client,
  options: SubmissionOptions,
  progress: Progress,
): Promise<StoredSandbox | undefined> {
  progress.step(`gathering files under ${options.directory}`);
  const packed = await packDirectory(options.directory, options.exclude);
  for (const link of packed.linksOut) progress.warning(`${link} is a link that leads out of this directory: left out`);
  if (options.examine && !(await options.examine(packed.paths))) return undefined;
  const known = await client.findSandbox(packed.archive.length, packed.checksum);
  if (known) {
    progress.step('the sandbox is on the server already');
    return known;
  }
  const files = `${packed.paths.length} ${packed.paths.length === 1 ? 'file' : 'files'}`;
  progress.step(`upload sandbox (${files}, ${packed.archive.length} bytes)`);
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
