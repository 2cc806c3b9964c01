import { exitStatus } from '../command.ts';
import { endOnUnwritableOutput, reportFailure } from '../reporting.ts';
import { createPandaSecrets, say } from './program.ts';

endOnUnwritableOutput(say);
try {
  await createPandaSecrets().parseAsync();
} catch (error) {
  process.exitCode = exitStatus(error, process.argv.slice(2), (one) => reportFailure(one, 'panda-secrets', say));
}
