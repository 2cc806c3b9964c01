import { spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEPT_VERSIONS } from '../../src/protocol/limits.ts';
import { freePorts } from '../../test/free-port.ts';
import type { Load } from './driver.ts';
import { repeated } from './requests.ts';
import { secretName } from './site.ts';

/** One node of OpenBao whose users keep the same secrets, each in one document of KV v2. */
export interface OpenBao {
  pid: number;
  port: number;
  /** The document of each user in turn. */
  get: Load;
  /** One value of it, by a patch as `bao kv patch` sends it: a write of the document needs a get before it, and loses what another changed meanwhile. */
  set: Load;
  stop(): Promise<void>;
}

const PATIENCE_MS = 60_000;
/** May do with the documents what the bench does; nothing else. */
const POLICY = 'path "secret/data/*" { capabilities = ["create", "read", "update", "patch"] }';

/**
 * Starts OpenBao with raft storage in `folder`, without TLS and audit. Its unseal key and the operator's token stay in this process.
 *
 * @param program `bao`
 * @param users each with a token of its own and `values` as its secrets
 */
export async function startOpenBao(
  program: string,
  folder: string,
  users: number,
  values: readonly string[],
): Promise<OpenBao> {
  const [port = 0, clusterPort = 0] = await freePorts(2);
  const server = spawn(program, ['server', `-config=${writeConfiguration(folder, port, clusterPort)}`], {
    env: { PATH: process.env['PATH'], HOME: folder },
    stdio: ['ignore', 'ignore', openSync(join(folder, 'openbao.log'), 'a')],
  });
  const kill = () => server.kill('SIGKILL');
  process.prependOnceListener('exit', kill);
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const died = new Promise<never>((_resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (status) => reject(new Error(`OpenBao ended with status ${status}`)));
  });
  died.catch(() => undefined); // It ends at the end, too.

  const call = operator(`http://127.0.0.1:${port}`);
  await Promise.race([died, prepare(call)]);
  const tokens = await Promise.all(Array.from({ length: users }, (_, n) => addUser(call, n, values)));
  const everyone = tokens.map((token, n) => ({
    path: `/v1/secret/data/user${n}`,
    headers: { 'X-Vault-Token': token },
  }));
  const patches = values.flatMap((value, n) =>
    everyone.map((user) => ({
      ...user,
      method: 'PATCH',
      headers: { ...user.headers, 'Content-Type': 'application/merge-patch+json' },
      body: JSON.stringify({ data: { [secretName(n)]: value } }),
    })),
  );
  return {
    pid: server.pid as number,
    port,
    get: repeated(everyone, `"data":${JSON.stringify({ data: documentOf(values) }).slice(0, -1)},"metadata":`),
    set: repeated(patches, '"version":'),
    stop() {
      process.off('exit', kill);
      kill();
      return ended;
    },
  };
}

function writeConfiguration(folder: string, port: number, clusterPort: number): string {
  const path = join(folder, 'openbao.json');
  const data = join(folder, 'raft');
  mkdirSync(data);
  const configuration = {
    storage: { raft: { path: data, node_id: 'bench' } },
    listener: { tcp: { address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}`, tls_disable: true } },
    api_addr: `http://127.0.0.1:${port}`,
    cluster_addr: `http://127.0.0.1:${clusterPort}`,
    log_level: 'error',
  };
  writeFileSync(path, JSON.stringify(configuration));
  return path;
}

/** The keys of `values` in the order in which OpenBao answers with them, that of their names. */
function documentOf(values: readonly string[]): Record<string, string> {
  const entries = values.map((value, n) => [secretName(n), value] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

type Call = (method: string, path: string, body?: object) => Promise<Record<string, unknown>>;

/** Calls as the operator, again until they succeed: it starts, and takes a moment to lead. From the answer to `sys/init` on, with its token. */
function operator(origin: string): Call {
  let token = '';
  return async (method, path, body) => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await fetch(`${origin}/v1/${path}`, {
        method,
        headers: { 'X-Vault-Token': token, 'Content-Type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      }).catch(() => undefined);
      if (answer?.ok) {
        const answered = Object(await answer.json().catch(() => ({})));
        token ||= answered.root_token ?? '';
        return answered;
      }
      if (performance.now() > giveUpAt) throw new Error(`OpenBao refused ${path}: ${await answer?.text()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
}

async function prepare(call: Call): Promise<void> {
  const { keys } = await call('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
  await call('PUT', 'sys/unseal', { key: (keys as string[])[0] });
  await call('PUT', 'sys/policies/acl/user', { policy: POLICY });
  await call('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await call('POST', 'secret/config', { max_versions: KEPT_VERSIONS });
}

async function addUser(call: Call, n: number, values: readonly string[]): Promise<string> {
  await call('POST', `secret/data/user${n}`, { data: documentOf(values) });
  const { auth } = await call('POST', 'auth/token/create', { policies: ['user'] });
  return (auth as { client_token: string }).client_token;
}
