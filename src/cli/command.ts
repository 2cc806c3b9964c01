import { type Command, CommanderError } from 'commander';
import type { Connection } from '../client/connect.ts';
import { Unauthenticated } from '../protocol/errors.ts';
import { REQUEST_TIMEOUT_SECONDS, SILENCE_SECONDS } from '../protocol/limits.ts';
import {
  EXIT_OK,
  EXIT_USAGE,
  endOnUnwritableOutput,
  fail,
  note,
  printJsonFailure,
  reportFailure,
  UsageError,
  wantsJson,
  warn,
} from './reporting.ts';

/** A program's command line: a commander program, and the reading of its arguments. */
export interface Program {
  command: Command;
  /** Changes the arguments before they are parsed. @throws UsageError */
  prepare?(args: string[]): string[];
}

/**
 * Runs a program to its end and sets the exit status of the process: 0, 1 when it was refused or failed, 2 when the command
 * line makes no sense.
 *
 * @param args without the program's own name
 */
export async function runProgram({ command, prepare }: Program, args: string[]): Promise<void> {
  endOnUnwritableOutput();
  // Overwrites the arguments in the process list, where a value may stand.
  process.title = command.name();
  try {
    configure(command);
    await command.parseAsync(prepare ? prepare(args) : args, { from: 'user' });
  } catch (error) {
    process.exitCode = exitStatus(error, args, (unforeseen) => reportFailure(unforeseen, command.name()));
  }
}

/** The exit status of a command that threw, which it is said of here: commander has said what it found wrong by itself. */
export function exitStatus(error: unknown, args: readonly string[], report: (error: unknown) => number): number {
  const isUsage = error instanceof CommanderError;
  if (isUsage && error.exitCode === 0) return EXIT_OK; // Help, or the version.
  if (wantsJson(args)) printJsonFailure(isUsage ? new UsageError(error.message.replace(/^error: /, '')) : error);
  return isUsage ? EXIT_USAGE : report(error);
}

/**
 * Connects to the server of the user's environment for the time of `work`. Somebody at a terminal who has no valid token may
 * log in first.
 *
 * @param signal closes the connection: what runs on it fails. Nobody is asked anything.
 */
export async function withConnection<T>(
  work: (connection: Connection) => Promise<T>,
  signal?: AbortSignal,
  env: NodeJS.ProcessEnv = process.env,
): Promise<T> {
  const connection = await openConnection(env);
  const close = () => connection.client.close();
  signal?.addEventListener('abort', close);
  try {
    signal?.throwIfAborted();
    if (!signal && process.stdin.isTTY) await (await import('./offer-login.ts')).offerLogin(connection);
    return await work(connection).catch(tellHowToLogIn);
  } finally {
    close();
  }
}

/** Connects to the server of the user's environment, as the user that it names; the caller closes it. */
export async function openConnection(env: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const { connect } = await import('../client/connect.ts');
  const connection = await connect(env, { onSilence: tellOfSilence });
  if (!connection.verified) {
    warn("the server's certificate is not checked (PANDA_VERIFY_HOST=off): anybody in between can read and change all");
  }
  return connection;
}

function tellOfSilence(origin: string): void {
  const left = REQUEST_TIMEOUT_SECONDS - SILENCE_SECONDS;
  note(`${origin} has not answered for ${SILENCE_SECONDS} seconds; waiting ${left} seconds more`);
}

/** Adds the way to a token: a server, or a file, that refuses one does not know it. */
async function tellHowToLogIn(error: unknown): Promise<never> {
  if (!(error instanceof Unauthenticated) || error.message.includes('pbook login')) throw error;
  const { tokenVariable } = await import('../client/credentials.ts');
  const named = tokenVariable(process.env);
  const first = named ? `unset ${named}, which goes before a login, and ` : '';
  throw new Unauthenticated(`${error.message}. To get a new token, ${first}log in with "pbook login"`);
}

/** Errors of the command line as lines of PanDA's tools, thrown and not exited on. */
function configure(command: Command): void {
  command.exitOverride();
  command.configureOutput({
    outputError: (text) =>
      fail(
        text
          .trim()
          .replace(/^error: /, '')
          .replaceAll('\n', ' '),
      ),
  });
  for (const subcommand of command.commands) configure(subcommand);
}
