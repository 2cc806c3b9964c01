import type { Command } from 'commander';

const work = () => import('./key-commands.ts');

const PASSPHRASE = ['--passphrase', 'ask for a passphrase to keep the key under'] as const;
const JSON_OPTION = ['--json', 'print the result for a program to read'] as const;

/** `pbook keys`: the key that seals secrets, and the sites that may open them. */
export function addKeyCommands(pbook: Command): void {
  const keys = pbook.command('keys').description('The key that seals your secrets, and the sites that may open them.');
  keys
    .command('init')
    .description('Make your key, on the first of your devices. It shows a recovery code, once.')
    .option(...PASSPHRASE)
    .option('--yes', 'ask nothing, for a robot with a key of its own: prints the code to standard output')
    .option(...JSON_OPTION)
    .action(async (options) => (await work()).init(options));
  keys
    .command('show')
    .description('Tell where your key is, which sites you trust and until when their records last.')
    .option(...JSON_OPTION)
    .action(async (options) => (await work()).show(options));
  keys
    .command('export')
    .description('Show the recovery code again, or write all that this device knows to a file under a passphrase.')
    .argument('[file]')
    .option(...JSON_OPTION)
    .action(async (file, options) => (await work()).exportKey(file, options));
  keys
    .command('import')
    .description('Bring your key from another device: from a file of "keys export", or by its recovery code.')
    .argument('[file]')
    .option(...PASSPHRASE)
    .option(...JSON_OPTION)
    .action(async (file, options) => (await work()).importKey(file, options));
  keys
    .command('trust')
    .usage('QUEUE=SITE-ID')
    .description("Let the site of a queue open what you seal. Take its ID from the site's own page.")
    .argument('<site>')
    .option(...JSON_OPTION)
    .action(async (site, options) => (await work()).trust(site, options));
  keys
    .command('untrust')
    .description('Seal nothing more for the site of a queue. It names the secrets whose values the site knows.')
    .argument('<queue>')
    .option(...JSON_OPTION)
    .action(async (queue, options) => (await work()).untrust(queue, options));
  keys
    .command('reseal')
    .description('Seal your secrets anew for the sites that you trust now.')
    .option(...JSON_OPTION)
    .action(async (options) => (await work()).reseal(options));
}
