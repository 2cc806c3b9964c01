import { spawnSync } from 'node:child_process';

export interface CommandOptions {
  /** The folder that it runs in. */
  cwd?: string;
  /** Variables that it has besides those of this process. */
  env?: Record<string, string>;
  input?: string;
}

/**
 * Runs a command to its end; what it says on standard error is shown.
 *
 * @returns its output
 * @throws {Error} naming the command when it fails
 */
export function runCommand([command = '', ...args]: string[], { cwd, env, input }: CommandOptions = {}): string {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    input: input ?? '',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit status ${status}`}`);
  return stdout;
}

/** True if a program of that name is there and works when it is only asked for its version, or the like. */
export function answers([command = '', ...args]: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
