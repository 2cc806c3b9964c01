import { spawn } from 'node:child_process';
import { Unavailable } from '../../protocol/errors.ts';
import { MAX_BATCH_OUTPUT_CHARS, MAX_COMMAND_SECONDS } from '../../protocol/limits.ts';

/** A command of a batch system that ended. */
export interface RanCommand {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The variables that commands of a batch system get: where it is, and whose the command is. Others may change what they do, or be shown. */
const PASSED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TZ', 'SLURM_CONF', 'KRB5CCNAME'];

/**
 * Runs a command of a batch system to its end.
 *
 * @param input what it reads on standard input
 * @param descriptor a file of this process that it reads as `/proc/self/fd/3`
 * @throws {Unavailable} when it cannot be started, or does not end in `MAX_COMMAND_SECONDS`
 */
export function runCommand(
  words: readonly [program: string, ...args: string[]],
  { input = '', descriptor, environment }: { input?: string; descriptor?: number; environment: NodeJS.ProcessEnv },
): Promise<RanCommand> {
  const [program, ...args] = words;
  const own = PASSED.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]]));
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...Object.fromEntries(own), LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe', ...(descriptor === undefined ? [] : [descriptor])],
      timeout: MAX_COMMAND_SECONDS * 1000,
      killSignal: 'SIGKILL',
    });
    const ran = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        ran[name] += text;
        // A part of a list would be taken for the whole.
        if (ran[name].length > MAX_BATCH_OUTPUT_CHARS) {
          child.kill('SIGKILL');
          reject(new Unavailable(`${program} answered more than ${MAX_BATCH_OUTPUT_CHARS} characters`));
        }
      });
    }
    // A command that does not read it says why itself.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      const why = code === 'ENOENT' ? 'there is no such program on the PATH' : `it cannot be started (${code})`;
      reject(new Unavailable(`${program}: ${why}`));
    });
    child.on('close', (status, signal) => {
      if (signal === 'SIGKILL') {
        reject(new Unavailable(`${program} did not end within ${MAX_COMMAND_SECONDS} seconds, and was killed`));
      } else resolve({ status, ...ran });
    });
  });
}
