import { spawnSync } from 'node:child_process';
import { Misconfigured } from '../protocol/errors.ts';
import { isStandardInput } from './given-socket.ts';

/** prctl(2). */
const PR_SET_DUMPABLE = 4;
const FFI_FLAG = '--experimental-ffi';
/** Node says of each program that uses it that it may change. */
const SILENT_FLAG = '--disable-warning=ExperimentalWarning';
/** Otherwise a signal opens a debugger, in which the secrets can be read, before the program can handle it. */
const NO_DEBUGGER_FLAG = '--disable-sigusr1';

/**
 * Keeps this process's memory, where secrets are in the clear, from other processes of the same user and from core files. It
 * starts the program anew, under the same pid, as Node can do that only with flags; so it is to be called first of all,
 * before anything is read. What a payload starts is not concerned.
 *
 * @param options `handlesSigusr1`: it has a handler for that signal, which nothing reaches otherwise
 * `keeps`: a descriptor of a socket that it needs afterwards
 * `sparing`: flags and variables by which it takes less memory, had where it starts anew and where nobody set others
 * @throws {Misconfigured} when it has to start anew and would lose that socket
 * @returns true when the memory is out of reach: Node before 26 cannot do that. Core files are switched off either way
 */
export async function protectMemory({
  handlesSigusr1 = false,
  keeps,
  sparing = { flags: [], environment: {} },
}: {
  handlesSigusr1?: boolean;
  keeps?: number | undefined;
  sparing?: { flags: readonly string[]; environment: NodeJS.ProcessEnv };
} = {}): Promise<boolean> {
  allowNoCoreFiles();
  const wanted = handlesSigusr1 ? [FFI_FLAG] : [FFI_FLAG, NO_DEBUGGER_FLAG];
  const known = wanted.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag));
  const missing = known.filter((flag) => !process.execArgv.includes(flag));
  if (missing.length > 0) {
    // Node closes every other descriptor when it starts another program in its place.
    if (keeps !== undefined && !isStandardInput(keeps)) throw new Misconfigured(`${SOCKET_LOST} ${missing.join(' ')}`);
    restartWith([...missing, SILENT_FLAG, ...sparing.flags], sparing.environment);
  }
  return known.includes(FFI_FLAG) && (await becomeUndumpable());
}

const SOCKET_LOST =
  'the socket that the server was given would be lost when it starts anew to protect its memory: give it as standard input as well ' +
  '("<&3" in a shell, as in the unit of this package), or run Node with';

/** A crash must not leave the memory on a disk. Where this fails nothing is lost. */
function allowNoCoreFiles(): void {
  spawnSync('prlimit', ['--pid', String(process.pid), '--core=0:0'], { stdio: 'ignore' });
}

/** Does nothing on a Node that cannot. */
function restartWith(flags: readonly string[], environment: NodeJS.ProcessEnv): void {
  const [program = process.execPath, ...words] = process.argv;
  // Node 24.0 passes on no environment unless it is named.
  process.execve?.(process.execPath, [program, ...flags, ...process.execArgv, ...words], {
    ...environment,
    ...process.env,
  });
}

async function becomeUndumpable(): Promise<boolean> {
  try {
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, {
      prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
    });
    return functions.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0;
  } catch {
    return false;
  }
}
