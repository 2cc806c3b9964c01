import { CommanderError } from 'commander';
import { EXIT_OK, EXIT_USAGE, reportFailure } from '../reporting.ts';
import { createPandaSecrets, say } from './program.ts';

try {
  await createPandaSecrets().parseAsync();
} catch (error) {
  // Commander has said what was wrong; asking for help is no mistake.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  else process.exitCode = reportFailure(error, 'panda-secrets', say);
}
