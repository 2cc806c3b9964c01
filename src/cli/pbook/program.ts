import { Argument, Command } from 'commander';
import { ATTRIBUTE_NAMES, ATTRIBUTES } from '../../protocol/secret-attributes.ts';
import { SECRET_FORMS } from '../../protocol/secret-forms.ts';
import { VERSION } from '../../protocol/version.ts';
import type { Program } from '../command.ts';
import { addNotes, fitHelp } from '../help-notes.ts';
import { EXIT_REFUSED, UsageError } from '../reporting.ts';
import { forms, list } from '../word-lists.ts';
import { attributeUsage, COMPLETION_NOTES, PBOOK_NOTES, RUN_NOTES, SET_SECRET_NOTES } from './help.ts';
import { addKeyCommands } from './keys.ts';
import { type LiteralCommand, literalArguments } from './literal-arguments.ts';
import { addLoginCommands } from './login.ts';

// A command loads its own modules when it runs: a command line has to start fast.
const secrets = () => import('./secrets.ts');
const maskings = () => import('./masking.ts');
const values = () => import('./get-secret.ts');
const records = () => import('./secret-records.ts');
const shows = () => import('./show.ts');
const tasks = () => import('./tasks.ts');
const results = () => import('./results.ts');
const completion = () => import('./completion.ts');
const runs = () => import('./run.ts');

/** Commands that store or name what they are given, taken literally. */
const LITERAL: Record<string, LiteralCommand> = {
  set_secret: {
    flags: ['--json', '--help', '--sealed', '--plain'],
    valued: ['--file', ...ATTRIBUTE_NAMES.map((name) => `--${name}`)],
  },
  get_secret: { flags: ['--json', '--help'], valued: ['--output'] },
  delete_secret: { flags: ['--json', '--help'], valued: [] },
};

const JSON_OPTION = ['--json', 'print the result for a program to read'] as const;

/** The commands of `pbook`; without one it is Python (`shell/invocation.ts`). */
export function createPbook(): Program {
  const command = createCommand();
  return {
    command,
    prepare: (args) => {
      const [name = '', ...rest] = args;
      if (name === 'help') checkHelp(command, rest);
      const literal = Object.hasOwn(LITERAL, name) ? LITERAL[name] : undefined;
      return literal ? [name, ...literalArguments(rest, literal)] : args;
    },
  };
}

/** Commander answers a wrong name with the whole help. @throws {UsageError} */
function checkHelp({ commands }: Command, [about]: readonly string[]): void {
  if (about === undefined || about.startsWith('-') || commands.some((known) => known.name() === about)) return;
  throw new UsageError(`there is no command ${about}; "pbook help" lists them`);
}

function createCommand(): Command {
  const pbook = fitHelp(new Command('pbook'), { subcommandTerm: (command) => command.name() })
    .description('Keeps the secrets that your jobs need, and looks after your tasks.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'tell about a command')
    .enablePositionalOptions();
  addNotes(pbook, ...PBOOK_NOTES);
  addLoginCommands(pbook);
  addSecretCommands(pbook);
  addRunCommand(pbook);
  addTaskCommands(pbook);
  addQuotaCommand(pbook);
  addKeyCommands(pbook);
  addCompletionCommands(pbook);
  addPythonCommands(pbook);
  return pbook;
}

function addSecretCommands(pbook: Command): void {
  const set = addNotes(pbook.command('set_secret'), ...SET_SECRET_NOTES)
    .description('Keep a value under a name. A name that exists gets the new value.')
    .usage(`KEY [VALUE] [--file PATH] ${attributeUsage()} [--sealed|--plain] [--json]`)
    .argument('[words...]')
    .option('--file <path>', "keep a file's bytes; the job finds a file of that name")
    .action(async (words, options) => void (await (await secrets()).setSecret(words, options)));
  for (const name of ATTRIBUTE_NAMES) set.option(`--${name} <${name}>`, ATTRIBUTES[name].about);
  set.option('--sealed', 'seal it with your key, as is done anyway where this device has one');
  set.option('--plain', 'send it as it is, though this device has a key');
  set.option(...JSON_OPTION);
  pbook
    .command('list_secrets')
    .description('List your secrets. Long values are cut unless full=True.')
    .usage('[full=True] [--names] [--unused 90d] [--json]')
    .argument('[words...]')
    .option('--full', 'the same as full=True')
    .option('--names', 'show no values; PBOOK_LIST=names makes it the default')
    .option('--unused <time>', 'only those that no job got, and nobody set, for so long: 12h, 90d')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await import('./list-secrets.ts')).listSecrets(words, options)));
  pbook
    .command('get_secret')
    .description('Print the value of a secret as it is, or write it to a file.')
    .usage('KEY [--output FILE] [--json]')
    .argument('[words...]')
    .option('--output <file>', 'write it to this file, which only you can read')
    .option(...JSON_OPTION)
    .action(async (words, options) => (await values()).getSecret(words, options));
  pbook
    .command('masking')
    .description(
      'Tell how much of a secret the logs of jobs hide, and which of its fields stay visible, without the value.',
    )
    .usage('KEY [--json]')
    .argument('[words...]')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await maskings()).masking(words, options)));
  pbook
    .command('delete_secret')
    .description('Delete a secret with all its versions, or a damaged one by the id that list_secrets tells.')
    .usage('KEY|id=ID [--json]')
    .argument('[words...]')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await secrets()).deleteSecret(words, options)));
  pbook
    .command('delete_all_secrets')
    .description('Delete all your secrets. Asks first at a terminal.')
    .option('--yes', 'do not ask')
    .option(...JSON_OPTION)
    .action(async (options) => (await secrets()).deleteAllSecrets(options));
  pbook
    .command('secret_history')
    .description('List which jobs were given your secrets, or one of them: when, where and in which version.')
    .usage('[KEY] [limit=N] [--json]')
    .argument('[words...]')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await records()).secretHistory(words, options)));
  pbook
    .command('secret_versions')
    .description('List the versions of a secret that are kept, without values.')
    .usage('KEY [--json]')
    .argument('[words...]')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await records()).secretVersions(words, options)));
  pbook
    .command('restore_secret')
    .description('Make the value of a kept version the current one again.')
    .usage('KEY VERSION [--json]')
    .argument('[words...]')
    .option(...JSON_OPTION)
    .action(async (words, options) => void (await (await records()).restoreSecret(words, options)));
}

function addRunCommand(pbook: Command): void {
  addNotes(pbook.command('run'), ...RUN_NOTES)
    .description('Run a command here with your secrets, as a job would find them. What it prints is masked.')
    .usage('[--secrets A,B] [--secretsAs FORMS] [--token-file FILE] [--noLinks] -- COMMAND...')
    .argument('<command...>')
    .passThroughOptions()
    .option('--secrets <names>', 'only these; all of them otherwise', list)
    .option(
      '--secretsAs <forms>',
      `how it finds them: ${SECRET_FORMS.join(',')}; in all of these ways otherwise`,
      forms,
    )
    .option('--token-file <file>', 'a file with your token, which goes before any other')
    .option('--noLinks', 'put no links to the files into this folder: PANDA_SECRETS_FILE tells where they are')
    .action(async (words, options) => await (await runs()).run(words, options));
}

function addTaskCommands(pbook: Command): void {
  const show = (name: string, long: boolean) =>
    pbook
      .command(name)
      .usage('[ID...|run|fin] [days=N] [limit=N] [format=long] [status=S] [taskname=T] [--json]')
      .argument('[words...]')
      .option(...JSON_OPTION)
      .action(async (words, options) => void (await (await shows()).show(words, { ...options, long })));
  show('show', false).description('List your tasks, or those with an id; run: active ones; fin: ended ones.');
  show('showl', true).description('The same with dates and numbers of files.');
  pbook
    .command('kill')
    .usage('ID... [--json]')
    .description('Kill tasks: what runs is stopped.')
    .argument('<id...>')
    .option(...JSON_OPTION)
    .action(async (ids, options) => endWith(await tasks(), 'kill', ids, options));
  pbook
    .command('finish')
    .usage('ID... [--soft] [--json]')
    .description('End tasks early: what has finished counts.')
    .argument('<id...>')
    .option('--soft', 'let what runs come to its end')
    .option(...JSON_OPTION)
    .action(async (ids, options) => endWith(await tasks(), 'finish', ids, options));
  pbook
    .command('retry')
    .usage('ID... [--json]')
    .description('Run the failed jobs of ended tasks again.')
    .argument('<id...>')
    .option(...JSON_OPTION)
    .action(async (ids, options) => endWith(await tasks(), 'retry', ids, options));
  pbook
    .command('logs')
    .usage('TASKID [--follow]')
    .description("Print the logs of a task's jobs, as far as they have come.")
    .argument('<taskid>')
    .option('-f, --follow', 'go on printing what running jobs print, until the task ends')
    .option('--json', 'list the logs for a program to read')
    .action(async (id, options) => void (await (await results()).logs(id, options)));
  pbook
    .command('get_outputs')
    .usage('TASKID [--dir DIR] [--force]')
    .description("Fetch the outputs of a task's jobs.")
    .argument('<taskid>')
    .option('--dir <dir>', 'where to put them; the current directory otherwise')
    .option('--force', 'replace other files of the same name')
    .option(...JSON_OPTION)
    .action(async (id, options) => void (await (await results()).getOutputs(id, options)));
}

function addQuotaCommand(pbook: Command): void {
  pbook
    .command('quota')
    .description('Tell how much of what you may keep and have under way is used.')
    .option(...JSON_OPTION)
    .action(async (options) => void (await (await import('./quota.ts')).quota(options)));
}

function addCompletionCommands(pbook: Command): void {
  addNotes(pbook.command('completion'), ...COMPLETION_NOTES)
    .usage('bash|zsh|fish')
    .description('Print what makes a shell complete the commands of pbook, prun, panda-secrets and panda-pilot.')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (name) => (await completion()).printCompletion(name));
  pbook
    .command('secret_names', { hidden: true })
    .description('For completion: the names of your secrets, one a line, or nothing.')
    .action(async () => (await completion()).printSecretNames());
}

function addPythonCommands(pbook: Command): void {
  pbook
    .command('python-path')
    .description('Print the folder of the Python module "pbook", for sys.path of any Python.')
    .action(async () => {
      const { pythonFolder } = await import('./shell/python-folder.ts');
      process.stdout.write(`${await pythonFolder(process.env)}\n`);
    });
  pbook
    .command('greet', { hidden: true })
    .description('For the prompt: who is known as whom, after a login if need be.')
    .action(async () => (await import('./shell/greet.ts')).greet());
  pbook
    .command('functions', { hidden: true })
    .description('For the Python module: carries out what comes on standard input.')
    .action(async () => (await import('./shell/functions.ts')).serveFunctions());
}

/** Status 0 only when there were tasks, and each was told so. */
async function endWith(
  commands: Awaited<ReturnType<typeof tasks>>,
  name: 'kill' | 'finish' | 'retry',
  ids: readonly string[],
  options: { json?: boolean; soft?: boolean },
): Promise<void> {
  if (!commands.isDone(await commands[name](ids, options))) process.exitCode = EXIT_REFUSED;
}
