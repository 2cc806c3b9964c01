import { Command, InvalidArgumentError, Option } from 'commander';
import { LEAKED_OUTPUTS, type LeakedOutputs } from '../../protocol/leaked-outputs.ts';
import { MAX_ASKED_MEGABYTES, MAX_JOBS_PER_TASK, MAX_MAX_ATTEMPTS, MAX_WALLTIME_HOURS } from '../../protocol/limits.ts';
import { SECRET_FORMS, type SecretForm } from '../../protocol/secret-forms.ts';
import { VERSION } from '../../protocol/version.ts';
import type { Program } from '../command.ts';
import { parseDuration } from '../duration.ts';
import { addNotes, fitHelp, type Note } from '../help-notes.ts';
import { UsageError } from '../reporting.ts';
import { forms, list } from '../word-lists.ts';

/** A command line as {@link createPrun} reads it. */
export interface PrunOptions {
  exec: string;
  outDS: string;
  outputs?: string[];
  nJobs: number;
  /** `true`: all of them. */
  useSecrets?: true | string[];
  secretsAs?: SecretForm[];
  leakedOutputs?: LeakedOutputs;
  sealResults?: boolean;
  site?: string;
  maxAttempt?: number;
  maxWalltime?: number;
  memory?: number;
  excludeFile?: string[];
  includeFile?: string[];
  vo?: string;
  allowSecretInCommand?: boolean;
  yes?: boolean;
  wait?: boolean;
  /** Seconds. */
  timeout?: number;
  json?: boolean;
}

/** @param run called with options that make sense */
export function createPrun(
  run: (options: PrunOptions, args: readonly string[]) => Promise<void>,
  args: readonly string[],
): Program {
  const command = addNotes(fitHelp(new Command('prun')), ...NOTES)
    .description('Packs the current directory and submits a task that runs a command in it.')
    .usage('--exec COMMAND --outDS user.NICKNAME.NAME [options]')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option('--exec <command>', 'what each job runs, for the shell; %RNDM:N in it counts from N over the jobs')
    .option('--outDS <name>', 'name of the task and its outputs: user.NICKNAME.SOMETHING')
    .option('--outputs <files>', 'files that the jobs write and that you want back, with commas between', list)
    .option('--nJobs <n>', 'number of jobs', wholeNumber(MAX_JOBS_PER_TASK), 1)
    .option('--useSecrets [keys]', 'give the jobs your secrets; =KEY1,KEY2 only these', list)
    .option(
      '--secretsAs <forms>',
      `how jobs find them: ${SECRET_FORMS.join(',')}; in all of these ways otherwise`,
      forms,
    )
    .addOption(
      new Option(
        '--leakedOutputs <action>',
        'for an output that holds a value of a secret: warn (as without it), hold it back, or fail the job',
      ).choices(LEAKED_OUTPUTS),
    )
    .option('--sealResults', 'with sealed secrets: outputs and logs come back sealed to you, and no server reads them')
    .option('--site <queue>', 'the queue to run on; any when it is not given')
    .option('--maxAttempt <n>', 'how often a job that fails is tried', wholeNumber(MAX_MAX_ATTEMPTS))
    .option('--maxWalltime <hours>', 'how long a job may run; it is ended then', wholeNumber(MAX_WALLTIME_HOURS))
    .option(
      '--memory <MB>',
      'memory that a job needs; one that uses twice as much is ended',
      wholeNumber(MAX_ASKED_MEGABYTES),
    )
    .option('--excludeFile <patterns>', 'files to leave out, with commas between; patterns as in a .gitignore', list)
    .option(
      '--includeFile <patterns>',
      'files with credentials to pack all the same; they are left out otherwise',
      list,
    )
    .option('--noBuild', 'accepted; there is never a build step')
    .option('--vo <vo>', 'the VO to submit for; PANDA_AUTH_VO otherwise')
    .option(
      '--allowSecretInCommand',
      'submit an option that holds the value of one of your secrets; it is refused otherwise',
    )
    .option('--yes', 'do not ask, only warn, where files hold values of your secrets')
    .option('--wait', 'wait for the task to end; exit status 0 only when every job finished')
    .option('--timeout <time>', 'give the waiting up after so long: 90s, 30m, 12h, 7d; exit status 124', parseDuration)
    .option('--json', 'print the result for a program to read')
    .addOption(new Option('--bexec <command>').hideHelp().argParser(refuseBuild))
    .allowExcessArguments(false)
    .action(({ exec, outDS, ...options }: Partial<PrunOptions> & { nJobs: number }) => {
      // Looked at here, after commander has named options that it does not know: --outds, say.
      if (!exec?.trim()) throw new UsageError('--exec is missing: the command that each job runs');
      if (!outDS) throw new UsageError('--outDS is missing: the name of the task, user.NICKNAME.SOMETHING');
      if (options.secretsAs && !options.useSecrets) throw new UsageError('--secretsAs goes with --useSecrets');
      if (options.leakedOutputs && !options.useSecrets) throw new UsageError('--leakedOutputs goes with --useSecrets');
      if (options.sealResults && !options.useSecrets) throw new UsageError('--sealResults goes with --useSecrets');
      if (options.timeout !== undefined && !options.wait) throw new UsageError('--timeout goes with --wait');
      return run({ exec, outDS, ...options }, args);
    });
  return { command };
}

const NOTES: readonly Note[] = [
  'The current directory is what a job starts in: at most 10 MB packed, without .git, node_modules and what a .prunignore in it ' +
    'names (the rules of a .gitignore). Files in which programs keep credentials are left out and named; your login is never packed.',
  '  prun --exec "python3 my_job.py %RNDM:1" --outDS user.adoe.test1 \\\n    --outputs out.txt --nJobs 3 --useSecrets',
  '"pbook help" tells how the server and your token are found.',
];

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };
}

function refuseBuild(): never {
  throw new UsageError(
    '--bexec: there is no build step here. Build before you submit, or in the job: --exec "make && ./my_job"',
  );
}
