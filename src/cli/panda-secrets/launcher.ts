import type { Command } from 'commander';
import { columns } from '../columns.ts';
import { parseDuration } from '../duration.ts';
import { addAdministrationOptions, administer } from './administer.ts';

interface AddOptions {
  queue: readonly string[];
  ttl?: number;
}

/** `panda-secrets launcher add|renew|list|remove`: programs that start pilots of some queues. A token is all that the first two print. */
export function addLauncherCommands(program: Command): void {
  const launcher = program
    .command('launcher')
    .description('the programs that start pilots of some queues in a batch system, and can do nothing else');

  addAdministrationOptions(launcher.command('add <name>'))
    .description('adds a launcher, and prints its token: put it into a file that its user alone can read')
    .requiredOption('--queue <name>', 'a queue that it starts pilots for; may be given several times', andAnother)
    .option('--ttl <time>', 'the time that its token is good for: 12h, 30d (default: 366d)', parseDuration)
    .action((name: string, { queue, ttl }: AddOptions, command: Command) =>
      administer(command, async (administration) => {
        const made = await administration.addLauncher({ name, queues: queue, ttl_seconds: ttl });
        return { data: made, text: made.token };
      }),
    );

  addAdministrationOptions(launcher.command('renew <name>'))
    .description('prints another token for a launcher; those that it had are refused within half a minute')
    .option('--ttl <time>', 'the time that it is good for: 12h, 30d (default: 366d)', parseDuration)
    .action((name: string, { ttl }: { ttl?: number }, command: Command) =>
      administer(command, async (administration) => {
        const made = await administration.renewLauncher({ name, ttl_seconds: ttl });
        return { data: made, text: made.token };
      }),
    );

  addAdministrationOptions(launcher.command('list'))
    .description('lists the launchers')
    .action((_options: unknown, command: Command) =>
      administer(command, async (administration) => {
        const launchers = await administration.listLaunchers({});
        const rows = launchers.map(({ name, queues, created_at, expires_at }) => [
          name,
          queues.join(','),
          created_at.slice(0, 10),
          expires_at.slice(0, 10),
        ]);
        const text =
          launchers.length === 0
            ? 'no launchers'
            : (await columns(['NAME', 'QUEUES', 'SINCE', 'TOKEN ENDS'], rows)).trimEnd();
        return { data: launchers, text };
      }),
    );

  addAdministrationOptions(launcher.command('remove <name>'))
    .description('removes a launcher: its token is refused, and the join tokens that were not used; its pilots go on')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.removeLauncher({ name });
        return { text: `removed ${name.toLowerCase()}` };
      }),
    );
}

function andAnother(queue: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, queue];
}
