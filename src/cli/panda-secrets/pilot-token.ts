import type { Command } from 'commander';
import { recordAct } from '../../audit/audit.ts';
import { createJoinToken } from '../../identity/join-tokens.ts';
import { findQueue, listQueues } from '../../jobs/queues.ts';
import { NotFound } from '../../protocol/errors.ts';
import { JOIN_TOKEN_SECONDS, PILOT_TOKEN_SECONDS } from '../../protocol/limits.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { parseDuration } from './duration.ts';

interface Options {
  queue: string;
  ttl?: number;
  bearer?: boolean;
}

/** `panda-secrets pilot-token --queue Q`: the token is all that it prints. */
export function addPilotTokenCommand(program: Command): void {
  addInstallationOptions(program.command('pilot-token'))
    .description('prints a one-time token, with which one panda-pilot joins a queue')
    .requiredOption('--queue <name>', 'the queue that it serves')
    .option('--ttl <time>', 'how long it is good for: 30m, 12h, 7d (default: 1h; with --bearer 7d)', parseDuration)
    .option('--bearer', "a token that is sent with each request instead, as PanDA's own pilots need it")
    .option('--vo <name>', 'the VO that a bearer token is for')
    .action(({ queue, ttl, bearer }: Options, command: Command) =>
      administer(command, async ({ store, issuer, rootKeys }, { vo }) => {
        if (!(await findQueue(store, queue))) {
          const names = (await listQueues(store)).map(({ name }) => name);
          const known = names.length > 0 ? `known are ${names.join(', ')}` : 'there is none yet';
          throw new NotFound(`there is no queue "${queue}": ${known}. Add it with "panda-secrets queue add ${queue}"`);
        }
        if (bearer) {
          const ttlSeconds = ttl ?? PILOT_TOKEN_SECONDS;
          const token = await issuer.mintPilotToken({ queue, ttlSeconds, vo });
          await recordAct(store, Date.now, 'operator', 'pilot.bearer_token', { queue, ttlSeconds });
          return console.log(token);
        }
        const installation = { store, rootKeys: await rootKeys(), clock: Date.now };
        console.log(await createJoinToken(installation, { queue, ttlSeconds: ttl ?? JOIN_TOKEN_SECONDS }));
      }),
    );
}
