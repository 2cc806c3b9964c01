import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { until } from '../pilot/folders.ts';

/** A program that is killed at random moments, and started again each time. */
export interface RestartingProgram {
  /** The number of times that it was killed. */
  kills: number;
  /** Kills from now on. */
  begin(): void;
  /** Kills no more; what runs goes on. */
  spare(): void;
  /** Ends it with TERM, once it is ready. @returns its last exit status */
  stop(): Promise<number | null>;
  /** Its output, all starts together. */
  output(): string;
}

/**
 * Runs a program until it is stopped: it is started again each time that it ends.
 *
 * @param commandLine the program and its arguments, made for each start
 * @param options `lifetime`: the life of a start, in milliseconds, drawn for each. `ready`: what a start has said when it has taken up its work
 */
export function keepKilling(
  t: TestContext,
  commandLine: () => Promise<string[]>,
  { lifetime, ready, env }: { lifetime: () => number; ready: RegExp; env: NodeJS.ProcessEnv },
): RestartingProgram {
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let output = '';
  /** Of the present start. */
  let said = '';
  let isSpared = true;
  let isStopping = false;
  const program: RestartingProgram = {
    kills: 0,
    begin() {
      isSpared = false;
      if (child) killInTime();
    },
    spare() {
      isSpared = true;
      clearTimeout(timer);
    },
    async stop() {
      program.spare();
      // Before that the signal would end it as any program, and what those left that were killed would stay.
      await until(
        () => said,
        (text) => ready.test(text),
      );
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
      if (isStopping) return;
      child = spawn(file, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      said = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (bytes) => {
          output += bytes;
          said += bytes;
        });
      }
      if (!isSpared) killInTime();
      await once(child, 'close');
      clearTimeout(timer);
    }
  }

  function killInTime(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      program.kills += 1;
      child?.kill('SIGKILL');
    }, lifetime());
  }
}
