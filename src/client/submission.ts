import { createHash } from 'node:crypto';
import { Unauthenticated, UnknownCall } from '../protocol/errors.ts';
import { SECRETS_FILE, type WireName } from '../protocol/names.ts';
import { shownText } from '../protocol/text.ts';
import type { Client } from './client.ts';
import type { Connection } from './connect.ts';
import { type LeftOut, type PackRules, packDirectory } from './pack.ts';
import type { StoredSandbox } from './sandboxes.ts';
import { buildTaskParameters, checkOutDataset, type TaskOptions } from './task-parameters.ts';
import { checkForms, checkSecrets, type WantedSecrets } from './task-secrets.ts';
import { unprovenClaims } from './unproven-claims.ts';

export interface SubmissionOptions extends Omit<TaskOptions, 'secretNames'>, WantedSecrets {
  /** The directory to pack. */
  directory: string;
  /** Patterns of what to leave out of the sandbox. */
  exclude: readonly string[];
  /** Patterns of credentials that are to be in it all the same. */
  include?: readonly string[];
  /**
   * Called when the options make sense, before anything is sent; answers who signs, for a task whose secrets are sealed. @throws to end
   * the submission
   */
  prepare?: (() => Promise<TaskSigner | undefined>) | undefined;
  /** Looks at what was packed, paths relative to the directory, before it is sent; answers whether to go on. */
  examine?: ((paths: readonly string[]) => Promise<boolean>) | undefined;
}

/** A user who signs for the jobs of a task, because its secrets are sealed. */
export interface TaskSigner {
  /** All the secrets that its jobs get. */
  names: readonly WireName[];
  /**
   * @param task its number @param parameters as they are sent @param sandboxSha256 hex
   * @returns the grant
   */
  sign(task: { task: number; parameters: Record<string, unknown>; sandboxSha256: string }): Promise<string>;
  /** Keeps by which the task's results are known, before the grant is sent. */
  keep(grant: string): Promise<void>;
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
  { client, token, vo, ownFiles }: Connection,
  options: SubmissionOptions,
  progress: Progress,
): Promise<{ taskId: number; message: string; sandbox: string } | undefined> {
  checkOutDataset(options.outDataset, nicknameOf(await token()));
  const plainVo = vo.split(/[.:]/, 1)[0] ?? vo;
  buildTaskParameters(options, plainVo, { origin: client.origin, fileName: 'jobO.tar.gz' });
  const signer = await options.prepare?.();
  if (options.site !== undefined) await checkSite(client, options.site);
  const { names, files } = signer
    ? checkForms(signer.names, options, progress.warning)
    : await checkSecrets(client, options, progress.warning);
  const task: TaskOptions = { ...options, secretNames: names, sealed: signer !== undefined };
  const parameters = buildTaskParameters(task, plainVo, { origin: client.origin, fileName: 'jobO.tar.gz' });
  // One that is never sent, or a task that cannot be signed for would be known as such only when it is held.
  await signer?.sign({ task: 1, parameters, sandboxSha256: '0'.repeat(64) });

  const sandbox = await storeDirectory(
    client,
    { ...options, own: ownFiles, signed: signer !== undefined },
    files,
    progress,
  );
  if (!sandbox) return undefined;
  progress.step(`submit ${task.outDataset.replace(/\/?$/, '/')}`);
  const sent = buildTaskParameters(task, plainVo, sandbox);
  const { taskId, message } = await client.submitTask(sent);
  if (signer) await grant(client, signer, { task: taskId, parameters: sent, sandboxSha256: sandbox.sha256 }, progress);
  return { taskId, message, sandbox: sandbox.fileName };
}

/** A server of PanDA's, which has no such call, checks it when the task is submitted. */
async function checkSite(client: Client, site: string): Promise<void> {
  try {
    await client.checkSite(site);
  } catch (error) {
    if (!(error instanceof UnknownCall)) throw error;
  }
}

async function grant(
  client: Client,
  signer: TaskSigner,
  task: Parameters<TaskSigner['sign']>[0],
  { step, warning }: Progress,
): Promise<void> {
  try {
    step(`sign for task ${task.task}`);
    const word = await signer.sign(task);
    await signer.keep(word);
    await client.grantTask(task.task, word);
  } catch (error) {
    warning(`task ${task.task} has no grant, and starts nothing: "pbook kill ${task.task}" ends it; then submit again`);
    throw error;
  }
}

async function storeDirectory(
  client: Client,
  { signed, ...options }: SubmissionOptions & PackRules & { signed: boolean },
  fileSecrets: readonly string[],
  progress: Progress,
): Promise<(StoredSandbox & { sha256: string }) | undefined> {
  progress.step(`gathering files under ${options.directory}`);
  const packed = await packDirectory(options.directory, options);
  tellLeftOut(packed.leftOut, progress);
  for (const name of fileSecrets) {
    if (!packed.paths.some((path) => path === name || path.startsWith(`${name}/`))) continue;
    const namesake = name === SECRETS_FILE ? "the file with a job's secrets" : 'a file secret';
    progress.warning(`${name} in this directory has the name of ${namesake}: jobs find the secret there, not this`);
  }
  if (options.examine && !(await options.examine(packed.paths))) return undefined;
  const sha256 = createHash('sha256').update(packed.archive).digest('hex');
  const known = await client.findSandbox(packed.archive.length, packed.checksum);
  // No server chooses where the nodes fetch the sandbox of a task that its user signs for.
  if (known && (!signed || known.origin === client.origin)) {
    progress.step('the sandbox is on the server already');
    return { ...known, sha256 };
  }
  const files = `${packed.paths.length} ${packed.paths.length === 1 ? 'file' : 'files'}`;
  progress.step(`upload sandbox (${files}, ${packed.archive.length} bytes)`);
  const stored = await client.uploadSandbox(`jobO.${crypto.randomUUID()}.tar.gz`, packed.archive);
  return { ...stored, sha256 };
}

/** So many of what the user's own patterns name are named. */
const SHOWN_ASKED = 5;
/** So many private files have a line each; the others share one, of at most so many characters of names. */
const SHOWN_PRIVATE = 20;
const MAX_OTHERS_CHARS = 4000;

function tellLeftOut(
  { linksOut, always, asked, special, private: hidden }: LeftOut,
  { step, warning }: Progress,
): void {
  const named = asked.length > SHOWN_ASKED ? `${asked.slice(0, SHOWN_ASKED).join(', ')}, ...` : asked.join(', ');
  const unasked = asked.length > 0 ? [`${asked.length} that --excludeFile or .prunignore name (${named})`] : [];
  if (always.length + unasked.length > 0) {
    step(`left out ${shownText([...always, ...unasked].join(', '), MAX_OTHERS_CHARS)}`);
  }
  for (const path of special) warning(`${path} is a pipe, a socket or a device: left out`);
  for (const link of linksOut) warning(`${link} is a link that leads out of this directory: left out`);
  for (const { path, what, never } of hidden.slice(0, SHOWN_PRIVATE)) {
    warning(`${path} (${what}) is ${never ? 'never packed: left out' : `left out; --includeFile ${path} packs it`}`);
  }
  const others = hidden.slice(SHOWN_PRIVATE).map(({ path }) => path);
  if (others.length > 0) {
    const shown = shownText(others.join(', '), MAX_OTHERS_CHARS);
    warning(`${others.length} more with credentials are left out: ${shown}`);
  }
}

/** The user's short name, which stands in the name of everything that the user makes. */
function nicknameOf(token: string): string {
  const { preferred_username: nickname } = unprovenClaims(token);
  if (typeof nickname === 'string' && /^[\w.@+-]+$/.test(nickname)) return nickname;
  throw new Unauthenticated(
    'your token has no preferred_username, from which the names of outputs are made: ask who issues your tokens to add it',
  );
}
