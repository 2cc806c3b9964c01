import type { Command } from 'commander';
import { parseDuration } from '../duration.ts';
import { addAdministrationOptions, administer } from './administer.ts';

interface Options {
  queue: string;
  ttl?: number;
  bearer?: boolean;
  vo?: string;
}

/** `panda-secrets pilot-token --queue Q`: the token is all that it prints. */
export function addPilotTokenCommand(program: Command): void {
  addAdministrationOptions(program.command('pilot-token'))
    .description('prints a one-time token, with which one panda-pilot joins a queue')
    .requiredOption('--queue <name>', 'the queue that it serves')
    .option('--ttl <time>', 'the time that it is good for: 30m, 12h, 7d (default: 1h; with --bearer 7d)', parseDuration)
    .option('--bearer', "a token that is sent with each request instead, as PanDA's own pilots need it")
    .option('--vo <name>', 'the VO that a bearer token is for')
    .action(({ queue, ttl, bearer, vo }: Options, command: Command) =>
      administer(command, async (administration) => {
        const made = await administration.createPilotToken({ queue, ttl_seconds: ttl, bearer, vo });
        return { data: made, text: made.token };
      }),
    );
}
