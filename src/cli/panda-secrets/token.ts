import type { Command } from 'commander';
import { recordAct } from '../../audit/audit.ts';
import { findAccount } from '../../identity/accounts.ts';
import { Forbidden, NotFound } from '../../protocol/errors.ts';
import { USER_TOKEN_SECONDS } from '../../protocol/limits.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { parseDuration } from './duration.ts';

/** `panda-secrets token NAME`: the token is all that it prints, so that `TOKEN=$(panda-secrets token alice)` works. */
export function addTokenCommand(program: Command): void {
  addInstallationOptions(program.command('token <name>'))
    .description('prints a bearer token for an account')
    .option('--ttl <time>', 'how long it is good for: 30m, 12h, 7d', parseDuration, USER_TOKEN_SECONDS)
    .option('--vo <name>', 'the VO that it is for')
    .action((name: string, { ttl }: { ttl: number }, command: Command) =>
      administer(command, async ({ store, issuer }, { vo }) => {
        const account = await findAccount(store, name);
        if (!account) throw new NotFound(`there is no account "${name}"; add it with "panda-secrets user add ${name}"`);
        if (account.disabled) throw new Forbidden(`the account "${account.name}" is disabled`);
        const token = await issuer.mintUserToken(account, { ttlSeconds: ttl, vo });
        const detail = { account: account.subject, name: account.name, ttlSeconds: ttl };
        await recordAct(store, Date.now, 'operator', 'user.token', detail);
        console.log(token);
      }),
    );
}
