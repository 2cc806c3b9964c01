import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { proxyVariables } from '../../src/client/proxy.ts';
import { run } from '../cli/run.ts';

const SERVER = 'https://panda.example.org:25443';

test('a proxy is found under each of its names, with and without a scheme', () => {
  assert.deepEqual(proxyVariables({ ALL_PROXY: 'http://a:1' }), { https_proxy: 'http://a:1/' });
  const both = { ALL_PROXY: 'http://a:1', HTTPS_PROXY: 'b:2', https_proxy: '' };
  assert.deepEqual(proxyVariables(both), { https_proxy: 'http://b:2/' });
  assert.deepEqual(proxyVariables({ http_proxy: 'http://a:1' }), {});
  assert.deepEqual(proxyVariables({ all_proxy: 'a:1', NO_PROXY: 'x' }), { https_proxy: 'http://a:1/', no_proxy: 'x' });
  assert.deepEqual(proxyVariables({}), {});
});

test('a request goes to a proxy that is named without a scheme, or by ALL_PROXY, and not past NO_PROXY', async () => {
  await using proxy = await startProxy(403);
  for (const name of ['HTTPS_PROXY', 'ALL_PROXY', 'all_proxy']) {
    const { stderr } = await listThrough({ [name]: proxy.host });
    assert.equal(
      stderr,
      `ERROR : the proxy http://${proxy.host} (${name}) does not connect to panda.example.org:25443 (HTTP 403); ` +
        'NO_PROXY=panda.example.org goes past it\n',
    );
  }
  assert.deepEqual([...new Set(proxy.asked)], ['panda.example.org:25443']);
  const before = proxy.asked.length;
  const past = await listThrough({ HTTPS_PROXY: proxy.host, NO_PROXY: 'panda.example.org' });
  assert.match(past.stderr, /panda\.example\.org:25443 cannot be /);
  assert.equal(proxy.asked.length, before);
});

test('a proxy that is dead, unknown or asks for a login is named as the proxy, without its password', async () => {
  await using proxy = await startProxy(407);
  for (const [address, message] of [
    [`http://u:s3cret@${proxy.host}`, /^ERROR : the proxy http:\/\/127\.0\.0\.1:\d+ \(HTTPS_PROXY\) asks for a login/],
    ['127.0.0.1:1', /^ERROR : the proxy http:\/\/127\.0\.0\.1:1 \(HTTPS_PROXY\) does not answer/],
    ['http://proxy.invalid:3128', /^ERROR : the proxy http:\/\/proxy\.invalid:3128 \(HTTPS_PROXY\) cannot be found/],
    ['socks5://u:s3cret@127.0.0.1:1', /^ERROR : HTTPS_PROXY must be an http or https proxy/],
  ] as const) {
    const { status, stderr } = await listThrough({ HTTPS_PROXY: address });
    assert.match(stderr, message);
    assert.deepEqual([status, stderr.includes('s3cret')], [1, false]);
  }
});

function listThrough(env: Record<string, string>) {
  return run('pbook', ['list_secrets'], SERVER, { env });
}

/** A proxy that answers each request for a tunnel with `status`. */
async function startProxy(status: number) {
  const asked: (string | undefined)[] = [];
  const server = createServer();
  server.on('connect', ({ url }, socket) => {
    asked.push(url);
    socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
