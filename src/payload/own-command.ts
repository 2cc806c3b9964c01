import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createMasker, maskTransform } from '../masking/masker.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { SECRETS_FILE } from '../protocol/names.ts';
import type { SecretForm } from '../protocol/secret-forms.ts';
import { utf8Length } from '../protocol/text.ts';
import { guardSecrets } from './guard.ts';
import { filesOf, type JobSecret, type JobSecrets, type SecretFile } from './job-secrets.ts';
import { filesFolder, linkSecrets } from './linked-secrets.ts';
import { type Payload, type PayloadEnd, startPayload } from './payload.ts';
import { keepLocks } from './process-lock.ts';
import { removeTree } from './remove-tree.ts';
import { writeSecretFile } from './secret-files.ts';
import { arrivals } from './secret-notes.ts';
import { argumentsRoom, secretVariables } from './secret-variables.ts';
import { chooseSecretsFolder, makeLockedDirectory, removeAbandonedSecrets } from './secrets-directory.ts';

/** A command of a user's own, on any machine, that finds secrets as a job does. */
export interface OwnCommand {
  /** The program and its arguments. */
  words: readonly string[];
  /** Its current directory. */
  directory: string;
  /** It gets all of it. */
  environment: Readonly<Record<string, string | undefined>>;
  delivered: JobSecrets;
  /** Hidden in its output as well: what else it may print of its user's. */
  hidden: readonly JobSecret[];
  forms: readonly SecretForm[];
  /** Put links to the secrets' files into its directory. */
  links: boolean;
  /** Its standard input: this process's, or nothing to read. */
  input: 'inherit' | 'ignore';
  /** They get its output, masked, and stay open. */
  stdout: Writable;
  stderr: Writable;
  /** Told what the user should know, with names of secrets and without values. */
  warn: (text: string) => void;
  /** Told when it has started. */
  onStart: (payload: Pick<Payload, 'signal'>) => void;
}

/**
 * Runs a command with secrets, to its end and that of all its processes. The files are in memory where the machine has a place for that,
 * in a directory (0700) of this process's own; they go with the command, and with this process, however it ends.
 *
 * @throws {Conflict} when something in its directory is in the way of a link; nothing was started then
 */
export async function runOwnCommand(command: OwnCommand): Promise<PayloadEnd> {
  const { words, environment, delivered, forms, warn } = command;
  const masker = createMasker([...delivered.secrets, ...command.hidden]);
  const { files, impossible } = filesOf(forms.includes('files') ? delivered.secrets : []);
  if (forms.includes('json')) files.unshift({ name: SECRETS_FILE, bytes: delivered.json });
  const id = randomUUID();
  const placed = await placeFiles(command, files, id);
  try {
    const own = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const fixed: Record<string, string> = forms.includes('json')
      ? { PANDA_SECRETS_FILE: join(placed.folder, SECRETS_FILE) }
      : {};
    const kept = { ...Object.fromEntries(own), ...fixed };
    const { variables, leftOut } = secretVariables(forms.includes('env') ? delivered.secrets : [], {
      environment: kept,
      fixed,
      room: argumentsRoom() - words.reduce((sum, word) => sum + utf8Length(word) + 1, 0),
    });
    for (const note of arrivals({ ...delivered, forms, leftOut, notWritten: impossible, replaced: [] })) warn(note);
    const short = masker.unmaskable.length;
    if (short > 0) warn(`${short} of the secrets: too short or too common to be masked in what it prints`);
    const written: Promise<void>[] = [];
    const unlessClosed = ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'EPIPE') warn(`the output cannot be written (${code})`);
    };
    const masked = (output: Writable) => {
      const stream = maskTransform(masker);
      written.push(pipeline(stream, output, { end: false }).catch(unlessClosed));
      return stream;
    };
    const payload = startPayload({
      command: words,
      directory: command.directory,
      pipesIn: placed.own,
      environment: { ...kept, ...variables },
      mark: `${id}.run`,
      stdout: masked(command.stdout),
      stderr: masked(command.stderr),
      foreground: { input: command.input },
    });
    command.onStart(payload);
    // A reader of its output may take its time, and the secrets need not wait for that.
    await payload.gone;
    await placed.remove();
    const end = await payload.ended;
    await Promise.all(written);
    return end;
  } finally {
    await placed.remove();
  }
}

interface PlacedFiles {
  /** This command's own directory. */
  own: string;
  folder: string;
  remove(): Promise<void>;
}

/** The guard is there before the first byte is, and the first byte before a link to it. */
async function placeFiles(
  { directory, links, warn }: OwnCommand,
  files: readonly SecretFile[],
  id: string,
): Promise<PlacedFiles> {
  const memory = await chooseSecretsFolder(undefined);
  if (memory === undefined && files.length > 0) {
    warn('this machine has no /dev/shm in memory: the files of the secrets are on its disk meanwhile');
  }
  const place = memory ?? tmpdir();
  await removeAbandonedSecrets(place, () => {});
  const own = await makeLockedDirectory(place, id);
  const locks = keepLocks([own]);
  const guard = guardSecrets(own, { links: links ? files.map(({ name }) => name) : [], mark: `${id}.` });
  let linked: Awaited<ReturnType<typeof linkSecrets>> | undefined;
  const remove = async () => {
    locks.stop();
    await linked?.remove();
    await removeTree(own);
    guard.dismiss();
  };
  try {
    const folder = filesFolder(own);
    await mkdir(folder, { mode: 0o700 });
    for (const { name, bytes } of files) await writeSecretFile(join(folder, name), bytes).catch(asUsersError(name));
    if (links) linked = await linkSecrets(files, folder, directory);
    return { own, folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function asUsersError(name: string): (error: NodeJS.ErrnoException) => never {
  return ({ code }) => {
    throw new InvalidArgument(
      `${name} cannot be written as a file (${code}): leave it out with --secrets or --secretsAs`,
    );
  };
}
