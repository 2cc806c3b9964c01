import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { programPath } from '../programs.ts';

const MAIN = programPath('panda-secrets');

export interface Done {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** `panda-secrets` as a process of its own, on a data folder of its own. */
export interface PandaSecrets {
  /** The folder that it works on; not made yet. */
  data: string;
  /** Runs a command to its end. */
  run(args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Done>;
  /** Starts `serve` on a free port, and waits until it listens. */
  serve(args?: readonly string[], environment?: NodeJS.ProcessEnv): Promise<RunningServer>;
  /** Starts a command, to be ended before its end; `output` grows while it runs. */
  start(
    args: readonly string[],
    environment?: NodeJS.ProcessEnv,
  ): { child: ChildProcess; output: Omit<Done, 'status'>; ended: Promise<Done> };
}

export interface RunningServer {
  url: string;
  process: ChildProcess;
  /** Grows while it runs. */
  output: Omit<Done, 'status'>;
  /** Resolves when it has ended. */
  ended: Promise<Done>;
}

/** Everything it starts is ended, and its folder removed, at the test's end. */
export function pandaSecrets(t: TestContext): PandaSecrets {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-cli-'));
  const data = join(folder, 'data');
  const running = new Map<ChildProcess, Promise<Done>>();
  t.after(async () => {
    const ends = [...running.values()];
    for (const child of running.keys()) child.kill('SIGKILL');
    // Also of workers, which have its output and write into the folder until they end.
    await Promise.all(ends);
    rmSync(folder, { recursive: true, force: true });
  });

  function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'], HOME: folder, PANDA_SECRETS_DATA: data, COLUMNS: '250', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    const ended = new Promise<Done>((resolve) => {
      child.on('close', (status) => {
        running.delete(child);
        resolve({ status, ...output });
      });
    });
    running.set(child, ended);
    return { child, output, ended };
  }

  return {
    data,
    run: (args, environment) => start(args, environment).ended,
    start,
    async serve(args = [], environment = {}) {
      const { child, output, ended } = start(['serve', '--port', '0', ...args], environment);
      const url = await new Promise<string>((resolve, reject) => {
        child.stdout.on('data', () => {
          const [, found] = /^panda-secrets: listening on (\S+)\n/.exec(output.stdout) ?? [];
          if (found) resolve(found);
        });
        void ended.then(({ stderr }) => reject(new Error(`it ended: ${stderr}`)));
      });
      return { url, process: child, output, ended };
    },
  };
}
