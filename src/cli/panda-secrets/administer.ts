import { type Command, Option } from 'commander';
import type { Administration } from '../../protocol/administration.ts';
import { createLocalAdministration, type LocalAdministration } from '../../site/administration.ts';
import { type Installation, openInstallation } from '../../site/installation.ts';
import { lastAddress } from '../../site/last-address.ts';
import { originOf, readSettings, type Settings } from '../../site/settings.ts';
import { withConnection } from '../command.ts';
import { EXIT_REFUSED, printJson } from '../reporting.ts';
import { askPassphrase } from './ask-passphrase.ts';

export const DATA_OPTION = [
  '--data <dir>',
  'folder of the database, keys and files (default: ~/.local/share/panda-secrets)',
] as const;
export const DATABASE_OPTION = [
  '--database <url>',
  'PostgreSQL URL; better in PANDA_SECRETS_DATABASE, where no process list shows it',
] as const;
export const CONFIG_OPTION = ['--config <file>', 'configuration file (TOML)'] as const;

/** The options of every command that works on a data folder. */
export function addInstallationOptions(command: Command): Command {
  return command
    .option(...DATA_OPTION)
    .option(...DATABASE_OPTION)
    .option(
      '--blobs <uri>',
      'place of sandboxes, logs and outputs: s3://BUCKET/PREFIX, or file:/FOLDER (default: in --data)',
    )
    .option(...CONFIG_OPTION);
}

/** The same, for a command that has a result. */
export function addLocalOptions(command: Command): Command {
  return addInstallationOptions(command).option('--json', 'print the result for a program to read');
}

/** The result of a command. */
export interface Result {
  /** For people, without the end of its last line. */
  text: string;
  /** For a program. */
  data?: unknown;
  /** Where it did not go as it was asked for: why, for a program. */
  failure?: string;
}

/** Options of a command that make no sense at a server elsewhere. */
const HERE_ALONE = ['data', 'database', 'blobs', 'config', 'operator', 'passwordStdin', 'publicUrl'];

/** The options of a command that works on a data folder, or at a server elsewhere. */
export function addAdministrationOptions(command: Command): Command {
  const server = new Option('--server <url>', 'works at this server instead, with the token or login of an operator');
  return addLocalOptions(command).addOption(server.conflicts(HERE_ALONE));
}

/** Runs a command on the data folder that its options name, at the server's machine; the server may be running. */
export function administerHere(
  command: Command,
  work: (administration: LocalAdministration) => Promise<Result | undefined>,
): Promise<void> {
  return withInstallation(command, (installation, settings) => {
    const origin = async () => settings.publicUrl ?? (await lastAddress(settings.data)) ?? originOf(settings);
    return work(createLocalAdministration({ ...installation, vo: settings.vo, origin, clock: Date.now }));
  });
}

/** The same, for a command that works on the installation itself. */
export async function withInstallation(
  command: Command,
  work: (installation: Installation, settings: Settings) => Promise<Result | undefined>,
): Promise<void> {
  const settings = readSettings(command.opts(), process.env);
  const installation = await openInstallation(settings, { create: false, clock: Date.now, ask: askPassphrase() });
  try {
    tell(command, await work(installation, settings));
  } finally {
    await installation.close();
  }
}

/** Runs a command at the server that `--server` names, as the operator of the user's environment, and else on the data folder. */
export async function administer(
  command: Command,
  work: (administration: Administration) => Promise<Result>,
): Promise<void> {
  const { server } = command.opts<{ server?: string }>();
  if (server === undefined) return administerHere(command, work);
  const env = { ...process.env, PANDA_URL_SSL: server };
  return withConnection(async ({ client }) => tell(command, await work(client.administration)), undefined, env);
}

/** Prints a result as it was asked for; one that a command printed by itself is none. */
export function tell(command: Command, result: Result | undefined): void {
  if (!result) return;
  const { text, data = null, failure } = result;
  if (command.opts()['json']) printJson(data, failure === undefined ? {} : { success: false, message: failure });
  else if (text !== '') process.stdout.write(`${text}\n`);
  if (failure !== undefined) process.exitCode = EXIT_REFUSED;
}
