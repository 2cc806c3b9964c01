import type { Command } from 'commander';
import { type Installation, openInstallation } from '../../site/installation.ts';
import { readSettings, type Settings } from '../../site/settings.ts';

/** The options of every command that works on an installation. */
export function addInstallationOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'folder of the database, keys and files (default: ~/.local/share/panda-secrets)')
    .option('--database <url>', 'PostgreSQL URL; better in PANDA_SECRETS_DATABASE, where no process list shows it')
    .option('--config <file>', 'configuration file (TOML)');
}

/** Runs an administration command on the installation that its options name; the server may be running. */
export async function administer(
  command: Command,
  work: (installation: Installation, settings: Settings) => Promise<void>,
): Promise<void> {
  const settings = readSettings(command.opts(), process.env);
  const installation = await openInstallation(settings, { create: false, clock: Date.now });
  try {
    await work(installation, settings);
  } finally {
    await installation.close();
  }
}
