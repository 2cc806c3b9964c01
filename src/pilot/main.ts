import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { createClient } from '../client/client.ts';
import { serverAddress } from '../client/server-address.ts';
import { AttemptFailed, PandaError } from '../protocol/errors.ts';
import { HEARTBEAT_SECONDS, KILL_POLL_SECONDS } from '../protocol/limits.ts';
import { protectMemory } from './core-files.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { ISOLATION_MODES, type IsolationMode } from './isolation.ts';
import { joinServer } from './join-server.ts';
import { readJoinToken } from './join-token.ts';
import { runPilot } from './loop.ts';
import { removeLeftovers } from './pilot-home.ts';
import { chooseSecretsFolder } from './secrets-directory.ts';

/** Exit status: 0, 1 (refused or impossible), 2 (usage), 128 and the signal's number when told to stop by one. */
process.exitCode = await main(process.argv);

async function main(argv: string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync(argv);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof PandaError)) throw error;
    say(error.message);
    return 1;
  }
}

interface RunOptions {
  queue: string;
  tokenFile: string;
  server?: string;
  vo: string;
  jobs?: number;
  slots: number;
  idleExit?: number;
  workdir: string;
  secretsDir?: string;
  passEnv: string[];
  heartbeat: number;
  isolate: IsolationMode;
  share: string[];
  maxWalltime?: number;
  maxMemory?: number;
  maxDisk?: number;
}

function createProgram(): Command {
  const program = new Command('panda-pilot')
    .description('Runs jobs of a PanDA queue on this node, with the secrets that their owners gave them.')
    .exitOverride()
    .showHelpAfterError('(panda-pilot --help shows what there is)');
  program
    .command('run', { isDefault: true })
    .description('fetch and run jobs (what it does without a command)')
    .requiredOption('--queue <name>', 'the queue whose jobs to run')
    .requiredOption(
      '--token-file <file>',
      "file with the pilot's join token, which is good for one start; - for standard input",
    )
    .option('--server <url>', 'the server (default: PANDA_URL_SSL or PANDA_URL, or the one on this machine)')
    .option('--vo <name>', 'the VO that the pilot works for', 'panda:pilot')
    .option('--jobs <n>', 'end after this many jobs (default: when told to)', wholeNumber)
    .option('--slots <n>', 'jobs at the same time', wholeNumber, 1)
    .option('--idle-exit <seconds>', 'end when there was no job for this long (default: wait)', wholeNumber)
    .option('--workdir <dir>', "where jobs' directories are made", defaultFolder())
    .option('--secrets-dir <dir>', 'where secrets are kept: a directory, or "none" (default: /dev/shm if usable)')
    .option('--pass-env <name...>', 'variables of this environment that jobs get besides the usual ones', [])
    .addOption(
      new Option('--isolate <mode>', 'keep jobs from each other and from the pilot, with bubblewrap (bwrap)')
        .choices(ISOLATION_MODES)
        .default('auto'),
    )
    .option('--share <path...>', 'what isolated jobs see besides the system, read-only; a device as it is', [])
    .option('--max-walltime <seconds>', 'that a job may run (default: what its owner asked for)', wholeNumber)
    .option('--max-memory <MB>', "of a job's processes together (default: twice what its owner asked for)", wholeNumber)
    .option('--max-disk <MB>', "of a job's directories (default: what its owner asked for)", wholeNumber)
    .option('--heartbeat <seconds>', 'between two reports of a running job', wholeNumber, HEARTBEAT_SECONDS)
    .action(run);
  program
    .command('clean')
    .description('remove what killed pilots left on this node: processes, secrets, directories')
    .option('--workdir <dir>', "where jobs' directories were made", defaultFolder())
    .action(async ({ workdir }: { workdir: string }) => {
      const trouble = (error: Error) => {
        say(error.message);
        process.exitCode = 1;
      };
      say(`cleaned up after ${await removeLeftovers(workdir, trouble)} pilots`);
    });
  return program;
}

async function run(options: RunOptions): Promise<void> {
  if (!(await protectMemory())) {
    say(
      'this Node cannot keep its memory from other processes of its user (Node 26 can): let no others of them run here',
    );
  }
  const stopping = stopOnSignals();
  const connection = {
    url: options.server ?? serverAddress(process.env),
    vo: options.vo,
    verifyHost: process.env['PANDA_VERIFY_HOST'] !== 'off',
  };
  const session = await joinServer(connection, {
    token: await readJoinToken(options.tokenFile),
    queue: options.queue,
    node: hostname(),
    forSeconds: options.idleExit,
    stopping,
    say,
  });
  if (!session) return;
  const client = createClient({ ...connection, signer: session });
  try {
    const done = await runPilot({
      server: client,
      pilotId: session.pilotId,
      queue: options.queue,
      node: hostname(),
      jobs: options.jobs,
      slots: options.slots,
      idleExitSeconds: options.idleExit,
      folder: options.workdir,
      secretsFolder: await chooseSecretsFolder(options.secretsDir),
      heartbeatSeconds: options.heartbeat,
      killPollSeconds: KILL_POLL_SECONDS,
      limits: {
        walltimeSeconds: options.maxWalltime ?? 0,
        memoryMegabytes: options.maxMemory ?? 0,
        diskMegabytes: options.maxDisk ?? 0,
      },
      own: process.env,
      passOn: options.passEnv,
      isolate: options.isolate,
      shared: options.share,
      hidden: options.tokenFile === '-' ? [] : [options.tokenFile],
      stopping,
      say,
    });
    say(`ran ${done} ${done === 1 ? 'job' : 'jobs'}`);
    await client.leave().catch(() => {}); // Then the session ends by its silence.
  } finally {
    client.close();
  }
}

/** What tells a pilot to stop: a batch system, a terminal, or the terminal's end. */
function stopOnSignals(): AbortSignal {
  const stopping = new AbortController();
  const stop = (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', status: number) => {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      say(`${signal}: ending the jobs that run`);
      process.exitCode = status;
      const code = signal === 'SIGINT' ? PILOT_ERRORS.sigint : PILOT_ERRORS.sigterm;
      stopping.abort(new AttemptFailed(code, `the pilot was told to stop (${signal})`));
    });
  };
  stop('SIGTERM', 143);
  stop('SIGINT', 130);
  stop('SIGHUP', 129);
  // Otherwise it would open a debugger, in which the secrets can be read.
  process.on('SIGUSR1', () => {});
  return stopping.signal;
}

function defaultFolder(): string {
  return join(tmpdir(), `panda-pilot-${userInfo().uid}`);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return number;
}

function say(text: string): void {
  console.error(`${new Date().toISOString()} panda-pilot: ${text}`);
}
