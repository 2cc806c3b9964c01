import { Command } from 'commander';
import { VERSION } from '../../protocol/version.ts';
import { addPilotCommands } from './pilot.ts';
import { addPilotTokenCommand } from './pilot-token.ts';
import { addQueueCommands } from './queue.ts';
import { addServeCommand } from './serve.ts';
import { addSigningKeyCommands } from './signing-key.ts';
import { addTokenCommand } from './token.ts';
import { addUserCommands } from './user.ts';

/** The command line of `panda-secrets`; what goes wrong is thrown. */
export function createPandaSecrets(): Command {
  const program = new Command('panda-secrets')
    .description('keeps the secrets of batch and grid users and gets them into their jobs')
    .version(VERSION, '--version', 'print the version')
    .showHelpAfterError('(--help tells more)')
    .enablePositionalOptions()
    .exitOverride();
  addServeCommand(program);
  addUserCommands(program);
  addTokenCommand(program);
  addPilotTokenCommand(program);
  addPilotCommands(program);
  addQueueCommands(program);
  addSigningKeyCommands(program);
  return program;
}
