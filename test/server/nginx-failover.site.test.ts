import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { startEmbeddedPostgres } from '../embedded-postgres.ts';
import { freePort } from '../free-port.ts';
import { untilAnswer } from '../patience.ts';
import { temporaryFolder } from '../pilot/folders.ts';
import { startServer, type TestServer } from './start.ts';

/** The configuration that operators are told, with two servers of the test. */
function configuration(port: number, [one, other]: readonly [string, string]): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/operator-reference.md'), 'utf8');
  const [, told = ''] = /```nginx\n([\s\S]*?)```/.exec(page) ?? [];
  const http = told
    .replace('10.0.0.8:25080', new URL(one).host)
    .replace('10.0.0.9:25080', new URL(other).host)
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port};`)
    .replace(/^ *ssl_certificate.*\n/gm, '');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${what};`);
  return `daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off; ${temporary.join(' ')} ${http} }`;
}

async function startNginx(t: TestContext, servers: readonly [string, string]): Promise<string> {
  const folder = await temporaryFolder(t);
  const port = await freePort();
  await writeFile(join(folder, 'nginx.conf'), configuration(port, servers));
  const nginx: ChildProcess = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  const ended = once(nginx, 'exit');
  t.after(async () => {
    nginx.kill('SIGTERM');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswer(
    () =>
      fetch(`${url}/healthz`).then(
        ({ status }) => status,
        () => 0,
      ),
    200,
  );
  return url;
}

/** A line to PostgreSQL of one server alone, which can be cut. */
async function lineTo(t: TestContext, postgres: string): Promise<{ url: string; cut(): void }> {
  const folder = new URLSearchParams(postgres.split('?')[1]).get('host') ?? '';
  const sockets = new Set<Socket>();
  const line = createServer((near) => {
    const far = connect(join(folder, '.s.PGSQL.5432'));
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.on('close', () => far.destroy()).pipe(far);
    far.on('close', () => near.destroy()).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(line, 'listening');
  const cut = () => {
    line.close();
    for (const socket of sockets) socket.destroy();
  };
  t.after(cut);
  return { url: `postgres://postgres@127.0.0.1:${(line.address() as AddressInfo).port}/postgres`, cut };
}

test('a proxy goes over from a server that has lost its database to another one', async (t) => {
  if (spawnSync('nginx', ['-v']).error) return t.skip('nginx is not installed here (apt install nginx)');
  const postgres = await startEmbeddedPostgres().catch((error: Error) => error);
  if (postgres instanceof Error) return t.skip(`PostgreSQL cannot be started here: ${postgres.message}`);
  t.after(() => postgres.stop());
  const line = await lineTo(t, postgres.url);
  const folder = await temporaryFolder(t);
  const serve = (name: string, database: string): Promise<TestServer> =>
    startServer(t, { settings: { data: join(folder, name), database, trustedProxies: ['127.0.0.1'] } });
  const cutOff = await serve('one', line.url);
  await mkdir(join(folder, 'two'), { mode: 0o700 });
  await copyFile(join(folder, 'one', 'root-keys'), join(folder, 'two', 'root-keys'));
  const other = await serve('two', postgres.url);
  const url = await startNginx(t, [cutOff.url, other.url]);
  const token = await other.userToken('alice');
  const headers = { authorization: `Bearer ${token}` };
  const get = async () => {
    const answer = await fetch(`${url}/api/v1/${getUserSecrets.path}`, { headers });
    return `${answer.status} ${answer.ok ? ((await answer.json()) as { data: string }).data : ''}`;
  };
  const set = async (value: string) => {
    const body = JSON.stringify({ key: 'KEY', value });
    const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
    return (await fetch(`${url}/api/v1/${setUserSecrets.path}`, init)).status;
  };
  assert.equal(await set('first'), 200);

  line.cut();
  for (let turn = 0; turn < 6; turn++) assert.equal(await get(), '200 {"KEY":"first"}');
  assert.match(cutOff.logs(), /"status":503,"outcome":"ERR_UNAVAILABLE"/, 'the proxy has asked it');
  assert.equal((await fetch(`${cutOff.url}/readyz`)).status, 503);
  // What writes is not sent twice: its client hears 503 and comes again.
  await untilAnswer(() => set('second'), 200);
  assert.equal(await get(), '200 {"KEY":"second"}');

  await cutOff.stop();
  for (let turn = 0; turn < 6; turn++) assert.equal(await set(`turn ${turn}`), 200);
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
});
