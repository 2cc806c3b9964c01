import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { CommanderError } from 'commander';
import { createClient } from '../client/client.ts';
import { serverAddress } from '../client/server-address.ts';
import { tlsTrust } from '../client/tls-trust.ts';
import { protectMemory } from '../files/process-memory.ts';
import { chooseSecretsFolder } from '../payload/secrets-directory.ts';
import { AttemptFailed, Misconfigured, PandaError } from '../protocol/errors.ts';
import { KILL_POLL_SECONDS } from '../protocol/limits.ts';
import { shownText } from '../protocol/text.ts';
import { readAllocation } from './allocation.ts';
import { PILOT_ERRORS } from './error-codes.ts';
import { closeInheritedDescriptors } from './inherited-descriptors.ts';
import { chooseIsolation } from './isolation.ts';
import { joinServer } from './join-server.ts';
import { claimJoinToken, readJoinToken } from './join-token.ts';
import { runPilot } from './loop.ts';
import { openMemoryCgroups } from './memory-cgroup.ts';
import { preparePilotFolder, removeLeftovers } from './pilot-home.ts';
import { type CleanOptions, createPilotProgram, type LaunchOptions, type RunOptions } from './program.ts';
import { tellOfLine } from './server-line.ts';
import type { IdentityOptions, SiteKeyOptions } from './site-commands.ts';

/** The longest that a pilot that ends waits for the answer to its farewell. */
const LEAVE_MILLISECONDS = 5000;
/** Longest line that the pilot says, in characters. */
const MAX_SAID_CHARS = 2000;

/** Exit status: 0, 1 (refused or impossible), 2 (usage), 128 and the signal's number when told to stop by one. */
process.exitCode = await main(process.argv);

async function main(argv: string[]): Promise<number> {
  closeInheritedDescriptors();
  const program = createPilotProgram({ run, launch, clean, ...siteCommands() });
  try {
    await program.parseAsync(argv);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof PandaError) say(error.message);
    else sayFault(error as NodeJS.ErrnoException);
    return 1;
  }
}

async function run(options: RunOptions): Promise<void> {
  const isMemoryProtected = await protectMemory();
  const siteKey =
    options.siteKey === undefined
      ? undefined
      : await (await import('./site-key.ts')).openSiteKey(options.siteKey, { ...options, isMemoryProtected });
  if (!isMemoryProtected) {
    say(
      'this Node cannot keep its memory from other processes of its user (Node 26 can): let no others of them run here',
    );
  }
  const isAwaited = options.awaitToken !== undefined;
  const tokenAtHand = isAwaited ? undefined : await readJoinToken(options.tokenFile);
  // Faults of this node show before the token is used up.
  await preparePilotFolder(options.workdir);
  const secretsFolder = await chooseSecretsFolder(options.secretsDir);
  const isolation = await chooseIsolation({
    mode: options.isolate,
    allowRoot: options.allowRoot,
    shared: options.share,
    hidden: [
      options.workdir,
      secretsFolder ?? [],
      options.tokenFile === '-' ? [] : options.tokenFile,
      siteKey?.folder ?? [],
    ].flat(),
    own: process.env,
    say,
  });
  if (siteKey && !isolation) {
    throw new Misconfigured('--site-key: jobs must be isolated on this node, and are not: install bubblewrap (bwrap)');
  }
  const stopping = stopOnSignals();
  const allocation = await readAllocation({ ...options, environment: process.env });
  const token =
    tokenAtHand ?? (await claimJoinToken(options.tokenFile, { forSeconds: options.awaitToken ?? 0, stopping }));
  if (!token) return;
  const connection = {
    url: options.server ?? serverAddress(process.env),
    vo: options.vo,
    ...tlsTrust(process.env),
  };
  const session = await joinServer(connection, {
    token,
    queue: options.queue,
    node: hostname(),
    forSeconds: options.idleExit,
    stopping,
    say,
  });
  if (!session) return;
  say(`joined ${connection.url} as ${session.pilotId}, queue ${options.queue}: waiting for jobs`);
  const client = createClient({ ...connection, signer: session });
  try {
    const done = await runPilot({
      server: tellOfLine(client, say),
      pilotId: session.pilotId,
      node: {
        name: hostname(),
        queue: options.queue,
        folder: options.workdir,
        secretsFolder,
        isolation,
        memoryCgroups: openMemoryCgroups({ say }),
        siteKey,
        environment: process.env,
      },
      policy: {
        jobs: options.jobs,
        slots: options.slots,
        idleExitSeconds: options.idleExit,
        heartbeatSeconds: options.heartbeat,
        killPollSeconds: KILL_POLL_SECONDS,
        limits: {
          walltimeSeconds: options.maxWalltime ?? 0,
          memoryMegabytes: options.maxMemory ?? 0,
          diskMegabytes: options.maxDisk ?? 0,
        },
        passOn: options.passEnv,
      },
      allocation,
      stopping,
      say,
    });
    say(`ran ${done} ${done === 1 ? 'job' : 'jobs'}`);
  } finally {
    // A session that is not ended ends by its silence: no pilot waits for that.
    await Promise.race([client.leave().catch(() => {}), delay(LEAVE_MILLISECONDS, undefined, { ref: false })]);
    client.close();
  }
}

/** Loaded when it is used, as the site's commands. */
async function launch(options: LaunchOptions): Promise<void> {
  const { launchPilots } = await import('./launcher/launch.ts');
  await launchPilots(options, { environment: process.env, say });
}

async function clean({ workdir, secretsDir }: CleanOptions): Promise<void> {
  const trouble = (error: Error) => {
    say(error.message);
    process.exitCode = 1;
  };
  const removed = await removeLeftovers(workdir, await chooseSecretsFolder(secretsDir), trouble);
  say(`cleaned up after ${removed} ${removed === 1 ? 'pilot' : 'pilots'}`);
}

/** Loaded when they are used: a pilot that runs jobs needs none of them. */
function siteCommands() {
  const output = { print: (line: string) => console.log(line), say };
  const commands = () => import('./site-commands.ts');
  return {
    newSiteIdentity: async (options: IdentityOptions) => (await commands()).newSiteIdentity(options, output),
    signRequest: async (request: string, options: { identity?: string }) =>
      (await commands()).signRequest(request, options, output),
    newSiteKey: async (options: SiteKeyOptions) => (await commands()).makeSiteKey('new', options, output),
    renewSiteKey: async (options: SiteKeyOptions) => (await commands()).makeSiteKey('renew', options, output),
  };
}

/** Aborted when a batch system, a terminal or the terminal's end tells the pilot to stop. */
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
  // Which would end the pilot, or open a debugger where Node cannot be kept from it (process-memory.ts).
  process.on('SIGUSR1', () => {});
  return stopping.signal;
}

/** The place of an unforeseen error, and not its message: that may quote what it choked on, and so a secret. */
function sayFault({ code, name, stack = '' }: NodeJS.ErrnoException): void {
  say(`the pilot has a fault (${code ?? name}); please report it with these lines`);
  for (const line of stack.split('\n')) if (/^\s+at /.test(line)) say(line.trim());
}

/** One line, whatever the text says: parts of it come from jobs and servers. */
function say(text: string): void {
  console.error(`${new Date().toISOString()} panda-pilot: ${shownText(text, MAX_SAID_CHARS)}`);
}
