import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unsignedToken } from '../client/stub-server.ts';
import { programWords } from '../programs.ts';

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** Standard input; closed at once when left out. */
  input?: string | Uint8Array;
  cwd?: string;
  /** Ctrl-C, once its output shows this. */
  interruptAt?: RegExp;
}

/** A config folder with nothing of the user's in it. */
export const CONFIG_FOLDER = mkdtempSync(join(tmpdir(), 'pbook-config-'));
process.once('exit', () => rmSync(CONFIG_FOLDER, { recursive: true, force: true }));

/** A user's environment for these tests: a server, a token and nothing else. */
export function environment(url: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    PANDA_URL_SSL: url,
    PANDA_AUTH_ID_TOKEN: unsignedToken(),
    PANDA_CONFIG_ROOT: CONFIG_FOLDER,
    COLUMNS: '250', // Rows stay whole.
  };
}

/** Runs a program as a process of its own, to its end. */
export async function run(
  program: 'pbook' | 'prun',
  args: readonly string[],
  url: string,
  { env = {}, input = '', cwd = process.cwd(), interruptAt }: RunOptions = {},
): Promise<Outcome> {
  const [node, ...words] = programWords(program);
  const child = spawn(node, [...words, ...args], {
    cwd,
    env: { ...environment(url), ...env },
  });
  child.stdin.on('error', () => {}); // A program that refuses need not read its input.
  child.stdin.end(input);
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  let wasInterrupted = false;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    outcome.stdout += text;
    // A second one would end it as any program.
    if (wasInterrupted || !interruptAt?.test(outcome.stdout)) return;
    wasInterrupted = child.kill('SIGINT');
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    outcome.stderr += text;
  });
  outcome.status = await new Promise((resolve, reject) => {
    child.on('close', resolve);
    child.on('error', reject);
  });
  return outcome;
}

/** The `data` of a result of `--json`. */
export function dataOf({ stdout }: Outcome): unknown {
  const { success, data } = JSON.parse(stdout) as { success: boolean; data: unknown };
  assert.equal(success, true);
  return data;
}
