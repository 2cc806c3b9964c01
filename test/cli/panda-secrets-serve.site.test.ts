import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { COMMAND_LINE_CLIENT } from '../../src/identity/embedded-issuer.ts';
import { DEVICE_CODE_SECONDS } from '../../src/protocol/limits.ts';
import { LOOPBACK } from '../client/certificates.ts';
import { until } from '../pilot/folders.ts';
import { programPath } from '../programs.ts';
import { pandaSecrets, type RunningServer } from './panda-secrets.ts';

const NOBODY = 65534;
const nobodyAndNode26 = {
  skip:
    (process.getuid?.() !== 0 && 'only root can start programs of another user') ||
    (!process.allowedNodeEnvironmentFlags.has('--experimental-ffi') && 'Node before 26 cannot protect its memory'),
};

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('a first start makes everything for its user alone, says where it listens and what to do next', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const alive = await fetch(`${server.url}/api/v1/system/is_alive`);
  assert.equal(((await alive.json()) as { success: boolean }).success, true);
  assert.equal(modeOf(program.data), '700');
  assert.equal(modeOf(join(program.data, 'blobs')), '700');
  for (const file of ['panda.db', 'panda.db-wal', 'root-keys', 'installation.json']) {
    assert.equal(modeOf(join(program.data, file)), '600', file);
  }
  server.process.kill('SIGTERM');
  const { status, stdout } = await server.ended;
  assert.equal(status, 0);
  assert.match(stdout, /user add/);
  assert.match(stdout, /PANDA_URL_SSL=http/);
  assert.match(stdout, /pilot-token --queue default/);

  const keys = readFileSync(join(program.data, 'root-keys'), 'utf8');
  const again = await program.serve();
  again.process.kill('SIGINT');
  assert.equal((await again.ended).status, 0);
  assert.equal(readFileSync(join(program.data, 'root-keys'), 'utf8'), keys, 'the keys stay');
});

test('a server as it is published finds the lifetime of a login code by the name of its class', async (t) => {
  const { url } = await pandaSecrets(t).serve();
  const body = new URLSearchParams({ client_id: COMMAND_LINE_CLIENT, scope: 'openid' });
  const code = (await (await fetch(`${url}/oidc/device`, { method: 'POST', body })).json()) as Record<string, unknown>;
  assert.equal(code['expires_in'], DEVICE_CODE_SECONDS);
});

test('a server that still waits for its database ends when it is told to', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const nobody = 'postgres://nobody@127.0.0.1:1/none';
    const { child, output, ended } = pandaSecrets(t).start(['serve', '--port', '0'], {
      PANDA_SECRETS_DATABASE: nobody,
    });
    await until(
      () => output.stderr,
      (text) => text.includes('"part":"database"'),
    );
    child.kill(signal);
    assert.equal((await ended).status, 0, signal);
  }
});

test('what a library thinks of this Node is not told to the operator', async (t) => {
  const server = await pandaSecrets(t).serve();
  assert.equal((await fetch(`${server.url}/.well-known/openid-configuration`)).status, 200);
  server.process.kill('SIGTERM');
  const { stdout, stderr } = await server.ended;
  assert.doesNotMatch(stdout + stderr, /oidc-provider|WARNING/);
});

test('a lost root key is said, not replaced', async (t) => {
  const program = pandaSecrets(t);
  await stopped(await program.serve());
  rmSync(join(program.data, 'root-keys'));
  const { status, stderr } = await program.run(['serve', '--port', '0']);
  assert.equal(status, 1);
  assert.match(stderr, /no root key file.*safe copy/);
});

test('both key files lost beside a database that has secrets: no new root key is made', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  await program.run(['user', 'add', 'alice']);
  const token = (await program.run(['token', 'alice'])).stdout.trim();
  const set = await fetch(`${server.url}/api/v1/creds/set_user_secrets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'A', value: 'b' }),
  });
  assert.equal(((await set.json()) as { success: boolean }).success, true);
  server.process.kill('SIGTERM');
  await server.ended;
  for (const file of ['root-keys', 'installation.json']) rmSync(join(program.data, file));
  const { status, stderr } = await program.run(['serve', '--port', '0']);
  assert.equal(status, 1);
  assert.match(stderr, /no root key file .*put it back from its safe copy/);
});

test('it ends when told to, although nobody reads its log any more', async (t) => {
  const server = await pandaSecrets(t).serve();
  server.process.stderr?.destroy();
  await fetch(`${server.url}/api/v1/system/is_alive`);
  server.process.kill('SIGTERM');
  assert.equal((await server.ended).status, 0);
});

test('a data folder that cannot be made, and a database that is none, are said without a stack trace', async (t) => {
  const program = pandaSecrets(t);
  const file = join(program.data, '..', 'file');
  writeFileSync(file, '');
  const wrong = await program.run(['serve', '--port', '0', '--data', file]);
  assert.deepEqual(wrong, {
    status: 1,
    stdout: '',
    stderr: `panda-secrets: the data folder ${file} cannot be made (EEXIST); --data names another\n`,
  });
  await stopped(await program.serve());
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(program.data, `panda.db${suffix}`), { force: true });
  writeFileSync(join(program.data, 'panda.db'), 'text, and longer than the head of a database file'.repeat(100));
  for (const command of [
    ['serve', '--port', '0'],
    ['user', 'list'],
  ]) {
    const { status, stderr } = await program.run(command);
    assert.equal(status, 1);
    assert.match(stderr, /^panda-secrets: the database \S+panda\.db cannot be used \(file is not a database\): .*\n$/);
  }
});

const skip = process.getuid?.() === 0 ? 'run as root, who may enter every folder' : false;
test("another user's data folder is not taken for one that is not there", { skip }, async (t) => {
  const program = pandaSecrets(t);
  await stopped(await program.serve());
  chmodSync(program.data, 0);
  t.after(() => chmodSync(program.data, 0o700));
  const { status, stderr } = await program.run(['user', 'list']);
  assert.equal(status, 1);
  assert.match(stderr, /cannot be entered \(EACCES\): it may be of another user/);
});

test('plain http is refused off this machine, with the three ways out', async (t) => {
  const program = pandaSecrets(t);
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    const { status, stderr } = await program.run(['serve', '--port', '0', '--host', host]);
    assert.equal(status, 1);
    assert.match(stderr, /plain http.*in clear.*--host 127\.0\.0\.1.*--tls-cert.*--tls-key.*--trusted-proxy/s);
  }
});

test('with a certificate it speaks https', async (t) => {
  const program = pandaSecrets(t);
  const [cert, key] = [join(program.data, '..', 'cert.pem'), join(program.data, '..', 'key.pem')];
  writeFileSync(cert, LOOPBACK.cert);
  writeFileSync(key, LOOPBACK.key);
  const server = await program.serve(['--tls-cert', cert, '--tls-key', key]);
  assert.match(server.url, /^https:/);
  const agent = new Agent({ ca: LOOPBACK.cert });
  const [answer] = await once(request(`${server.url}/api/v1/system/is_alive`, { agent }).end(), 'response');
  assert.match(await text(answer), /"success":true/);
  agent.destroy();
  const { stderr } = await program.run(['serve', '--tls-cert', cert]);
  assert.match(stderr, /--tls-key is missing/);
  const swapped = await program.run(['serve', '--tls-cert', key, '--tls-key', cert]);
  assert.match(swapped.stderr, /are no certificate with its key/);
});

test('SIGTERM lets the requests that have begun finish, and takes no new connection', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  await program.run(['user', 'add', 'alice']);
  const token = (await program.run(['token', 'alice'])).stdout.trim();
  const body = JSON.stringify({ key: 'LATE', value: 'but kept' });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  // Sent in the middle of a request that the server has answered with its readiness to read the rest.
  socket.write(
    `POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 100 /);
  server.process.kill('SIGTERM');
  while (await connects(server.url)) await new Promise((resolve) => setTimeout(resolve, 10));
  socket.write(body);
  assert.match(String((await once(socket, 'data'))[0]), /"message":"OK"/);
  assert.equal((await server.ended).status, 0);

  const next = await program.serve();
  const headers = { authorization: `Bearer ${token}` };
  const kept = await fetch(`${next.url}/api/v1/creds/get_user_secrets`, { headers });
  assert.equal(((await kept.json()) as { data: string }).data, '{"LATE":"but kept"}');
});

test('a second signal ends it at once', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n');
  await once(socket, 'data');
  server.process.kill('SIGTERM');
  // Two within half a second count as one: see SAME_SIGNAL_MILLISECONDS.
  const again = setInterval(() => server.process.kill('SIGTERM'), 100);
  t.after(() => clearInterval(again));
  assert.equal((await server.ended).status, 1);
});

test('a second server on an SQLite folder is refused, and the commands beside the first go on', async (t) => {
  const program = pandaSecrets(t);
  const first = await program.serve();
  const { status, stdout, stderr } = await program.run(['serve', '--port', '0']);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /another server runs on the data folder \S+ \(http:\/\/127\.0\.0\.1:\d+\).*--data/);
  for (const command of [
    ['user', 'add', 'alice'],
    ['token', 'alice'],
    ['keys', 'list'],
    ['doctor'],
    ['audit', 'verify'],
  ])
    assert.equal((await program.run(command)).status, 0, command.join(' '));
  first.process.kill('SIGKILL');
  await first.ended;
  await stopped(await program.serve());
});

test('links begin with the public URL, also where only the server knows it', async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve(['--public-url', 'https://panda.example.org']);
  const link = /^ +https:\/\/panda\.example\.org\/\S+$/m;
  assert.match((await program.run(['user', 'add', 'alice'])).stdout, link);
  assert.match((await program.run(['user', 'password', 'alice', '--link'])).stdout, link);
  server.process.kill('SIGTERM');
  const { stdout } = await server.ended;
  assert.match(stdout, /export PANDA_URL_SSL=https:\/\/panda\.example\.org\n/);
  assert.match(stdout, /https:\/\/panda\.example\.org\/api\/v1\/docs/);
});

test('a port that is taken is said', async (t) => {
  const program = pandaSecrets(t);
  const { port } = new URL((await program.serve()).url);
  const { status, stderr } = await program.run(['serve', '--port', port, '--data', `${program.data}-2`]);
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${port}: something else listens there`));
});

async function stopped(server: RunningServer): Promise<void> {
  server.process.kill('SIGTERM');
  await server.ended;
}

async function connects(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

test('a signal opens no debugger into the server, and it writes no core file', async (t) => {
  const { url, process: server, ended } = await pandaSecrets(t).serve();
  const started = readFileSync(`/proc/${server.pid}/cmdline`, 'utf8').split('\0');
  assert.ok(started.includes('--disable-sigusr1'), 'one in its first moment would');
  assert.ok(started.includes('--max-semi-space-size=8'), 'it takes less memory since it starts anew');
  assert.match(readFileSync(`/proc/${server.pid}/limits`, 'utf8'), /Max core file size +0 +0/);
  server.kill('SIGUSR1');
  assert.equal((await fetch(`${url}/api/v1/system/is_alive`)).status, 200);
  server.kill('SIGTERM');
  const { status, stderr } = await ended;
  assert.equal(status, 0);
  assert.ok(!/debugger/i.test(stderr), stderr);
});

test('another process of its user reads nothing of the memory of a server', nobodyAndNode26, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'panda-memory-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chownSync(folder, NOBODY, NOBODY);
  const as = { uid: NOBODY, gid: NOBODY, env: { PATH: process.env['PATH'], HOME: folder }, cwd: folder };
  const server = spawn(
    process.execPath,
    [programPath('panda-secrets'), 'serve', '--port', '0', '--data', join(folder, 'data')],
    as,
  );
  t.after(() => server.kill('SIGKILL'));
  const said = await new Promise<string>((resolve) => {
    let text = '';
    const add = (part: Buffer) => {
      text += part;
      if (text.includes('listening on')) resolve(text);
    };
    server.stdout.on('data', add);
    server.stderr.on('data', add);
    server.on('close', () => resolve(text));
  });
  assert.match(said, /listening on/);
  const read = (pid: number | undefined) =>
    spawnSync('sh', ['-c', `exec 3< /proc/${pid}/mem && echo open`], { ...as, encoding: 'utf8' });
  assert.equal(read(server.pid).stdout, '');
  const other = spawn('sleep', ['60'], as);
  t.after(() => other.kill('SIGKILL'));
  assert.equal(read(other.pid).stdout, 'open\n', 'of a program that is not protected it can');
});
