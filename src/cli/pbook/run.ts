import { access, constants } from 'node:fs/promises';
import { constants as system } from 'node:os';
import type { Client } from '../../client/client.ts';
import { environmentWithTokenFile, TOKEN_VARIABLES } from '../../client/credentials.ts';
import { expiryWarnings, isOver } from '../../client/expiry-warnings.ts';
import { goneFromServer, noSuchSecret } from '../../client/secrets.ts';
import { protectMemory } from '../../files/process-memory.ts';
import { type JobSecret, jobSecretsOf } from '../../payload/job-secrets.ts';
import { type OwnCommand, runOwnCommand } from '../../payload/own-command.ts';
import type { PayloadEnd } from '../../payload/payload.ts';
import { isInForeground } from '../../payload/processes.ts';
import { Conflict, Forbidden, InvalidArgument, Misconfigured, NotFound } from '../../protocol/errors.ts';
import { splitWireName, type WireName, wireName } from '../../protocol/names.ts';
import { Plaintext } from '../../protocol/plaintext.ts';
import { SECRET_FORMS, type SecretForm } from '../../protocol/secret-forms.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import type { OwnSecret } from '../../sealed/own-secrets.ts';
import { withConnection } from '../command.ts';
import { ownKeys } from '../own-keys.ts';
import { problemOf, readOwnSecrets } from '../own-secrets.ts';
import { reportFailure, warn } from '../reporting.ts';

interface Options {
  secrets?: string[];
  secretsAs?: SecretForm[];
  tokenFile?: string;
  noLinks?: boolean;
}

/** The command was not started; those of the command itself are its own (as `env` and `timeout` have it). */
const EXIT_NOT_STARTED = 125;

/** Signals to this process, of a person or of a batch system, are meant for the command. */
const PASSED_ON: readonly NodeJS.Signals[] = [
  'SIGTERM',
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
];
/** The terminal itself sends these to the command as well. */
const OF_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT', 'SIGCONT']);

/** `run -- COMMAND`: with the user's secrets, which it finds as a job would. Ends as the command does. */
export async function run(words: readonly string[], options: Options): Promise<void> {
  // Otherwise it opens a debugger, in which the secrets can be read.
  process.on('SIGUSR1', () => {});
  await protectMemory({ handlesSigusr1: true });
  // A reader that has seen enough ends the command, and not what tidies up after it.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {});
  try {
    const { exitCode, signal } = await runCommand(words, options, { input: 'inherit', onStart: passSignalsOn });
    process.exitCode = exitCode;
    if (signal) endBy(signal);
  } catch (error) {
    reportFailure(error, 'pbook');
    process.exitCode = EXIT_NOT_STARTED;
  }
}

/** `run(COMMAND)` of Python, which has no standard input to give. @returns the exit status, as a shell has it */
export async function runFromPython(words: readonly string[], options: Options): Promise<number> {
  return (await runCommand(words, options, { input: 'ignore', onStart: () => {} })).exitCode;
}

async function runCommand(
  words: readonly string[],
  options: Options,
  command: Pick<OwnCommand, 'input' | 'onStart'>,
): Promise<PayloadEnd> {
  const secrets = await secretsFor(options);
  const end = await runOwnCommand({
    ...command,
    words,
    directory: process.cwd(),
    environment: process.env,
    delivered: { ...jobSecretsOf(secrets), secrets },
    hidden: ownTokens(process.env),
    forms: options.secretsAs ?? SECRET_FORMS,
    links: options.noLinks !== true,
    stdout: process.stdout,
    stderr: process.stderr,
    warn,
  });
  if (!end.allGone) warn('processes that the command started could not be ended');
  return end;
}

/** Which the command has in its environment, as any of its user's has. */
function ownTokens(env: NodeJS.ProcessEnv): JobSecret[] {
  return TOKEN_VARIABLES.flatMap((name) =>
    env[name] ? [{ name: wireName(name), value: new Plaintext(env[name]) }] : [],
  );
}

/** Those that are named, or all: none is left out in silence. */
async function secretsFor({ secrets: names, tokenFile }: Options): Promise<JobSecret[]> {
  const env = tokenFile === undefined ? process.env : await withToken(tokenFile);
  return await withConnection(({ client }) => fetchSecrets(client, names), undefined, env);
}

async function withToken(file: string): Promise<NodeJS.ProcessEnv> {
  await access(file, constants.R_OK).catch(({ code }: NodeJS.ErrnoException) => {
    throw new Misconfigured(`--token-file: ${file} cannot be read (${code})`);
  });
  return environmentWithTokenFile(process.env, file);
}

async function fetchSecrets(client: Client, names: readonly string[] | undefined): Promise<JobSecret[]> {
  const wanted = names?.flatMap((name) => [wireName(name, 'string'), wireName(name, 'file')]);
  const damaged: string[] = [];
  const keys = ownKeys();
  const [answered, attributes] = await Promise.all([
    readOwnSecrets(client, { ...(wanted && { names: wanted }), remark: (text) => damaged.push(text) }, keys),
    client.getAttributes(),
  ]);
  if (damaged.length > 0 && !names) throw new Conflict(`${damaged.join('; ')}. Name the others with --secrets`);
  // A server may answer more than it was asked for.
  const found = answered.filter(({ name }) => !wanted || wanted.includes(name));
  const secrets = ofOneKind(found, names, await sealedNames(await keys));
  const there = new Set(secrets.map(({ name }) => splitWireName(name).name));
  const missing = names?.filter((name) => !there.has(name)) ?? [];
  if (missing.length > 0) throw noSuchSecret(missing);
  const now = Date.now();
  const told = secrets.map(({ name }) => ({ ...attributes.get(name), name: splitWireName(name).name }));
  const warnings = expiryWarnings(told, now);
  if (names && told.some((secret) => isOver(secret, now))) throw new NotFound(warnings.join('; '));
  for (const text of warnings) warn(text);
  return secrets.flatMap((secret) => {
    const { name, value, problem, sealed } = secret;
    if (isOver(attributes.get(name) ?? {}, now)) return [];
    if (value) {
      // Of a sealed one nothing of a server's says what is hidden of it.
      const isWhole = !sealed && attributes.get(name)?.mask === 'whole';
      return [{ name, value, mask: isWhole ? 'whole' : 'parts' }];
    }
    const why = `${splitWireName(name).name}: ${problemOf(secret)}`;
    if (names || problem !== 'no-key') throw new Forbidden(why);
    warn(`left out: ${why}`);
    return [];
  });
}

/** Those that were sealed on this device, whatever the server says of them. */
async function sealedNames(keys: OwnKeys | undefined): Promise<Set<string>> {
  const marks = (await keys?.marks.list()) ?? [];
  return new Set(
    marks.filter(({ deleted, taken }) => !deleted && taken > 0).map(({ name }) => splitWireName(name as WireName).name),
  );
}

/**
 * A command gets sealed secrets or plain ones, never both: who runs the server could put a variable or a module beside the sealed ones,
 * and so say what is done with them, on the machine that has the key.
 *
 * @param names that its user chose; all where left out, of which the sealed ones count
 */
function ofOneKind(
  found: readonly OwnSecret[],
  names: readonly string[] | undefined,
  sealed: ReadonlySet<string>,
): readonly OwnSecret[] {
  const isSealed = ({ name }: OwnSecret) => sealed.has(splitWireName(name).name);
  if (names) {
    const plain = names.filter((name) => !sealed.has(name));
    const others = names.filter((name) => sealed.has(name));
    if (plain.length === 0 || others.length === 0) return found;
    throw new InvalidArgument(
      `${others.join(', ')}: sealed, and ${plain.join(', ')} is not: a command gets sealed secrets or plain ones, never both. ` +
        `"pbook set_secret ${plain[0]}" seals a value`,
    );
  }
  if (sealed.size === 0) return found;
  const missing = [...sealed].filter((name) => !found.some((secret) => splitWireName(secret.name).name === name));
  if (missing[0] !== undefined) throw goneFromServer(missing[0]);
  const others = found.filter((secret) => !isSealed(secret)).map(({ name }) => splitWireName(name).name);
  if (others.length > 0) {
    const names = others.join(', ');
    warn(`left out: ${names}: not sealed, and a command gets sealed secrets or plain ones (--secrets names them)`);
  }
  return found.filter(isSealed);
}

function passSignalsOn({ signal }: { signal(name: NodeJS.Signals): void }): void {
  for (const name of PASSED_ON) {
    process.on(name, () => {
      if (!OF_TERMINAL.has(name) || !isInForeground(process.pid)) signal(name);
    });
  }
}

/** As the command ended, so that a shell and a batch system see the same. */
function endBy(signal: NodeJS.Signals): void {
  if (system.signals[signal] === undefined) return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
