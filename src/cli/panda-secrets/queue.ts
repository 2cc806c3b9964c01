import { type Command, Option } from 'commander';
import type { ListedQueue } from '../../protocol/calls/admin.ts';
import { MAX_COUNTED_JOBS } from '../../protocol/limits.ts';
import type { QueueState } from '../../protocol/states.ts';
import { columns } from '../columns.ts';
import { UsageError } from '../reporting.ts';
import { addAdministrationOptions, administer } from './administer.ts';

/** `panda-secrets queue add|set|pause|drain|resume|remove|list|load`: where pilots take jobs from. */
export function addQueueCommands(program: Command): void {
  const queue = program.command('queue').description('the queues that pilots serve');

  addAdministrationOptions(queue.command('add <name>'))
    .description('adds a queue; one that is there stays as it is')
    .addOption(allowTlsSecretsOption())
    .action((name: string, { allowTlsSecrets = false }: TlsSecretsOption, command: Command) =>
      administer(command, async (administration) => {
        const added = await administration.addQueue({ name, allow_tls_secrets: allowTlsSecrets });
        if (!added.is_new) return { data: added, text: `${name} exists already, unchanged: ${settings(added.queue)}` };
        const lines = [
          `added ${name}; a token for its pilots: panda-secrets pilot-token --queue ${name}`,
          `${name}: ${settings(added.queue)}`,
          ...remarkOnOwners(added.told, name),
        ];
        return { data: added, text: lines.join('\n') };
      }),
    );

  addAdministrationOptions(queue.command('set <name>'))
    .description('changes what a queue allows, and tells the owners whose secrets name it')
    .addOption(allowTlsSecretsOption())
    .option('--no-allow-tls-secrets', 'gives secrets sealed only')
    .action((name: string, { allowTlsSecrets }: TlsSecretsOption, command: Command) => {
      if (allowTlsSecrets === undefined) {
        throw new UsageError('queue set needs --allow-tls-secrets or --no-allow-tls-secrets');
      }
      return change(command, { name, allow_tls_secrets: allowTlsSecrets });
    });

  const states: [command: string, state: QueueState, description: string][] = [
    ['pause', 'paused', 'gives out no job of a queue; tasks for it are taken and wait, and jobs that run go on'],
    [
      'drain',
      'draining',
      'takes no new task for a queue; jobs of the tasks that name it still run there, and no others',
    ],
    ['resume', 'open', 'opens a queue again that was paused or drained'],
  ];
  for (const [word, state, description] of states) {
    addAdministrationOptions(queue.command(`${word} <name>`))
      .description(description)
      .action((name: string, _options: unknown, command: Command) => change(command, { name, state }));
  }

  addAdministrationOptions(queue.command('remove <name>'))
    .description('removes a queue for which every task has ended and where nothing runs')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        await administration.removeQueue({ name });
        return { text: `removed ${name}` };
      }),
    );

  addAdministrationOptions(queue.command('site-key <name> <record>'))
    .description(
      "publishes the record of a site's nodes: the file that panda-pilot wrote beside their key, or its text",
    )
    .action((name: string, given: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        const { publishedRecord } = await import('./site-key.ts');
        const { record, until, site } = await publishedRecord(name, given);
        await administration.setSiteRecord({ name, record });
        const text = `${name}: the record of site ${site} until ${until}; its users trust it by that ID, from the page of the site`;
        return { data: { queue: name, site, until }, text };
      }),
    );

  addAdministrationOptions(queue.command('list'))
    .description('lists the queues')
    .action((_options: unknown, command: Command) =>
      administer(command, async (administration) => {
        const queues = await administration.listQueues({});
        const rows = queues.map((one) => [one.name, one.state, givenSecrets(one)]);
        return { data: queues, text: (await columns(['NAME', 'STATE', 'SECRETS'], rows)).trimEnd() };
      }),
    );

  addAdministrationOptions(queue.command('load <name>'))
    .description('tells how many jobs wait for pilots of a queue, and what runs there')
    .action((name: string, _options: unknown, command: Command) =>
      administer(command, async (administration) => {
        const load = await administration.getQueueLoad({ queue: name });
        const waiting = load.waiting < MAX_COUNTED_JOBS ? `${load.waiting}` : `${MAX_COUNTED_JOBS} or more`;
        const rows = [[waiting, `${load.running}`, `${load.pilots}`]];
        return { data: load, text: (await columns(['WAITING', 'RUNNING', 'PILOTS'], rows)).trimEnd() };
      }),
    );
}

interface TlsSecretsOption {
  allowTlsSecrets?: boolean;
}

function allowTlsSecretsOption(): Option {
  return new Option(
    '--allow-tls-secrets',
    'also gives secrets to pilots that offer no key, over TLS alone; the existing Python pilot is one, and writes ' +
      'every secret in clear into its own log',
  );
}

/** Changes a queue and tells what is different now. */
function change(
  command: Command,
  wanted: { name: string; allow_tls_secrets?: boolean; state?: QueueState },
): Promise<void> {
  return administer(command, async (administration) => {
    const { queue, was, told } = await administration.setQueue(wanted);
    const { name } = queue;
    const changes = [
      ...(queue.state === was.state ? [] : [`${was.state} -> ${queue.state}`]),
      ...(queue.allow_tls_secrets === was.allow_tls_secrets
        ? []
        : [`secrets ${givenSecrets(was)} -> ${givenSecrets(queue)}`]),
    ];
    const data = { queue, was, told };
    if (changes.length === 0) return { data, text: `${name} is unchanged: ${settings(queue)}` };
    const lines = [`changed ${name}: ${changes.join('; ')}`, ...remarkOnOwners(told, name)];
    return { data, text: lines.join('\n') };
  });
}

function settings(queue: ListedQueue): string {
  return `${queue.state}, secrets ${givenSecrets(queue)}`;
}

function givenSecrets({ allow_tls_secrets }: ListedQueue): string {
  return allow_tls_secrets ? 'sealed, or over TLS alone' : 'sealed only';
}

function remarkOnOwners(told: number, name: string): string[] {
  if (told === 0) return [];
  return [`${told} ${told === 1 ? 'owner' : 'owners'} whose secrets name ${name} can read about this change`];
}
