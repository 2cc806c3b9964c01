import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as creds from '../../src/protocol/calls/creds.ts';
import { MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { startServer, type TestServer } from './start.ts';

const values = async (server: TestServer, token: string, keys?: string[]) => {
  const answer = await server.ask(token, creds.getUserSecrets, keys ? { keys } : {});
  assert.equal(answer.success, true, answer.message);
  assert.equal(typeof answer.data, 'string', 'the answer is JSON text inside JSON');
  return JSON.parse(answer.data as string) as Record<string, string>;
};

test('a secret is set, read, replaced and deleted as PanDA answers it', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  assert.deepEqual(await server.ask(alice, creds.setUserSecrets, { key: 'A', value: 'one' }), {
    success: true,
    message: 'OK',
    data: null,
  });
  await server.ask(alice, creds.setUserSecrets, { key: 'A', value: 'two' });
  await server.ask(alice, creds.setUserSecrets, { key: 'B', value: 'three' });
  assert.deepEqual(await values(server, alice), { A: 'two', B: 'three' });
  await server.ask(alice, creds.setUserSecrets, { key: 'A', value: null });
  const again = await server.ask(alice, creds.setUserSecrets, { key: 'A', value: null });
  const nothing = { success: true, message: 'OK', data: { found: false } };
  assert.deepEqual(again, nothing, 'deleting what is not there is no error, and our own client is told');
  assert.deepEqual(await values(server, alice), { B: 'three' });
  await server.ask(alice, creds.setUserSecrets, { key: null, value: null });
  assert.deepEqual(await values(server, alice), {});
});

test('of a string and a file of one name, as PanDA clients set them, the later one is there alone', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  const [string, file] = [
    { key: 'KEY', value: 'a string' },
    { key: '___file___:KEY', value: 'ZmlsZQ==' },
  ];
  for (const { key, value } of [string, file, string, file]) {
    assert.equal((await server.ask(alice, creds.setUserSecrets, { key, value })).message, 'OK');
    assert.deepEqual(await values(server, alice), { [key]: value });
  }
  const deleted = await server.ask(alice, creds.setUserSecrets, { key: 'KEY', value: null });
  assert.deepEqual([deleted, await values(server, alice)], [{ success: true, message: 'OK', data: null }, {}]);
});

test('only the secrets that were asked for come back, one or many', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  for (const key of ['A', 'B', 'C']) await server.ask(alice, creds.setUserSecrets, { key, value: `value of ${key}` });
  assert.deepEqual(Object.keys(await values(server, alice, ['B'])), ['B']);
  assert.deepEqual(Object.keys(await values(server, alice, ['C', 'A', 'nobody'])), ['A', 'C']);
});

test('a secret keeps the queues it was set for when a client that knows none sets it again', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  await server.pilotToken('Q1');
  const set = (args: object) => server.ask(alice, creds.setUserSecrets, { key: 'A', value: 'one', ...args });
  const queues = async () => {
    const { data } = await server.ask(alice, creds.listUserSecrets, {});
    return (data as creds.ListedSecret[]).map((secret) => secret.queues);
  };
  assert.equal((await set({ queues: ['Q1', 'default', 'Q1'] })).success, true);
  await set({ value: 'two' });
  assert.deepEqual(await queues(), [['Q1', 'default']]);
  await set({ queues: ['*'] });
  assert.deepEqual(await queues(), [null]);

  const refusals: [object, RegExp][] = [
    [{ queues: ['Q1', 'Q2'] }, /there is no queue "Q2"; the queues are Q1, default/],
    [{ queues: [] }, /name at least one queue/],
    [{ queues: ['a,b'] }, /cannot be a queue's name/],
    [{ queues: 'Q1' }, /'queues' must be a list/],
    [{ value: null, queues: ['Q1'] }, /'queues' goes with a 'key' and a 'value'/],
  ];
  for (const [args, message] of refusals) {
    const answer = await set(args);
    assert.equal(answer.success, false);
    assert.match(answer.message, message);
  }
  assert.deepEqual([await values(server, alice), await queues()], [{ A: 'one' }, [null]], 'nothing was changed');
});

test('two users never see anything of each other', async (t) => {
  const server = await startServer(t);
  const [alice, bob] = [await server.userToken('alice'), await server.userToken('bob')];
  await server.ask(alice, creds.setUserSecrets, { key: 'SHARED_NAME', value: "alice's" });
  await server.ask(bob, creds.setUserSecrets, { key: 'SHARED_NAME', value: "bob's" });
  await server.ask(alice, creds.setUserSecrets, { key: 'ONLY_ALICE', value: "alice's" });
  assert.deepEqual(await values(server, bob), { SHARED_NAME: "bob's" });
  assert.deepEqual(await values(server, bob, ['ONLY_ALICE']), {});
  assert.equal((await server.ask(bob, creds.getSecretVersions, { key: 'ONLY_ALICE' })).success, false);
  await server.ask(bob, creds.setUserSecrets, { key: 'ONLY_ALICE', value: null });
  await server.ask(bob, creds.setUserSecrets, { key: null, value: null });
  assert.deepEqual(await values(server, alice), { SHARED_NAME: "alice's", ONLY_ALICE: "alice's" });
});

test('1,024,000 bytes are accepted in every way that JSON can write them, and one more is refused', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  for (const piece of ['x', '\u0000', '"', 'é', '😀']) {
    const value = piece.repeat(MAX_VALUE_BYTES / Buffer.byteLength(piece));
    const escaped = JSON.stringify(value).replace(
      /[\u0080-\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    const response = await fetch(`${server.url}/api/v1/creds/set_user_secrets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice}` },
      body: `{"key":"BIG","value":${escaped}}`,
    });
    assert.equal(((await response.json()) as { success: boolean }).success, true);
    assert.ok((await values(server, alice))['BIG'] === value);
  }
  const refused = await server.ask(alice, creds.setUserSecrets, { key: 'BIG', value: 'x'.repeat(MAX_VALUE_BYTES + 1) });
  assert.equal(refused.success, false);
  assert.match(refused.message, /1024001 bytes.*1024000/);
});

test('every text that Unicode can write survives byte for byte', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (value) => {
      await server.ask(alice, creds.setUserSecrets, { key: '__proto__', value });
      assert.equal(Object.entries(await values(server, alice)).find(([name]) => name === '__proto__')?.[1], value);
    }),
    { numRuns: 25, examples: [['$(id) `id` \\ " \' \n\r\t\0 \u2028 \ufeff 😀'], ['']] },
  );
});

test('a lone surrogate and broken UTF-8 are refused, not mended', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  const send = async (body: string | Uint8Array<ArrayBuffer>) => {
    const headers = { authorization: `Bearer ${alice}` };
    const response = await fetch(`${server.url}/api/v1/creds/set_user_secrets`, { method: 'POST', headers, body });
    return (await response.json()) as { success: boolean; message: string };
  };
  assert.match((await send('{"key":"A","value":"\\ud800"}')).message, /surrogate/);
  const broken = Buffer.concat([Buffer.from('{"key":"A","value":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
  assert.match((await send(new Uint8Array(broken))).message, /UTF-8/);
  assert.deepEqual(await values(server, alice), {});
});

test('secrets set at the same moment by one user are all kept', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  const keys = Array.from({ length: 40 }, (_, n) => `KEY_${n}`);
  await Promise.all(keys.map((key) => server.ask(alice, creds.setUserSecrets, { key, value: key })));
  assert.deepEqual(await values(server, alice), Object.fromEntries(keys.map((key) => [key, key])));
});

test('names, versions and restoring are told without a value', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  await server.ask(alice, creds.setUserSecrets, { key: '___file___:key.pem', value: 'b25l' });
  await server.ask(alice, creds.setUserSecrets, { key: '___file___:key.pem', value: 'dHdvdHdv' });
  const { data: listed } = await server.ask(alice, creds.listUserSecrets, {});
  const [secret] = listed as creds.ListedSecret[];
  assert.deepEqual([secret?.name, secret?.kind, secret?.version, secret?.size], ['key.pem', 'file', 2, 8]);
  const { data: versions } = await server.ask(alice, creds.getSecretVersions, { key: '___file___:key.pem' });
  assert.deepEqual(
    (versions as creds.ListedVersion[]).map(({ version, current }) => [version, current]),
    [
      [2, true],
      [1, false],
    ],
  );
  await server.ask(alice, creds.restoreSecret, { key: '___file___:key.pem', version: 1 });
  assert.deepEqual(await values(server, alice), { '___file___:key.pem': 'b25l' });
});

test('a version is shown letter by letter, whatever is in it and in its name', async (t) => {
  const server = await startServer(t);
  const alice = await server.userToken('alice');
  const key = 'a","value":"", "$&';
  const value = '$& $` "\\ \u0001\n\u2028 "value":"" 𝛼';
  await server.ask(alice, creds.setUserSecrets, { key, value });
  const shown = await server.ask(alice, creds.getSecretVersion, { key, version: 1 });
  assert.deepEqual(shown, { success: true, message: '', data: { key, value } });
});

test('no answer is kept by a cache, nor taken by a browser for something else than it says', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  await server.ask(token, creds.setUserSecrets, { key: 'A', value: 'x' });
  for (const path of [
    '/api/v1/creds/get_user_secrets',
    '/api/v1/creds/get_secret_versions?key=none',
    '/api/v1/no/such_call',
    '/server/panda/getJob',
    '/cache/none',
    '/trf/user/runPandaSecrets',
    '/auth/panda_auth_config.json',
  ]) {
    const { headers } = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    const said = [headers.get('cache-control'), headers.get('x-content-type-options')];
    assert.deepEqual(said, ['no-store', 'nosniff'], path);
  }
});
