import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { openLog } from '../../src/server/log.ts';
import { LOOPBACK, OTHER_HOST } from '../client/certificates.ts';
import { until } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { receiver, noReceiver as skip } from './notified.ts';
import { pandaSecrets } from './panda-secrets.ts';

const becomes = (isSo: () => boolean) => until(isSo, (so) => so);

for (const kind of ['a path', 'an abstract name']) {
  test(`the service manager is told of each state, by ${kind}`, { skip }, async (t) => {
    const program = pandaSecrets(t);
    const socket = kind === 'a path' ? join(program.data, '..', 'notify') : `@panda-secrets-${process.pid}`;
    const told = await receiver(t, socket);
    const server = await program.serve([], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' });
    await becomes(() => told.filter((line) => line === 'WATCHDOG=1').length >= 2);
    assert.equal(told[0], `READY=1 STATUS=listening on ${server.url}`);
    told.length = 0;
    server.process.kill('SIGHUP');
    await becomes(() => told.some((line) => line.startsWith('READY=1')));
    assert.match(
      told.filter((line) => line !== 'WATCHDOG=1').join('; '),
      /^RELOADING=1 MONOTONIC_USEC=\d+; READY=1 STATUS=listening on \S+$/,
    );
    server.process.kill('SIGTERM');
    await server.ended;
    await becomes(() => told.includes('STOPPING=1'));
  });
}

test('a server that stops while its manager is told something ends when that has heard of it', async (t) => {
  const program = pandaSecrets(t);
  const at = (name: string) => join(program.data, '..', name);
  writeFileSync(at('systemd-notify'), `#!/bin/sh\nsleep 0.5; echo "$1" >> ${at('told')}\n`, { mode: 0o755 });
  const PATH = `${at('')}:${process.env['PATH']}`;
  const server = await program.serve([], { PATH, NOTIFY_SOCKET: at('nobody'), WATCHDOG_USEC: '2000' });
  const told = () => (existsSync(at('told')) ? readFileSync(at('told'), 'utf8').trimEnd().split('\n') : []);
  await becomes(() => told().includes('WATCHDOG=1'));
  server.process.kill('SIGTERM');
  assert.equal((await server.ended).status, 0);
  assert.equal(told().at(-1), 'STOPPING=1');
});

test('a service manager that cannot be told does not end the server', { skip }, async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve([], { NOTIFY_SOCKET: join(program.data, 'nobody') });
  assert.equal((await fetch(`${server.url}/api/v1/system/is_alive`)).status, 200);
  server.process.kill('SIGTERM');
  const { status, stderr } = await server.ended;
  assert.equal(status, 0);
  assert.match(stderr, /systemd-notify failed: the service manager was not told/);
});

/** A server with a configuration file, a certificate and a log file. */
async function configured(t: TestContext) {
  const program = pandaSecrets(t);
  const at = (name: string) => join(program.data, '..', name);
  const [cert, key, config, log] = ['cert.pem', 'key.pem', 'config.toml', 'server.log'].map(at) as [
    string,
    string,
    string,
    string,
  ];
  const certify = (pair: { cert: string; key: string }) => {
    writeFileSync(cert, pair.cert);
    writeFileSync(key, pair.key);
  };
  const configure = (more: string) =>
    writeFileSync(config, `tls_cert = "cert.pem"\ntls_key = "key.pem"\nlog_file = "server.log"\n${more}`);
  certify(LOOPBACK);
  configure('');
  const server = await program.serve(['--config', config]);
  const logged = () => readFileSync(log, 'utf8');
  /** Reloads, and waits for the lines that it writes. */
  async function reload(): Promise<string> {
    const before = logged().length;
    server.process.kill('SIGHUP');
    const part = () => logged().slice(before);
    return await until(part, (text) => text.includes('"part":"configuration"') && text.endsWith('\n'));
  }
  return { server, certify, configure, reload, log, logged };
}

async function certificateAt(url: string): Promise<string | undefined> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

async function answerAt(url: string): Promise<string> {
  const request = get(url, { ca: LOOPBACK.cert });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return await text(answer);
}

test('SIGHUP takes over a new certificate, and the settings that it can', async (t) => {
  const { server, certify, configure, reload } = await configured(t);
  const first = await certificateAt(server.url);
  certify(OTHER_HOST);
  configure('log_level = "debug"\nport = 1\nvo = "other"\nkeep_audit_days = 1\n');
  const text = await reload();
  assert.match(text, /"settings":\["vo"\].*read at the next start alone: vo"/, 'the flag --port goes before the file');
  assert.notEqual(await certificateAt(server.url), first);
  certify(LOOPBACK);
  configure('');
  assert.doesNotMatch(await reload(), /next start/);
  assert.equal(await certificateAt(server.url), first);
});

test('after SIGHUP an address is refused at the number of failures that is set now', async (t) => {
  const { server, configure, reload } = await configured(t);
  const failing = () => answerAt(`${server.url}/api/v1/creds/list_user_secrets`);
  assert.match(await failing(), /ERR_UNAUTHENTICATED|token/);
  assert.doesNotMatch(await failing(), /too many requests/);
  configure('failed_requests = 1\n');
  await reload();
  assert.match(await failing(), /too many requests without a good token/);
});

test('a configuration or a certificate that is wrong changes nothing, and is said', async (t) => {
  const { server, certify, configure, reload } = await configured(t);
  const first = await certificateAt(server.url);
  certify(OTHER_HOST);
  configure('no_such_setting = 1\n');
  assert.match(
    await reload(),
    /"level":50.*the configuration stays as it was: .*unknown setting \\"no_such_setting\\"/,
  );
  assert.equal(await certificateAt(server.url), first);
  certify({ cert: LOOPBACK.cert, key: OTHER_HOST.key });
  configure('log_level = "error"\n');
  assert.match(await reload(), /stays as it was: .* are no certificate with its key/);
  assert.equal(await certificateAt(server.url), first);
  certify(LOOPBACK);
  configure('');
  assert.match(await reload(), /"level":30.*read anew/, 'the level was not taken over either');
});

test('SIGHUP opens the log file anew, as logrotate asks for', async (t) => {
  const { server, reload, log, logged } = await configured(t);
  renameSync(log, `${log}.1`);
  writeFileSync(log, '');
  await reload();
  await becomes(() => logged().includes('looked for root keys'));
  server.process.kill('SIGTERM');
  const { stderr } = await server.ended;
  assert.match(logged(), /"msg":"stopping"/);
  assert.doesNotMatch(readFileSync(`${log}.1`, 'utf8'), /stopping/);
  assert.equal(stderr, '');
});

test('a log file that cannot be opened anew is said each time, and nothing is closed twice when it can', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'panda-secrets-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'here', 'log');
  mkdirSync(join(folder, 'here'));
  const troubles: string[] = [];
  const log = openLog('info', { file, onTrouble: (code) => troubles.push(code) });
  log.logger.info('first');
  await until(
    () => readFileSync(file, 'utf8'),
    (text) => text.includes('first'),
  );
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  renameSync(join(folder, 'here'), join(folder, 'away'));
  for (const failures of [1, 2, 3]) {
    log.reopen();
    await becomes(() => troubles.length === failures);
  }
  mkdirSync(join(folder, 'here'));
  log.reopen();
  log.logger.info('second');
  await becomes(() => existsSync(file) && readFileSync(file, 'utf8').includes('second'));
  await becomes(() => open() === before);
  await log.stop();
  assert.deepEqual(troubles, ['ENOENT', 'ENOENT', 'ENOENT']);
});

test('a server that stops tells the service manager of no reload, and SIGHUP does not end it', { skip }, async (t) => {
  const program = pandaSecrets(t);
  const socket = join(program.data, '..', 'notify');
  const told = await receiver(t, socket);
  const server = await program.serve([], { NOTIFY_SOCKET: socket });
  const { hostname, port } = new URL(server.url);
  const held = connectTcp(Number(port), hostname);
  held.on('error', () => {});
  held.write(
    'POST /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  );
  await once(held, 'connect');
  await fetch(`${server.url}/healthz`);
  server.process.kill('SIGTERM');
  await becomes(() => told.includes('STOPPING=1'));
  for (let count = 0; count < 3; count++) server.process.kill('SIGHUP');
  assert.equal(server.process.exitCode, null);
  held.destroy();
  assert.equal((await server.ended).status, 0);
  assert.equal(told.at(-1), 'STOPPING=1');
});

test('a log file that cannot be opened is said', async (t) => {
  const { status, stderr } = await pandaSecrets(t).run(['serve', '--port', '0', '--log-file', '/no/such/folder/log']);
  assert.equal(status, 1);
  assert.match(stderr, /the log file \/no\/such\/folder\/log cannot be opened \(ENOENT\)/);
});

/** A server whose standard error is a file, which journald may be said to read. */
function withErrorsIn(t: TestContext, stream: string): { server: ChildProcess; written: () => string } {
  const { data } = pandaSecrets(t);
  const file = join(data, '..', 'stderr');
  const words = ['-c', `JOURNAL_STREAM=${stream} exec "$@"`, 'sh', ...programWords('panda-secrets')];
  const server = spawn('sh', [...words, 'serve', '--port', '0', '--data', data], {
    env: { PATH: process.env['PATH'], HOME: join(data, '..') },
    stdio: ['ignore', 'pipe', openSync(file, 'w')],
  });
  t.after(() => server.kill('SIGKILL'));
  return { server, written: () => readFileSync(file, 'utf8') };
}

for (const [name, stream, expected] of [
  ["journald's", '$(stat -Lc %d:%i /proc/self/fd/2)', /^<6>\{"level":30,.*"msg":"stopping"\}\n$/m],
  ['something else than journald named', '1:2', /^\{"level":30,.*"msg":"stopping"\}\n$/m],
] as const) {
  test(`on standard error that is ${name}, lines have ${stream === '1:2' ? 'no' : 'their'} priority`, async (t) => {
    const { server, written } = withErrorsIn(t, stream);
    await once(server.stdout as NonNullable<typeof server.stdout>, 'data');
    await new Promise((resolve) => {
      server.stdout?.resume();
      const stop = setInterval(() => server.kill('SIGTERM'), 50);
      server.once('exit', () => resolve(clearInterval(stop)));
    });
    assert.match(written(), expected);
  });
}
