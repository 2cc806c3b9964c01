import { CommanderError } from 'commander';
import { PandaError } from '../../protocol/errors.ts';
import { createPandaSecrets } from './program.ts';

const USAGE_STATUS = 2;

try {
  await createPandaSecrets().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // It has said what was wrong; asking for help is no mistake.
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_STATUS;
  } else if (error instanceof PandaError) {
    console.error(`panda-secrets: ${error.message}`);
    process.exitCode = 1;
  } else throw error;
}
