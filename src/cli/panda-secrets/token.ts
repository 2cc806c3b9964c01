import type { Command } from 'commander';
import { USER_TOKEN_SECONDS } from '../../protocol/limits.ts';
import { parseDuration } from '../duration.ts';
import { addLocalOptions, administerHere } from './administer.ts';

/** `panda-secrets token NAME`: the token is all that it prints, so that `TOKEN=$(panda-secrets token alice)` works. */
export function addTokenCommand(program: Command): void {
  addLocalOptions(program.command('token <name>'))
    .description('prints a bearer token for an account')
    .option('--ttl <time>', 'the time that it is good for: 30m, 12h, 7d', parseDuration, USER_TOKEN_SECONDS)
    .option('--vo <name>', 'the VO that it is for')
    .action((name: string, { ttl, vo }: { ttl: number; vo?: string }, command: Command) =>
      administerHere(command, async (administration) => {
        const token = await administration.createUserToken(name, { ttlSeconds: ttl, vo });
        return { data: { token }, text: token };
      }),
    );
}
