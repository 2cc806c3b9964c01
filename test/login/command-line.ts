import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, utimesSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { StoredLogin } from '../../src/client/login/read-login.ts';
import type { Outcome } from '../cli/run.ts';
import { programPath } from '../programs.ts';

/** Somebody's account on a machine with `pbook`. */
export interface Home {
  /** Where the login is kept. */
  tokenFile: string;
  login(): StoredLogin;
  /** Makes the login look as if it was kept that long ago. */
  age(seconds: number): void;
  /** Runs `pbook` to its end. */
  pbook(...args: string[]): Promise<Outcome>;
  /** The same with something on its standard input. */
  pbookWith(input: string, ...args: string[]): Promise<Outcome>;
  /** Starts `pbook login` and answers the address to confirm at, and how it ends. */
  startLogin(): Promise<{ address: string; code: string; ended: Promise<Outcome> }>;
}

/** A home without a login, for the server at `url`. */
export async function makeHome(t: TestContext, url: string, env: Record<string, string> = {}): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'pbook-home-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, 'config', '.token');

  function start(args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', programPath('pbook'), ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        PANDA_URL_SSL: url,
        PANDA_CONFIG_ROOT: join(folder, 'config'),
        ...env,
      },
      stdio: [stdin, 'pipe', 'pipe'],
    });
  }

  return {
    tokenFile,
    login: () => JSON.parse(readFileSync(tokenFile, 'utf8')) as StoredLogin,
    age(seconds) {
      const then = Date.now() / 1000 - seconds;
      utimesSync(tokenFile, then, then);
    },
    pbook: (...args) => outcomeOf(start(args)),
    pbookWith(input, ...args) {
      const child = start(args, 'pipe');
      child.stdin?.end(input);
      return outcomeOf(child);
    },
    async startLogin() {
      const child = start(['login']);
      const ended = outcomeOf(child);
      let text = '';
      const told = new Promise<void>((resolve) => {
        child.stderr?.on('data', (part) => {
          text += part;
          if (/the code \S+\n/.test(text)) resolve();
        });
      });
      await Promise.race([told, ended]);
      return { address: /^ {2}(\S+)$/m.exec(text)?.[1] ?? '', code: /the code (\S+)/.exec(text)?.[1] ?? '', ended };
    },
  };
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    outcome.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    outcome.stderr += text;
  });
  outcome.status = await new Promise((resolve, reject) => {
    child.on('close', resolve);
    child.on('error', reject);
  });
  return outcome;
}
