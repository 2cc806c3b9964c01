import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.ts';
import { cacheAddress, serverAddress } from '../../src/client/server-address.ts';
import { Misconfigured, Unavailable } from '../../src/protocol/errors.ts';
import { LOOPBACK, OTHER_HOST } from './certificates.ts';
import { ok, startStub, unsignedToken } from './stub-server.ts';

test('the server is PANDA_URL_SSL, else PANDA_URL, else the embedded one', () => {
  const ssl = 'https://panda.example.org:25443/server/panda';
  const plain = 'http://localhost:25080/server/panda';
  assert.equal(serverAddress({ PANDA_URL_SSL: ssl, PANDA_URL: plain }), 'https://panda.example.org:25443');
  assert.equal(serverAddress({ PANDA_URL: plain }), 'http://localhost:25080');
  assert.equal(serverAddress({ PANDA_URL_SSL: '' }), 'http://127.0.0.1:25080');
});

test('sandboxes go to PANDACACHE_URL, else to the server', () => {
  const env = { PANDA_URL_SSL: 'https://panda.example.org' };
  assert.equal(cacheAddress(env), 'https://panda.example.org');
  assert.equal(cacheAddress({ ...env, PANDACACHE_URL: 'https://cache.example.org/x' }), 'https://cache.example.org');
});

test('an address that is none is refused by the name of its variable', () => {
  for (const value of ['panda.example.org', 'ftp://panda.example.org', 'https://']) {
    assert.throws(
      () => serverAddress({ PANDA_URL_SSL: value }),
      (error: unknown) => {
        assert.ok(error instanceof Misconfigured);
        assert.match(error.message, /^PANDA_URL_SSL must be/);
        return true;
      },
    );
  }
});

test('a certificate of an unknown issuer is refused, with what to do', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') }, LOOPBACK);
  await assert.rejects(secretsOf({ PANDA_URL_SSL: stub.url }), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.match(error.message, /not trusted here.*SSL_CERT_FILE.*X509_CERT_DIR/);
    return true;
  });
  assert.equal(stub.seen.length, 0);
});

test('a certificate in SSL_CERT_FILE or X509_CERT_DIR is trusted', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') }, LOOPBACK);
  using folder = mkdtempDisposableSync(join(tmpdir(), 'client-test-'));
  writeFileSync(join(folder.path, 'ab12cd34.0'), `a comment\n${LOOPBACK.cert}`);
  writeFileSync(join(folder.path, 'ab12cd34.signing_policy'), 'access_id_CA X509 ...');
  await secretsOf({ PANDA_URL_SSL: stub.url, X509_CERT_DIR: folder.path });
  await secretsOf({ PANDA_URL_SSL: stub.url, SSL_CERT_FILE: join(folder.path, 'ab12cd34.0') });
  assert.equal(stub.seen.length, 2);
});

test('a trusted certificate for another host is refused, unless PANDA_VERIFY_HOST is off', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') }, OTHER_HOST);
  using folder = mkdtempDisposableSync(join(tmpdir(), 'client-test-'));
  writeFileSync(join(folder.path, 'other.pem'), OTHER_HOST.cert);
  const env = { PANDA_URL_SSL: stub.url, X509_CERT_DIR: folder.path };
  await assert.rejects(secretsOf(env), /certificate for another host name/);
  assert.equal(await secretsOf({ ...env, PANDA_VERIFY_HOST: 'off' }), false);
});

test('http to an https server says to write https', async () => {
  await using stub = await startStub({}, LOOPBACK);
  await assert.rejects(secretsOf({ PANDA_URL_SSL: stub.url.replace('https:', 'http:') }), /write https:\/\//);
});

test('a certificate file that is not there is refused by the name of its variable', async () => {
  const env = { PANDA_URL_SSL: 'https://127.0.0.1:1', SSL_CERT_FILE: '/nowhere/ca.pem' };
  await assert.rejects(secretsOf(env), /^Misconfigured: SSL_CERT_FILE names \/nowhere\/ca.pem/);
});

test('the VO is PANDA_AUTH_VO, with its role', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') });
  await secretsOf({ PANDA_URL_SSL: stub.url, PANDA_AUTH_VO: 'atlas:production' });
  await secretsOf({ PANDA_URL_SSL: stub.url });
  assert.deepEqual(
    stub.seen.map(({ headers }) => headers.origin),
    ['atlas:production', 'panda'],
  );
});

/** Asks once. @returns true when the server's certificate was checked */
async function secretsOf(env: Record<string, string>): Promise<boolean> {
  const { client, verified } = await connect({ PANDA_AUTH_ID_TOKEN: unsignedToken(), ...env });
  try {
    await client.getSecrets();
    return verified;
  } finally {
    client.close();
  }
}
