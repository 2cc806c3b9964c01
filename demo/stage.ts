import { type ChildProcess, spawn } from 'node:child_process';
import { delimiter } from 'node:path';
import ora from 'ora';

/** A command that has ended. */
export interface Done {
  status: number | null;
  /** Its output, standard output and standard error as they came. */
  output: string;
  stdout: string;
}

/** Where the demo runs its commands: prints each as a user types it, shows what it answers, stops at the first surprise. */
export interface Stage {
  /** Prints a line of the story. */
  tell(text: string): void;
  /** Runs a shell command in `folder`. @throws {Error} when it does not end with status 0 */
  run(command: string, options?: { quiet?: boolean; waitFor?: string }): Promise<Done>;
  /** Starts a command that stays, and waits for a line of its standard output that matches. */
  start(command: string, ready: RegExp): Promise<RegExpExecArray>;
  /** Stops what was started with SIGTERM. @throws {Error} when it does not end with status 0 */
  stop(): Promise<void>;
  /** Kills whatever still runs. */
  abandon(): void;
}

/**
 * @param programs the folder of the programs
 * @param environment variables that the commands get besides this process's; read anew for each command
 */
export function createStage(folder: string, programs: string, environment: NodeJS.ProcessEnv): Stage {
  const env = () => ({ ...process.env, ...environment, PATH: programs + delimiter + (process.env['PATH'] ?? '') });
  const dim = (text: string) => (process.stdout.isTTY && !process.env['NO_COLOR'] ? `\x1b[2m${text}\x1b[22m` : text);
  const bold = (text: string) => (process.stdout.isTTY && !process.env['NO_COLOR'] ? `\x1b[1m${text}\x1b[22m` : text);
  let staying: { child: ChildProcess; command: string; output: string } | undefined;

  const show = (text: string) => {
    for (const line of text.replace(/\n$/, '').split('\n')) if (text !== '') console.log(`  ${line}`);
  };

  return {
    tell: (text) => console.log(`\n${dim(`# ${text}`)}`),

    async run(command, { quiet = false, waitFor } = {}) {
      console.log(bold(`$ ${command}`));
      const spinner = waitFor ? ora({ text: waitFor, isSilent: !process.stdout.isTTY }).start() : undefined;
      const done = await new Promise<Done>((resolve, reject) => {
        const child = spawn('sh', ['-c', command], { cwd: folder, env: env(), stdio: ['ignore', 'pipe', 'pipe'] });
        let output = '';
        let stdout = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          stdout += text;
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
        child.on('error', reject);
        child.on('close', (status) => resolve({ status, output, stdout }));
      });
      spinner?.stop();
      if (!quiet || done.status !== 0) show(done.output);
      if (done.status !== 0) throw new Error(`"${command}" ended with status ${done.status}`);
      return done;
    },

    async start(command, ready) {
      console.log(bold(`$ ${command} &`));
      const child = spawn('sh', ['-c', `exec ${command}`], {
        cwd: folder,
        env: env(),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const started = { child, command, output: '' };
      staying = started;
      return await new Promise((resolve, reject) => {
        let stdout = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          stdout += text;
          const found = ready.exec(stdout);
          if (found) resolve(found);
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          started.output += text;
        });
        child.on('error', reject);
        child.on('close', (status) =>
          reject(new Error(`"${command}" ended with status ${status}:\n${started.output}`)),
        );
      });
    },

    async stop() {
      if (!staying) return;
      const { child, command } = staying;
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      child.kill('SIGTERM');
      const status = await ended;
      staying = undefined;
      if (status !== 0) throw new Error(`"${command}" ended with status ${status} after SIGTERM`);
    },

    abandon: () => staying?.child.kill('SIGKILL'),
  };
}
