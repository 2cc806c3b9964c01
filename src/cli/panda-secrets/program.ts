import { Command } from 'commander';
import { VERSION } from '../../protocol/version.ts';
import { fitHelp } from '../help-notes.ts';
import { printable } from '../reporting.ts';
import { addAuditCommands } from './audit.ts';
import { addBackupCommands } from './backup.ts';
import { addDoctorCommand } from './doctor.ts';
import { addKeysCommands } from './keys.ts';
import { addLauncherCommands } from './launcher.ts';
import { addMigrateBlobsCommand } from './migrate-blobs.ts';
import { addMigrateStoreCommand } from './migrate-store.ts';
import { addPilotCommands } from './pilot.ts';
import { addPilotTokenCommand } from './pilot-token.ts';
import { addQueueCommands } from './queue.ts';
import { addServeCommand } from './serve.ts';
import { addSigningKeyCommands } from './signing-key.ts';
import { addTokenCommand } from './token.ts';
import { addUserCommands } from './user.ts';

/** The command line of `panda-secrets`; what goes wrong is thrown. */
export function createPandaSecrets(): Command {
  const program = fitHelp(new Command('panda-secrets'))
    .description('keeps the secrets of batch and grid users and gets them into their jobs')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'tell about a command')
    .configureOutput({ outputError: (text) => say(`${oneLine(text)} ("panda-secrets --help" tells more)`) })
    .enablePositionalOptions()
    .exitOverride();
  addServeCommand(program);
  addUserCommands(program);
  addTokenCommand(program);
  addPilotTokenCommand(program);
  addPilotCommands(program);
  addQueueCommands(program);
  addLauncherCommands(program);
  addSigningKeyCommands(program);
  addKeysCommands(program);
  addAuditCommands(program);
  addBackupCommands(program);
  addMigrateStoreCommand(program);
  addMigrateBlobsCommand(program);
  addDoctorCommand(program);
  return program;
}

/** A line for the operator, on standard error. */
export function say(message: string): void {
  console.error(`panda-secrets: ${printable(message)}`);
}

function oneLine(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
}
