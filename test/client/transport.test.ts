import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { createTransport, type Transport } from '../../src/client/transport.ts';
import { Declined, Unavailable } from '../../src/protocol/errors.ts';
import { ok, startStub } from './stub-server.ts';

// The compiler is the test: a line that it lets through below is an error of its own ("unused @ts-expect-error").
test('a client that misspells a call, an argument or a field of an answer does not compile', () => {
  const misspelt = async (transport: Transport) => {
    // @ts-expect-error the path
    await transport.get('creds/list_user_secret', {});
    // @ts-expect-error the HTTP method
    await transport.post('creds/list_user_secrets', {});
    // @ts-expect-error a file is not in an envelope
    await transport.get('job/get_file', { job_id: 1, attempt: 1, name: 'a' });
    // @ts-expect-error an argument
    await transport.get('creds/get_secret_versions', { keys: 'A' });
    // @ts-expect-error an argument beside the right ones
    await transport.post('creds/restore_secret', { key: 'A', version: 1, force: true });
    // @ts-expect-error the type of an argument
    await transport.post('creds/restore_secret', { key: 'A', version: '1' });
    // @ts-expect-error an argument that is needed
    await transport.post('creds/restore_secret', { key: 'A' });
    const { data } = await transport.get('creds/list_user_secrets', {});
    // @ts-expect-error a field of the answer
    return data[0]?.createdAt;
  };
  assert.ok(misspelt);
});

test('a server that takes a request and never answers is said, and then given up', async () => {
  await using stub = await startStub({ 'system/is_alive': () => new Promise(() => {}) });
  const silent: string[] = [];
  const transport = createTransport({
    url: stub.url,
    vo: 'panda',
    onSilence: (origin) => silent.push(origin),
    patience: { silence: 0.05, timeout: 0.5 },
  });
  await assert.rejects(transport.get('system/is_alive', {}), /did not answer within 60 seconds/);
  assert.deepEqual(silent, [stub.url]);
  transport.close();
});

test('a body that is still on its way is no silence', async () => {
  await using stub = await startStub({ 'file_server/upload_cache_file': () => ok() });
  const silent: string[] = [];
  const transport = createTransport({
    url: stub.url,
    vo: 'panda',
    onSilence: (origin) => silent.push(origin),
    patience: { silence: 2, timeout: 100 },
  });
  async function* slowly() {
    for (let part = 0; part < 50; part++) {
      yield Buffer.alloc(1024);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  await transport.send(
    'file_server/upload_cache_file',
    {},
    { type: 'application/octet-stream', body: Readable.from(slowly()) },
  );
  assert.deepEqual(silent, []);
  transport.close();
});

test('an answer that the same request would meet again is told from one that passes', async () => {
  await using stub = await startStub({
    'system/is_alive': ({ query }, response) => response.writeHead(Number(query.get('status'))).end(),
  });
  const transport = createTransport({ url: stub.url, vo: 'panda' });
  for (const [status, isDefinite] of [
    [400, true],
    [403, true],
    [404, true],
    [410, true],
    [408, false],
    [425, false],
    [429, false],
    [500, false],
    [503, false],
  ] as const) {
    await assert.rejects(transport.openUrl(`${stub.url}/api/v1/system/is_alive?status=${status}`), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.equal(error instanceof Declined, isDefinite, `HTTP ${status}`);
      return true;
    });
  }
  transport.close();
});
