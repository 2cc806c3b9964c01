import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeSiteRecord, type SiteRecord } from '../../src/sealed/site-record.ts';
import { rootOfRecoveryCode, type UserKeys, userKeysOf } from '../../src/sealed/user-root.ts';
import { type Outcome, type RunOptions, run } from '../cli/run.ts';
import { type Middle, startMiddle } from '../server/middle.ts';
import { startServer, type TestServer } from '../server/start.ts';
import { recordOf, siteNumber, userNumber } from './samples.ts';

export const NOW = Math.floor(Date.now() / 1000);
const GOOD = { queue: 'default', from: NOW - 3600, end: NOW + 30 * 24 * 3600 };

/** A user with a key, at a server that is reached by way of somebody in the middle. */
export interface Device {
  server: TestServer;
  middle: Middle;
  folder: string;
  /** Made by `keys init`. */
  code: string;
  keys: UserKeys;
  pbook(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  prun(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs it, and expects that it succeeds. @returns what it prints */
  done(...args: readonly string[]): Promise<string>;
  /** Publishes a site's record, as its admin does. */
  publish(record: string): Promise<void>;
  /** Has the server make the first version of TOKEN the current one. */
  restoreAlone(): Promise<void>;
  /** What the server has under a name. */
  kept(name: string): Promise<string>;
}

export async function newDevice(t: TestContext): Promise<Device> {
  const server = await startServer(t, { settings: { trustedProxies: ['127.0.0.1'] } });
  const middle = await startMiddle(t, server.url);
  const folder = newFolder(t);
  const token = await server.userToken('alice');
  const operator = await server.operatorToken();
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, middle.ca);
  const env = { PANDA_CONFIG_ROOT: join(folder, 'config'), PANDA_AUTH_ID_TOKEN: token, SSL_CERT_FILE: ca };
  const program =
    (name: 'pbook' | 'prun'): Device['pbook'] =>
    (args, options = {}) =>
      run(name, args, middle.url, { ...options, env: { ...env, ...options.env } });
  const pbook = program('pbook');
  const ask = async (as: string, path: string, body: object) => {
    const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/json' };
    const answer = await fetch(`${server.url}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const { success, message } = (await answer.json()) as { success: boolean; message: string };
    assert.ok(success, message);
  };
  const device: Device = {
    server,
    middle,
    folder,
    code: '',
    keys: await userNumber(1),
    pbook,
    prun: program('prun'),
    async done(...args) {
      const { status, stdout, stderr } = await pbook(args);
      assert.equal(status, 0, stderr);
      return stdout + stderr;
    },
    publish: (record) => ask(operator, 'admin/set_site_record', { name: 'default', record }),
    restoreAlone: () => ask(token, 'creds/restore_secret', { key: 'TOKEN', version: 1 }),
    async kept(name) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${server.url}/api/v1/creds/get_user_secrets?keys=${name}`, { headers });
      const { data } = (await answer.json()) as { data: string };
      return JSON.parse(data)[name];
    },
  };
  const { status, stdout, stderr } = await pbook(['keys', 'init', '--yes']);
  assert.equal(status, 0, stderr);
  device.code = stdout.trim();
  device.keys = await userKeysOf(rootOfRecoveryCode(device.code));
  return device;
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function siteOf(n: number, change: Partial<SiteRecord> = {}) {
  const { identity, node } = await siteNumber(n);
  const record = recordOf(identity, node, { ...GOOD, ...change });
  return { id: record.identity, node, record, word: makeSiteRecord(identity, record) };
}

/** Has the middle answer for the server what a test wants under the names of secrets. */
export function answerSecrets(middle: Middle, secrets: Record<string, string> | undefined): void {
  middle.onAnswer = (answer, { path }) => {
    if (!secrets || !path.startsWith('/api/v1/creds/get_user_secrets')) return;
    const envelope = JSON.parse(answer.body.toString());
    answer.body = Buffer.from(JSON.stringify({ ...envelope, data: JSON.stringify(secrets) }));
  };
}
