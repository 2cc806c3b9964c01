import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { processorTime } from '../took.ts';
import { startServer } from './start.ts';

async function setUp(t: Parameters<typeof startServer>[0]) {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  return async (path: string, init: RequestInit = {}): Promise<Envelope> => {
    const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) };
    const response = await fetch(`${server.url}/api/v1/${path}`, { ...init, headers });
    assert.equal(response.status, 200);
    return (await response.json()) as Envelope;
  };
}

const post = (body: unknown): RequestInit => ({ method: 'POST', body: JSON.stringify(body) });

test('a missing, an extra and a mistyped argument are named', async (t) => {
  const call = await setUp(t);
  const cases: [path: string, init: RequestInit, message: RegExp][] = [
    ['creds/set_user_secrets', post({ key: 'A' }), /missing a required argument: 'value'/],
    ['creds/set_user_secrets', { method: 'POST' }, /missing a required argument: 'key'/],
    ['creds/set_user_secrets', post({ key: 'A', value: 'x', colour: 1 }), /unexpected argument 'colour'/],
    [
      'creds/set_user_secrets',
      post({ key: 'A', value: 7 }),
      /'value' must be a string or null, not a number.*json.dumps/,
    ],
    ['creds/set_user_secrets', post({ key: {}, value: 'x' }), /'key' must be a string or null, not an object/],
    ['creds/set_user_secrets', post({ key: null, value: 'x' }), /'value' must be null where 'key' is/],
    ['creds/set_user_secrets', post(['A', 'x']), /must be a JSON object/],
    ['creds/restore_secret', post({ key: 'A', version: 1.5 }), /'version' must be an integer/],
    ['creds/restore_secret', post({ key: 'A', version: '1' }), /'version' must be an integer, not a string/],
    ['creds/get_secret_versions', {}, /missing a required argument: 'key'/],
    ['creds/get_user_secrets?key=A', {}, /unexpected argument 'key'.*takes keys/],
    ['creds/get_secret_deliveries?limit=many', {}, /'limit' must be an integer/],
    ['creds/get_secret_deliveries?limit=0', {}, /'limit' must be >= 1/],
    ['creds/get_secret_deliveries?limit=1&limit=2', {}, /'limit' must be an integer, not a list/],
    ['job/get_status?job_ids=1&job_ids=x', {}, /'job_ids'.*integer/],
    ['task/finish', post({ task_id: 1, soft: 'yes' }), /'soft' must be true or false/],
    ['task/get_details?task_id=1&include_status=maybe', {}, /'include_status' must be true or false/],
    ['system/is_alive?now=1', {}, /unexpected argument 'now'.*takes no arguments/],
  ];
  for (const [path, init, message] of cases) {
    const answer = await call(path, init);
    assert.deepEqual([answer.success, answer.data], [false, null], path);
    assert.match(answer.message, message);
  }
});

test('the text of a query string becomes the type that the call declares', async (t) => {
  const call = await setUp(t);
  await call('creds/set_user_secrets', post({ key: 'A', value: 'x' }));
  assert.equal((await call('creds/get_user_secrets?keys=A')).data, '{"A":"x"}', 'a single value is a list of one');
  assert.equal(
    (await call('creds/get_user_secrets?keys=None')).data,
    '{"A":"x"}',
    'None is an argument that is not given',
  );
  assert.equal((await call('creds/get_user_secrets?keys=')).success, false, 'an empty name is no name');
  for (const limit of ['2', '2.0', '2.7', '+2', '2e0']) {
    assert.equal((await call(`creds/get_secret_deliveries?limit=${encodeURIComponent(limit)}`)).success, true, limit);
  }
  for (const flag of ['True', 'true', '1', 'False', '0']) {
    assert.match((await call(`task/get_details?task_id=10000000&include_status=${flag}`)).message, /no task 10000000/);
  }
  assert.deepEqual((await call('job/get_status?job_ids=1&job_ids=2')).data, [
    { status: 'unknown', command: 'tobekilled' },
    { status: 'unknown', command: 'tobekilled' },
  ]);
});

test('the wrong HTTP method is named, and an unknown call is 404', async (t) => {
  const server = await startServer(t);
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const response = await fetch(`${server.url}/api/v1/creds/set_user_secrets`, { method });
    assert.equal(response.status, 200);
    const { success, message } = (await response.json()) as Envelope;
    assert.equal(success, false);
    assert.match(message, new RegExp(`expecting POST, received ${method}`));
  }
  for (const path of [
    '/api/v1/creds/steal',
    '/api/v2/creds/get_user_secrets',
    '/none',
    '/api/v1/%zz',
    '/../etc/passwd',
  ]) {
    const response = await fetch(server.url + path);
    assert.equal(response.status, 404, path);
    assert.equal(((await response.json()) as Envelope).success, false);
  }
});

test('a body may be gzip with or without saying so, and needs no Content-Type', async (t) => {
  const call = await setUp(t);
  const body = new Uint8Array(gzipSync(JSON.stringify({ key: 'A', value: 'zipped' })));
  const ways: Record<string, string>[] = [
    { 'content-type': 'application/json' },
    { 'content-encoding': 'gzip', 'content-type': 'application/json' },
    { 'content-encoding': 'gzip' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    {},
  ];
  for (const headers of ways) {
    assert.equal((await call('creds/set_user_secrets', { method: 'POST', body, headers })).message, 'OK');
  }
  const deflated = new Uint8Array(deflateSync('{}'));
  const refused = { method: 'POST', body: deflated, headers: { 'content-encoding': 'deflate' } };
  assert.match((await call('creds/set_user_secrets', refused)).message, /gzip/);
  const damaged = { method: 'POST', body: body.slice(0, 20) };
  assert.match((await call('creds/set_user_secrets', damaged)).message, /damaged/);
});

test('a body that is too large is refused, also when it only becomes so when unpacked', async (t) => {
  const call = await setUp(t);
  const large = 'x'.repeat(7 * 1024 * 1024);
  assert.match((await call('creds/set_user_secrets', post({ key: 'A', value: large }))).message, /larger than/);
  const bomb = { method: 'POST', body: new Uint8Array(gzipSync(JSON.stringify({ key: 'A', value: large }))) };
  assert.match((await call('creds/set_user_secrets', bomb)).message, /larger than/);
  assert.equal((await call('creds/set_user_secrets', post({ key: 'A', value: 'x' }))).message, 'OK');
});

test('a long run of digits that is no number is refused at once', async (t) => {
  const call = await setUp(t);
  const took = processorTime();
  const answer = await call(`task/get_status?task_id=${'1'.repeat(50_000)}x`);
  assert.match(answer.message, /'task_id' must be an integer/);
  assert.ok(took.milliseconds() < 2000, `took ${took.milliseconds()} ms`);
});
