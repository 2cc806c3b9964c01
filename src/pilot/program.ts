import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { HEARTBEAT_SECONDS } from '../protocol/limits.ts';
import { VERSION } from '../protocol/version.ts';
import { readTime } from './allocation.ts';
import { ISOLATION_MODES, type IsolationMode } from './isolation.ts';
import { BATCH_SYSTEMS } from './launcher/batch.ts';
import type { IdentityOptions, SiteKeyOptions } from './site-commands.ts';

/** The command line of a pilot that runs jobs. */
export interface RunOptions {
  queue: string;
  tokenFile: string;
  awaitToken?: number;
  server?: string;
  vo: string;
  jobs?: number;
  slots: number | 'auto';
  /** Milliseconds since 1970. */
  until?: number;
  minutes?: number;
  idleExit?: number;
  workdir: string;
  secretsDir?: string;
  passEnv: string[];
  heartbeat: number;
  isolate: IsolationMode;
  share: string[];
  siteKey?: string;
  allowRoot: boolean;
  maxWalltime?: number;
  maxMemory?: number;
  maxDisk?: number;
}

/** Places where killed pilots may have left something. */
export type CleanOptions = Pick<RunOptions, 'workdir' | 'secretsDir'>;

/** The command line of a launcher. */
export interface LaunchOptions {
  batch: string;
  config: string;
}

interface PilotActions {
  run(options: RunOptions): Promise<void>;
  launch(options: LaunchOptions): Promise<void>;
  clean(options: CleanOptions): Promise<void>;
  newSiteIdentity(options: IdentityOptions): Promise<void>;
  signRequest(request: string, options: { identity?: string }): Promise<void>;
  newSiteKey(options: SiteKeyOptions): Promise<void>;
  renewSiteKey(options: SiteKeyOptions): Promise<void>;
}

/** The command line of `panda-pilot`; what goes wrong is thrown. */
export function createPilotProgram(actions: PilotActions): Command {
  const program = new Command('panda-pilot')
    .description('Runs jobs of a PanDA queue on this node, with the secrets that their owners gave them.')
    .usage('--queue QUEUE --token-file FILE [options]')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .configureHelp({ minWidthToWrap: 12 })
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) })
    .option('--queue <name>', 'the queue whose jobs to run')
    .option(
      '--token-file <file>',
      "file with the pilot's join token, which is good for one start; - for standard input",
    )
    .option(
      '--await-token <seconds>',
      'wait so long for the token file, which a launcher hands over, and take it away',
      wholeNumber,
    )
    .option('--server <url>', 'the server (default: PANDA_URL_SSL or PANDA_URL, or the one on this machine)')
    .option('--vo <name>', 'the VO that the pilot works for', 'panda:pilot')
    .option('--jobs <n>', 'end after this many jobs (default: when told to)', wholeNumber)
    .option('--slots <n>', 'jobs at the same time, each with its share of cores and memory; auto: one a core', slots, 1)
    .option(
      '--until <time>',
      'when its node is taken away: seconds since 1970, or 2026-03-01T12:00:00Z (default: as Slurm says)',
      time,
    )
    .option('--minutes <n>', 'the same as minutes from now', wholeNumber)
    .option('--idle-exit <seconds>', 'end when there was no job for this long (default: wait)', wholeNumber)
    .addOption(workdir("where jobs' directories are made"))
    .addOption(secretsDirectory('where secrets of jobs that are not isolated are kept'))
    .addOption(listOption('--pass-env <name...>', 'variables of this environment that jobs get besides the usual ones'))
    .addOption(
      new Option('--isolate <mode>', 'keep jobs from each other and from the pilot, with bubblewrap (bwrap)')
        .choices(ISOLATION_MODES)
        .default('auto'),
    )
    .addOption(
      listOption('--share <path...>', 'what isolated jobs see besides the system, read-only; a device as it is'),
    )
    .option('--site-key <file>', "the key of the site's nodes for this queue: jobs with sealed secrets run here too")
    .option('--allow-root', 'run as root also where jobs cannot be isolated, and so are root too', false)
    .option('--max-walltime <seconds>', 'that a job may run (default: what its owner asked for)', wholeNumber)
    .option('--max-memory <MB>', "of a job's processes together (default: twice what its owner asked for)", wholeNumber)
    .option('--max-disk <MB>', "of a job's directories (default: what its owner asked for)", wholeNumber)
    .option('--heartbeat <seconds>', 'between two reports of a running job', wholeNumber, HEARTBEAT_SECONDS)
    .action((options: RunOptions) => {
      // Looked at here, after commander has named options that it does not know.
      if (!options.queue) program.error('--queue NAME is required: the queue whose jobs it runs');
      if (!options.tokenFile) {
        program.error(
          '--token-file FILE is required: the join token, or - to read it from standard input; ' +
            `"panda-secrets pilot-token --queue ${options.queue}" prints one`,
        );
      }
      return actions.run(options);
    });
  program
    .command('clean')
    .description('remove what killed pilots left on this node: processes, secrets, directories')
    .addOption(workdir("where jobs' directories were made"))
    .addOption(secretsDirectory('where secrets were kept'))
    .action(actions.clean);
  program
    .command('launch')
    .description('keep enough pilots of a queue in a batch system, as a user of the site: docs/clusters.md')
    .addOption(new Option('--batch <system>', 'the batch system').choices(BATCH_SYSTEMS).makeOptionMandatory())
    .requiredOption('--config <file>', 'what to start and how many (TOML)')
    .action(actions.launch);
  addSiteCommands(program, actions);
  return program;
}

/** The commands of a site's admin, for sealed secrets. */
function addSiteCommands(program: Command, actions: PilotActions): void {
  const identity = program
    .command('site-identity')
    .description(
      "the site's identity, which vouches for the keys of its nodes: for a machine of the admin's, off the nodes",
    );
  identity
    .command('new')
    .description('make it, and print the site ID, which users pin')
    .option('--out <file>', 'where to keep it (default: ~/.panda-pilot/site-identity.json)')
    .action(actions.newSiteIdentity);
  identity
    .command('sign')
    .description("sign a node's request (FILE.req), and print the record")
    .argument('<request>', 'the file that "site-key new" or "renew" wrote')
    .option('--identity <file>', 'the identity (default: ~/.panda-pilot/site-identity.json)')
    .action(actions.signRequest);
  const key = program
    .command('site-key')
    .description("the key of the site's nodes for a queue, which opens sealed secrets that were sealed for them");
  const options = [
    new Option('--queue <name>', 'the queue').makeOptionMandatory(),
    new Option('--out <file>', 'the file of the key, in a folder of its own (default: ~/.panda-pilot/QUEUE.key)'),
    new Option('--identity <file>', 'sign the record at once, where the identity is at hand'),
  ];
  const make = (name: string, what: string, action: (options: SiteKeyOptions) => Promise<void>) => {
    const command = key.command(name).description(what).action(action);
    for (const option of options) command.addOption(option);
  };
  make('new', 'make the key', actions.newSiteKey);
  make('renew', 'add a new key, every 30 days: older ones are kept for 90', actions.renewSiteKey);
}

/** One line, as everything else that the pilot says. */
function usageError(text: string): string {
  const message = text.trim().replace(/^error: /, '');
  return `panda-pilot: ${message.replaceAll('\n', ' ')} ("panda-pilot --help" tells more)\n`;
}

function workdir(what: string): Option {
  const folder = join(tmpdir(), `panda-pilot-${process.getuid?.() ?? 0}`);
  return new Option('--workdir <dir>', what).default(folder, 'panda-pilot-UID in the folder for temporary files');
}

function secretsDirectory(what: string): Option {
  return new Option('--secrets-dir <dir>', `${what}: a directory, or "none" (default: /dev/shm if usable)`);
}

function listOption(flags: string, what: string): Option {
  return new Option(flags, what).default([], 'none');
}

function slots(text: string): number | 'auto' {
  return text === 'auto' ? text : wholeNumber(text);
}

function time(text: string): number {
  try {
    return readTime(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return number;
}
