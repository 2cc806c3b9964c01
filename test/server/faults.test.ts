import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellNobody } from '../../src/events/events.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { DecryptionFailed } from '../../src/protocol/errors.ts';
import { createServer, type Rooms } from '../../src/server/app.ts';
import { createLogger } from '../../src/server/log.ts';
import { LOOPBACK } from '../client/certificates.ts';

const VALUE = 'value-of-a-secret-in-a-message';
const NOBODY_WATCHES = { tell: tellNobody, watched: { notReady: async () => undefined } };

/** Asks for the secrets of a server whose vault fails like this. */
async function failingWith(error: Error): Promise<{ answer: Envelope; status: number; logs: string }> {
  let logs = '';
  const logger = createLogger('info', { write: (line) => (logs += line) });
  const rooms = {
    verifyToken: async () => ({ kind: 'user', issuer: 'embedded', subject: 'alice', queues: [] }),
    owners: { of: async () => 'owner' },
    vault: { readableText: () => Promise.reject(error) },
  } as unknown as Rooms;
  const app = await createServer(rooms, { trustedProxies: [], clock: Date.now, logger, ...NOBODY_WATCHES });
  const headers = { authorization: 'Bearer token' };
  const response = await app.inject({ url: '/api/v1/creds/get_user_secrets', headers });
  await app.close();
  return { answer: response.json(), status: response.statusCode, logs };
}

test('a fault of the server is answered with a reference to its log line, and tells nothing else', async () => {
  const { answer, status, logs } = await failingWith(new TypeError(VALUE));
  assert.equal(status, 200);
  const [, reference] = /^internal error, reference ([0-9a-f-]{36})$/.exec(answer.message) ?? [];
  assert.ok(reference);
  const line = JSON.parse(logs.split('\n').find((one) => one.includes(reference)) ?? '{}');
  assert.deepEqual([line.error, line.path], ['TypeError', '/api/v1/creds/get_user_secrets']);
  assert.match(line.stack[0], /faults\.test\.ts/);
  assert.ok(!logs.includes(VALUE));
});

test('a secret that does not open is a refusal with a reason, and an error in the log', async () => {
  const { answer, logs } = await failingWith(new DecryptionFailed('a secret was changed in the database'));
  assert.deepEqual(answer, { success: false, message: 'a secret was changed in the database', data: null });
  assert.match(logs, /"level":50.*ERR_DECRYPTION_FAILED/);
});

for (const [of, fields] of [
  ['a file system', { code: 'ENOSPC' }],
  ['SQLite', { code: 'ERR_SQLITE_ERROR', errcode: 13 }],
  ['PostgreSQL', { code: '53100' }],
] as const) {
  test(`a full disk, as ${of} says it, is said to the user and to the operator`, async () => {
    const { answer, status, logs } = await failingWith(Object.assign(new Error(VALUE), fields));
    assert.deepEqual([status, answer.success], [200, false]);
    assert.match(answer.message, /^the server's disk is full, and nothing was kept/);
    assert.match(logs, /"level":50.*"part":"disk".*the disk is full: make room/);
    assert.ok(!logs.includes(VALUE));
  });
}

test("where TLS is the server's own, browsers are told to come back with it alone", async () => {
  const logger = createLogger('error', { write: () => {} });
  const rooms = {} as unknown as Rooms;
  for (const [tls, expected] of [
    [LOOPBACK, 'max-age=31536000'],
    [undefined, undefined],
  ] as const) {
    const app = await createServer(rooms, {
      ...(tls && { tls }),
      trustedProxies: [],
      clock: Date.now,
      logger,
      ...NOBODY_WATCHES,
    });
    const { headers } = await app.inject({ url: '/api/v1/system/is_alive' });
    await app.close();
    assert.equal(headers['strict-transport-security'], expected);
  }
});
