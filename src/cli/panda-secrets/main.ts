import { Command, CommanderError } from 'commander';
import { PandaError } from '../../protocol/errors.ts';
import { addPilotCommands } from './pilot.ts';
import { addPilotTokenCommand } from './pilot-token.ts';
import { addQueueCommands } from './queue.ts';
import { addServeCommand } from './serve.ts';
import { addSigningKeyCommands } from './signing-key.ts';
import { addTokenCommand } from './token.ts';
import { addUserCommands } from './user.ts';

const USAGE_STATUS = 2;

const program = new Command('panda-secrets')
  .description('keeps the secrets of batch and grid users and gets them into their jobs')
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

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // It has said what was wrong; asking for help is no mistake.
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_STATUS;
  } else if (error instanceof PandaError) {
    console.error(`panda-secrets: ${error.message}`);
    process.exitCode = 1;
  } else throw error;
}
