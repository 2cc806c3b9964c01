import { type Command, Option } from 'commander';
import type { Administration } from '../../protocol/administration.ts';
import { createLocalAdministration, type LocalAdministration } from '../../site/administration.ts';
import { openInstallation } from '../../site/installation.ts';
import { lastAddress } from '../../site/last-address.ts';
import { originOf, readSettings } from '../../site/settings.ts';
import { withConnection } from '../command.ts';

/** The options of every command that works on a data folder. */
export function addInstallationOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'folder of the database, keys and files (default: ~/.local/share/panda-secrets)')
    .option('--database <url>', 'PostgreSQL URL; better in PANDA_SECRETS_DATABASE, where no process list shows it')
    .option('--config <file>', 'configuration file (TOML)');
}

/** Options of a command that make no sense at a server elsewhere. */
const HERE_ALONE = ['data', 'database', 'config', 'operator', 'passwordStdin', 'publicUrl'];

/** The options of a command that works on a data folder, or at a server elsewhere. */
export function addAdministrationOptions(command: Command): Command {
  const server = new Option('--server <url>', 'works at this server instead, with the token or login of an operator');
  return addInstallationOptions(command).addOption(server.conflicts(HERE_ALONE));
}

/** Runs a command on the data folder that its options name, at the server's machine; the server may be running. */
export async function administerHere(
  command: Command,
  work: (administration: LocalAdministration) => Promise<void>,
): Promise<void> {
  const clock = Date.now;
  const settings = readSettings(command.opts(), process.env);
  const installation = await openInstallation(settings, { create: false, clock });
  const origin = async () => settings.publicUrl ?? (await lastAddress(settings.data)) ?? originOf(settings);
  try {
    await work(createLocalAdministration({ ...installation, vo: settings.vo, origin, clock }));
  } finally {
    await installation.close();
  }
}

/** Runs a command at the server that `--server` names, as the operator of the user's environment, and else on the data folder. */
export async function administer(
  command: Command,
  work: (administration: Administration) => Promise<void>,
): Promise<void> {
  const { server } = command.opts<{ server?: string }>();
  if (server === undefined) return administerHere(command, work);
  const env = { ...process.env, PANDA_URL_SSL: server };
  return withConnection(({ client }) => work(client.administration), undefined, env);
}
