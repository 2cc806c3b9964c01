import type { Command } from 'commander';
import { MAX_COUNTED_JOBS } from '../../protocol/limits.ts';
import { columns } from '../columns.ts';
import { addAdministrationOptions, administer } from './administer.ts';

/** `panda-secrets queue add|list|load`: where pilots take jobs from. */
export function addQueueCommands(program: Command): void {
  const queue = program.command('queue').description('the queues that pilots serve');

  addAdministrationOptions(queue.command('add <name>'))
    .description('adds a queue, or changes what one that is there allows')
    .option(
      '--allow-tls-secrets',
      'also gives secrets to pilots that offer no key, over TLS alone; the existing Python pilot is one, and writes ' +
        'every secret in clear into its own log',
    )
    .action((name: string, { allowTlsSecrets = false }: { allowTlsSecrets?: boolean }, command: Command) =>
      administer(command, async (administration) => {
        await administration.setQueue({ name, allow_tls_secrets: allowTlsSecrets });
        console.log(`added ${name}; a token for its pilots: panda-secrets pilot-token --queue ${name}`);
      }),
    );

  addAdministrationOptions(queue.command('list'))
    .description('lists the queues')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }, command: Command) =>
      administer(command, async (administration) => {
        const queues = await administration.listQueues({});
        if (json) return console.log(JSON.stringify(queues));
        const rows = queues.map(({ name, allow_tls_secrets }) => [
          name,
          allow_tls_secrets ? 'sealed, or over TLS alone' : 'sealed only',
        ]);
        process.stdout.write(columns(['NAME', 'SECRETS'], rows));
      }),
    );

  addAdministrationOptions(queue.command('load <name>'))
    .description('tells how many jobs wait for pilots of a queue, and what runs there')
    .option('--json', 'as JSON')
    .action((name: string, { json }: { json?: boolean }, command: Command) =>
      administer(command, async (administration) => {
        const load = await administration.getQueueLoad({ queue: name });
        if (json) return console.log(JSON.stringify(load));
        const waiting = load.waiting < MAX_COUNTED_JOBS ? `${load.waiting}` : `${MAX_COUNTED_JOBS} or more`;
        process.stdout.write(
          columns(['WAITING', 'RUNNING', 'PILOTS'], [[waiting, `${load.running}`, `${load.pilots}`]]),
        );
      }),
    );
}
