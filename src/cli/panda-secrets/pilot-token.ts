import type { Command } from 'commander';
import { findQueue, listQueues } from '../../jobs/queues.ts';
import { NotFound } from '../../protocol/errors.ts';
import { PILOT_TOKEN_SECONDS } from '../../protocol/limits.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { parseDuration } from './duration.ts';

/** `panda-secrets pilot-token --queue Q`: the token is all that it prints. */
export function addPilotTokenCommand(program: Command): void {
  addInstallationOptions(program.command('pilot-token'))
    .description('prints a bearer token for the pilots of a queue')
    .requiredOption('--queue <name>', 'the queue that they serve')
    .option('--ttl <time>', 'how long it is good for: 30m, 12h, 7d', parseDuration, PILOT_TOKEN_SECONDS)
    .option('--vo <name>', 'the VO that it is for')
    .action(({ queue, ttl }: { queue: string; ttl: number }, command: Command) =>
      administer(command, async ({ store, issuer }, { vo }) => {
        if (!(await findQueue(store, queue))) {
          const names = (await listQueues(store)).map(({ name }) => name);
          const known = names.length > 0 ? `known are ${names.join(', ')}` : 'there is none yet';
          throw new NotFound(`there is no queue "${queue}": ${known}. Add it with "panda-secrets queue add ${queue}"`);
        }
        console.log(await issuer.mintPilotToken({ queue, ttlSeconds: ttl, vo }));
      }),
    );
}
