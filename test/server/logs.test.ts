import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as creds from '../../src/protocol/calls/creds.ts';
import { withoutMessage } from '../../src/server/plugins/request-log.ts';
import { startServer } from './start.ts';

const NAME = 'NAME_OF_A_SECRET';
const VALUE = 'value-of-a-secret-that-nobody-may-log';

test('no name, value, token or header of a request is ever logged', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  const headers = { authorization: `Bearer ${token}`, cookie: VALUE, 'user-agent': VALUE, origin: VALUE };
  const send = (path: string, init: RequestInit = {}) => fetch(`${server.url}${path}`, { headers, ...init });
  await server.ask(token, creds.setUserSecrets, { key: NAME, value: VALUE });
  await server.ask(token, creds.getUserSecrets, { keys: [NAME] });
  await send(`/api/v1/creds/get_user_secrets?keys=${NAME}&${VALUE}=${VALUE}`);
  await send(`/api/v1/creds/${VALUE}`);
  await send(`/cache/${VALUE}`);
  await send('/api/v1/creds/set_user_secrets', { method: 'POST', body: `{"key":"${NAME}","value":"${VALUE}` });
  await send('/api/v1/creds/set_user_secrets', { method: 'POST', body: `{"key":{"${VALUE}":1},"${NAME}":"${VALUE}"}` });
  await send('/api/v1/creds/set_user_secrets', { method: 'POST', body: `{"key":"${NAME}=","value":"${VALUE}"}` });
  await send('/api/v1/creds/get_user_secrets', { headers: { authorization: `Bearer ${token}${VALUE}` } });
  await server.stop();

  const lines = server.logs().trim().split('\n');
  assert.ok(lines.length >= 9);
  for (const line of lines) assert.ok(JSON.parse(line).outcome, line);
  const [, , signature = ''] = token.split('.');
  for (const secret of [NAME, VALUE, signature, 'Bearer', Buffer.from(VALUE).toString('base64')]) {
    assert.ok(!server.logs().includes(secret), secret);
  }
});

test("a request's line tells the call, how it ended and who called", async (t) => {
  const server = await startServer(t);
  await server.ask(await server.userToken('alice'), creds.setUserSecrets, { key: '', value: 'x' });
  await server.stop();
  const { method, path, status, outcome, caller } = JSON.parse(server.logs());
  assert.deepEqual(
    { method, path, status, outcome },
    { method: 'POST', path: '/api/v1/creds/set_user_secrets', status: 200, outcome: 'ERR_INVALID_NAME' },
  );
  assert.match(caller, /^[0-9a-f-]{36}$/);
});

test('an error is logged without its message, which may quote what it choked on', () => {
  const error = new SyntaxError(`${VALUE}\n    at the second line (of:1:1)`);
  const shown = JSON.stringify(withoutMessage(error));
  assert.match(shown, /SyntaxError.*logs\.test\.ts/);
  assert.ok(!shown.includes(VALUE));
  assert.ok(!shown.includes('the second line'));
});
