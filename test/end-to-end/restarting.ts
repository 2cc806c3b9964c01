import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** A program that is killed at random moments, and started again each time. */
export interface RestartingProgram {
  /** The number of times that it was killed. */
  kills: number;
  /** Kills no more; what runs goes on. */
  spare(): void;
  /** Ends it with TERM. @returns its last exit status */
  stop(): Promise<number | null>;
  /** Its output, all starts together. */
  output(): string;
}

/**
 * @param commandLine the program and its arguments, made for each start
 * @param until the life of a start, in milliseconds, drawn for each
 */
export function keepKilling(
  t: TestContext,
  commandLine: () => Promise<string[]>,
  { lifetime, env }: { lifetime: () => number; env: NodeJS.ProcessEnv },
): RestartingProgram {
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let output = '';
  let isSpared = false;
  let isStopping = false;
  const program: RestartingProgram = {
    kills: 0,
    spare() {
      isSpared = true;
      clearTimeout(timer);
    },
    async stop() {
      program.spare();
      isStopping = true;
      child?.kill('SIGTERM');
      await running;
      return child?.exitCode ?? null;
    },
    output: () => output,
  };
  const running = run();
  t.after(async () => {
    program.spare();
    isStopping = true;
    child?.kill('SIGKILL');
    await running.catch(() => {});
  });
  return program;

  async function run(): Promise<void> {
    while (!isStopping) {
      const [file = '', ...words] = await commandLine();
      child = spawn(file, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (output += bytes));
      if (!isSpared) {
        timer = setTimeout(() => {
          program.kills += 1;
          child?.kill('SIGKILL');
        }, lifetime());
      }
      await once(child, 'close');
      clearTimeout(timer);
    }
  }
}
