import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Program } from '../../scripts/build/programs.ts';
import { entriesBelow } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { unlessGone } from '../unless-gone.ts';

/** A program that has ended. */
export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A whole site of real processes in one temporary folder: a server, users with their folders, compute nodes. */
export interface Site {
  url: string;
  /** The server's data folder. */
  data: string;
  /** Of the server's process. */
  pid: number;
  /** Everything that the server has printed. */
  serverOutput(): string;
  /** @param env variables that the user's programs have besides */
  user(name: string, env?: Record<string, string>): Promise<User>;
  /** Adds a queue; `default` is there. */
  queue(name: string): Promise<void>;
  /** Runs `panda-secrets` as the operator, and expects that it succeeds. @returns what it prints */
  operator(...args: string[]): Promise<string>;
  /**
   * Runs one pilot on a node of its own until it ran `jobs` jobs, or none was there for `idleExit` seconds; answers what it
   * printed and its folder.
   */
  pilot(options?: PilotRun): Promise<Ran & { folder: string }>;
}

interface PilotRun {
  queue?: string;
  jobs?: number;
  idleExit?: number;
  /** Further arguments. */
  args?: readonly string[];
  /** In place of the program of the tests. */
  executable?: string;
  /** Variables that it has besides. */
  env?: Record<string, string>;
}

/** A user of the site, at work in a directory. */
export interface User {
  /** The directory that the programs run in. */
  directory: string;
  token: string;
  pbook(...args: string[]): Promise<Ran>;
  pbookWithInput(input: string, ...args: string[]): Promise<Ran>;
  prun(...args: string[]): Promise<Ran>;
}

/**
 * Starts a site with `panda-secrets serve`; it is stopped and removed at the test's end.
 *
 * @param settings variables of the server
 * @param nodeOptions arguments of the Node that runs it
 */
export async function startSite(
  t: TestContext,
  { settings = {}, nodeOptions = [] }: { settings?: Record<string, string>; nodeOptions?: readonly string[] } = {},
): Promise<Site> {
  const root = mkdtempSync(join(tmpdir(), 'panda-site-'));
  const data = join(root, 'data');
  const environment: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: join(root, 'nobody'),
    PANDA_SECRETS_DATA: data,
    ...settings,
  };
  const { server, url, output } = await serve(environment, nodeOptions);
  t.after(async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    if (server.kill('SIGTERM')) await ended;
    rmSync(root, { recursive: true, force: true });
  });
  const operator = (...args: string[]) => run('panda-secrets', args, { cwd: root, env: environment });
  const printed = async (...args: string[]) => {
    const { status, stdout, stderr } = await operator(...args);
    if (status !== 0) throw new Error(`panda-secrets ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  let nodes = 0;

  return {
    url,
    data,
    pid: server.pid ?? 0,
    serverOutput: output,
    operator: printed,

    async user(name, more = {}) {
      const home = join(root, name);
      const directory = join(home, 'work');
      mkdirSync(directory, { recursive: true });
      await printed('user', 'add', name);
      const token = await printed('token', name);
      const env = {
        PATH: process.env['PATH'],
        COLUMNS: '250', // Rows stay whole.
        HOME: home,
        PANDA_CONFIG_ROOT: join(home, '.pathena'),
        PANDA_URL: url,
        PANDA_URL_SSL: url,
        PANDA_AUTH_ID_TOKEN: token,
        ...more,
      };
      const as = (program: Program, args: string[], input = '') => run(program, args, { cwd: directory, env, input });
      return {
        directory,
        token,
        pbook: (...args) => as('pbook', args),
        pbookWithInput: (input, ...args) => as('pbook', args, input),
        prun: (...args) => as('prun', args),
      };
    },

    async queue(name) {
      await printed('queue', 'add', name);
    },

    async pilot({ queue = 'default', jobs = 1, idleExit, args: given = [], executable, env: more = {} } = {}) {
      const folder = join(root, `node${nodes++}`);
      mkdirSync(folder, { mode: 0o700 });
      const token = join(root, `pilot${nodes}.token`);
      writeFileSync(token, await printed('pilot-token', '--queue', queue), { mode: 0o600 });
      const args = ['--queue', queue, '--token-file', token, '--jobs', String(jobs), '--workdir', folder, ...given];
      args.push('--allow-root'); // Where jobs cannot be isolated, the tests' own may be root as well.
      if (idleExit !== undefined) args.push('--idle-exit', String(idleExit));
      const env = { PATH: process.env['PATH'], HOME: folder, PANDA_URL: url, PANDA_URL_SSL: url, ...more };
      const words = executable ? [executable] : programWords('panda-pilot');
      return { ...(await runWords([...words, ...args], { cwd: folder, env })), folder };
    },
  };
}

/** Every file below `folder` with its bytes, but those that somebody removes meanwhile. */
export function filesBelow(folder: string): { path: string; bytes: Buffer }[] {
  return entriesBelow(folder).flatMap((entry) => {
    if (!entry.isFile()) return [];
    const path = join(entry.parentPath, entry.name);
    const bytes = unlessGone(() => readFileSync(path));
    return bytes === undefined ? [] : [{ path, bytes }];
  });
}

/** The forms in which text would be found again in a file: as it is, and its base64 at each of the three alignments. */
export function tracesOf(text: string | Uint8Array): Buffer[] {
  const bytes = Buffer.from(text as string);
  const cores = [0, 1, 2].map((shift) => {
    // The first and last digits mix with the neighbours' bits; what stands between does not.
    const base64 = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return Buffer.from(base64.slice(shift === 0 ? 0 : 2 + (shift - 1), -1));
  });
  return [bytes, Buffer.from(bytes.toString('hex')), ...cores];
}

async function serve(
  env: NodeJS.ProcessEnv,
  nodeOptions: readonly string[],
): Promise<{ server: ChildProcess; url: string; output(): string }> {
  const [node, ...words] = programWords('panda-secrets');
  const server = spawn(node, [...nodeOptions, ...words, 'serve', '--port', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /listening on (http:\S+)/.exec(output)?.[1];
        if (found) resolve(found);
      });
    }
    server.once('exit', (status) => reject(new Error(`the server ended with status ${status}: ${output}`)));
  });
  return { server, url, output: () => output };
}

interface RunOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  input?: string;
}

function run(program: Program, args: string[], options: RunOptions): Promise<Ran> {
  return runWords([...programWords(program), ...args], options);
}

function runWords([file = '', ...words]: string[], { cwd, env, input = '' }: RunOptions): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, words, { cwd, env });
    const ran: Ran = { status: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ran.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr += text;
    });
    child.stdin.on('error', () => {}); // A command that reads no input may end before it is written.
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (status) => resolve({ ...ran, status }));
  });
}
