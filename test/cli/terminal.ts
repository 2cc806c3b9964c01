import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { programPath } from '../programs.ts';
import { environment } from './run.ts';

/** Why there can be no terminal here, for `skip`; false where there can be one. */
export const noTerminal: string | false =
  spawnSync('python3', ['-c', 'import pty']).status === 0 ? false : 'the pseudo-terminal needs python3';

/** A user who sits at a terminal in which a program runs. */
export interface Terminal extends AsyncDisposable {
  type(keys: string): void;
  /** Waits until the screen shows the pattern, behind what the last call found, and answers the text up to its end. */
  sees(pattern: RegExp, patienceMs?: number): Promise<string>;
  /** All that was shown, without control sequences. */
  text(): string;
  /** All that was sent to the terminal. */
  raw(): string;
  /** Waits for the end of the program. */
  status(): Promise<number | null>;
}

/** For a machine with much else to do. */
const PATIENCE_MS = 100_000;

export function openTerminal(
  args: readonly string[],
  url: string,
  {
    env = {},
    cwd = process.cwd(),
    program = 'pbook',
  }: { env?: Record<string, string>; cwd?: string; program?: 'pbook' | 'prun' | 'panda-secrets' | 'bash' } = {},
): Terminal {
  const words = program === 'bash' ? ['bash'] : [process.execPath, programPath(program)];
  const command = [join(import.meta.dirname, 'terminal.py'), ...words, ...args];
  const child = spawn('python3', command, { cwd, env: { ...environment(url), TERM: 'xterm', ...env } });
  const closed = once(child, 'close');
  let shown = '';
  let read = 0;
  let isClosed = false;
  let look = () => {};
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    look();
  });
  child.on('close', () => {
    isClosed = true;
    look();
  });
  child.stdin.on('error', () => {});
  // Readline returns to the margin where it is already.
  const text = () =>
    stripVTControlCharacters(shown)
      .replaceAll('\u0007', '')
      .replace(/\r*\n\r*/g, '\n');

  return {
    type: (keys) => void child.stdin.write(keys),
    sees: (pattern, patienceMs = PATIENCE_MS) =>
      new Promise((resolve, reject) => {
        const fail = () =>
          reject(new Error(`${pattern} is not on the screen, whose end is:\n${text().slice(read).slice(-4000)}`));
        const timer = setTimeout(fail, patienceMs);
        look = () => {
          const rest = text().slice(read);
          const found = pattern.exec(rest);
          // Its last output may come after its end.
          if (!found && !isClosed) return;
          clearTimeout(timer);
          look = () => {};
          if (!found) return fail();
          const end = found.index + found[0].length;
          read += end;
          resolve(rest.slice(0, end));
        };
        look();
      }),
    text,
    raw: () => shown,
    status: async () => (await closed)[0],
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}
