import type { Command } from 'commander';
import { addQueue, listQueues } from '../../jobs/queues.ts';
import { addInstallationOptions, administer } from './administer.ts';
import { tableOf } from './table.ts';

/** `panda-secrets queue add|list`: where pilots take jobs from. */
export function addQueueCommands(program: Command): void {
  const queue = program.command('queue').description('the queues that pilots serve');

  addInstallationOptions(queue.command('add <name>'))
    .description('adds a queue')
    .option(
      '--allow-tls-secrets',
      'also gives secrets to pilots that offer no key, over TLS alone; the existing Python pilot is one, and writes ' +
        'every secret in clear into its own log',
    )
    .action((name: string, { allowTlsSecrets = false }: { allowTlsSecrets?: boolean }, command: Command) =>
      administer(command, async ({ store }) => {
        await addQueue(store, Date.now, name, { allowTlsSecrets });
        console.log(`added ${name}; a token for its pilots: panda-secrets pilot-token --queue ${name}`);
      }),
    );

  addInstallationOptions(queue.command('list'))
    .description('lists the queues')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }, command: Command) =>
      administer(command, async ({ store }) => {
        const queues = await listQueues(store);
        if (json) return console.log(JSON.stringify(queues));
        const rows = queues.map(({ name, allowTlsSecrets }) => [
          name,
          allowTlsSecrets ? 'sealed, or over TLS alone' : 'sealed only',
        ]);
        console.log(tableOf(['NAME', 'SECRETS'], rows));
      }),
    );
}
