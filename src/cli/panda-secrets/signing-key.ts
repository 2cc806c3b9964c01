import type { Command } from 'commander';
import { SIGNING_KEYS_RECHECK_SECONDS } from '../../protocol/limits.ts';
import { addLocalOptions, administerHere } from './administer.ts';

/** `panda-secrets signing-key rotate`: another key signs tokens, while the servers run. */
export function addSigningKeyCommands(program: Command): void {
  const signingKey = program.command('signing-key').description('the key that signs the tokens of this installation');

  addLocalOptions(signingKey.command('rotate'))
    .description('makes a new signing key; all running servers take it up')
    .option('--forget-older', 'refuses what older keys signed: for when somebody may have read the key')
    .action(({ forgetOlder = false }: { forgetOlder?: boolean }, command: Command) =>
      administerHere(command, async (administration) => {
        const count = await administration.rotateSigningKey({ forgetOlder });
        const older = forgetOlder
          ? 'all tokens, those of pilots included, must be made anew'
          : `${count - 1} older kept, so that what they signed stays good`;
        return { text: `a new key signs within ${SIGNING_KEYS_RECHECK_SECONDS} seconds; ${older}` };
      }),
    );
}
