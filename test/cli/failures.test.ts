import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { LOOPBACK } from '../client/certificates.ts';
import { no, ok, startStub, unsignedToken } from '../client/stub-server.ts';
import { run } from './run.ts';

const ENDED = unsignedToken({ exp: 1_767_225_600 });
const NO_TOKEN = { PANDA_AUTH_ID_TOKEN: '' };

/** A failure -> where the user's environment points, and the message: the fact, and what to do. */
const FAILURES: Record<string, { url?: string; env?: Record<string, string>; says: RegExp[] }> = {
  'nothing listens at the address': {
    url: 'http://127.0.0.1:1',
    says: [/nothing listens there/, /Check that the server is running .*PANDA_URL_SSL/],
  },
  'the host name does not exist': { url: 'https://panda.invalid', says: [/no such host name/, /Check PANDA_URL_SSL/] },
  'the address is no address': { url: 'panda', says: [/PANDA_URL_SSL must be an address like https:/] },
  'a token would cross the network readable': {
    url: 'http://192.0.2.1',
    says: [/plain http/, /Use the https:\/\/ address/],
  },
  'nobody is logged in': { env: NO_TOKEN, says: [/not logged in/, /"pbook login"/] },
  'the token has ended': {
    env: { PANDA_AUTH_ID_TOKEN: ENDED },
    says: [/ended at 2026-01-01 00:00 UTC/, /unset PANDA_AUTH_ID_TOKEN and log in with "pbook login"/],
  },
  'the token is something else': {
    env: { PANDA_AUTH_ID_TOKEN: 'hello' },
    says: [/does not hold a token/, /unset PANDA_AUTH_ID_TOKEN and log in with "pbook login"/],
  },
  'the file of the token holds something else': {
    env: { ...NO_TOKEN, OIDC_AUTH_TOKEN_FILE: '/dev/null' },
    says: [/\/dev\/null does not hold a token/, /OIDC_AUTH_TOKEN_FILE names the file.*unset OIDC_AUTH_TOKEN_FILE/],
  },
  'the file of the token is not there': {
    env: { ...NO_TOKEN, OIDC_AUTH_TOKEN_FILE: '/nowhere/token' },
    says: [/\/nowhere\/token, which cannot be read \(ENOENT\)/, /unset OIDC_AUTH_TOKEN_FILE.*"pbook login"/],
  },
};

for (const [what, { url = 'http://127.0.0.1:1', env = {}, says }] of Object.entries(FAILURES)) {
  test(`where ${what}, pbook says so and what to do`, async () => {
    await fails(await run('pbook', ['list_secrets'], url, { env }), says);
  });
}

test('where the server refuses the token, pbook says how to get another', async () => {
  const refuse = (_request: unknown, response: ServerResponse) => {
    response.setHeader('WWW-Authenticate', 'Bearer');
    return no("the token's signature is wrong");
  };
  await using stub = await startStub({ 'creds/get_user_secrets': refuse });
  await fails(await run('pbook', ['list_secrets'], stub.url), [
    /the token's signature is wrong\. To get a new token, unset PANDA_AUTH_ID_TOKEN, which goes before a login, and log in/,
  ]);
});

test('where the certificate is not trusted, pbook says how to trust it', async () => {
  const handlers = { 'creds/get_user_secrets': () => ok('{}') };
  await using own = await startStub(handlers, LOOPBACK);
  await fails(await run('pbook', ['list_secrets'], own.url), [/not trusted here/, /SSL_CERT_FILE.*X509_CERT_DIR/]);
});

test('where http and https are mixed up, pbook says which to write', async () => {
  await using plain = await startStub({});
  await using secure = await startStub({}, LOOPBACK);
  await fails(await run('pbook', ['list_secrets'], plain.url.replace('http:', 'https:')), [/write http:\/\//]);
  await fails(await run('pbook', ['list_secrets'], secure.url.replace('https:', 'http:')), [/write https:\/\//]);
});

test('where something else answers, pbook says that it is no PanDA server', async () => {
  const server = createServer((_request, response) => response.end('<html>Welcome</html>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await fails(await run('pbook', ['list_secrets'], `http://127.0.0.1:${port}`), [
      /did not answer as a PanDA server does/,
      /login page/,
    ]);
  } finally {
    server.close();
  }
  await using stub = await startStub({});
  await fails(await run('pbook', ['list_secrets'], stub.url), [/HTTP 404/, /check that it is a PanDA server/]);
});

test('where the queue does not exist, prun says which there are', async () => {
  await using stub = await startStub({
    'file_server/validate_cache_file': () => ok(null, 'FOUND:http://127.0.0.1:1:jobO.known.tar.gz'),
    'task/submit': () => no('site: there is no queue "nowhere"; the queues are default'),
  });
  const line = ['--exec', 'true', '--outDS', 'user.adoe.x', '--site', 'nowhere'];
  await fails(await run('prun', line, stub.url, { cwd: import.meta.dirname }), [
    /no queue "nowhere"; the queues are default/,
  ]);
});

test('a mistyped command or option is met with the one that may be meant', async () => {
  const { status, stderr } = await run('pbook', ['lst_secrets'], 'http://127.0.0.1:1');
  assert.equal(status, 2);
  assert.match(stderr, /^ERROR : unknown command 'lst_secrets' \(Did you mean list_secrets\?\)\n$/);
});

test('an argument that makes no sense is met with what is allowed', async () => {
  const cases: [args: string[], says: RegExp][] = [
    [['help', 'lst_secrets'], /no command lst_secrets; "pbook help" lists them/],
    [['show', 'foo'], /show takes ID\.\.\., run or fin, and days=/],
    [['show', 'run', '5'], /show takes ID/],
    [['show', 'status=dnoe'], /"dnoe" is not a state of tasks; those are registered, .*done/],
    [['kill', 'foo'], /"foo" is not a task id, which is a number; "pbook show" lists them/],
  ];
  for (const [args, says] of cases) {
    const { status, stdout, stderr } = await run('pbook', args, 'http://127.0.0.1:1');
    assert.deepEqual([status, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /^ERROR : [^\n]+\n$/);
    assert.match(stderr, says);
  }
});

/** One line on standard error, nothing on standard output that could be taken for a result, status 1, no stack trace. */
async function fails({ status, stdout, stderr }: Awaited<ReturnType<typeof run>>, says: readonly RegExp[]) {
  assert.equal(status, 1, stderr);
  assert.doesNotMatch(stdout, /^(?!INFO : )./m);
  assert.match(stderr, /^ERROR : [^\n]+\n$/);
  for (const pattern of says) assert.match(stderr, pattern);
}
