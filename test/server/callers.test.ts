import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeJwt, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import * as creds from '../../src/protocol/calls/creds.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { startServer, type TestServer } from './start.ts';

/** Calls with whatever headers, as an attacker would. */
async function callWith(server: TestServer, headers: Record<string, string>): Promise<Envelope> {
  const response = await fetch(`${server.url}/api/v1/creds/get_user_secrets`, { headers });
  assert.equal(response.status, 200);
  return (await response.json()) as Envelope;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** The server's own signing keys, as an attacker who read its memory would use them. */
async function signingKeys({ installation }: TestServer): Promise<(JWK & { kid: string })[]> {
  return (await installation.issuer.signingKeys.current()).keys;
}

test('a request is refused without a token, or with another kind of login', async (t) => {
  const server = await startServer(t);
  assert.match((await callWith(server, {})).message, /no token.*Authorization: Bearer/);
  assert.match((await callWith(server, { authorization: 'Basic YTpi' })).message, /must read "Bearer TOKEN"/);
  assert.match((await callWith(server, { authorization: 'Bearer' })).message, /Bearer TOKEN/);
  assert.match((await callWith(server, bearer('not-a-token'))).message, /malformed/);
});

test('who is refused for want of a good token is told that one would help, and who is refused otherwise is not', async (t) => {
  const server = await startServer(t);
  const asked = async (headers: Record<string, string>) =>
    (await fetch(`${server.url}/api/v1/creds/get_user_secrets`, { headers })).headers.get('www-authenticate');
  assert.equal(await asked({}), 'Bearer');
  assert.equal(await asked(bearer('not-a-token')), 'Bearer');
  assert.equal(await asked(bearer(await server.pilotToken('default'))), null);
  assert.equal(await asked(bearer(await server.userToken('alice'))), null);
});

test('a token that has expired is refused by name, also when it was taken before', async (t) => {
  let now = Date.now();
  const server = await startServer(t, { clock: () => now });
  const token = await server.userToken('alice', { ttlSeconds: 60 });
  assert.equal((await callWith(server, bearer(token))).success, true);
  now += 3600_000;
  assert.match((await callWith(server, bearer(token))).message, /expired/);
});

test('a token of a foreign issuer, for another audience, unsigned or tampered with is refused by name', async (t) => {
  const server = await startServer(t);
  const [key] = await signingKeys(server);
  assert.ok(key);
  const own = await importJWK(key, 'RS256');
  const { privateKey: foreign, publicKey } = await generateKeyPair('RS256');
  const claims = decodeJwt(await server.userToken('alice'));
  const sign = (payload: object, signer = own, header: object = {}) =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header }).sign(signer);

  assert.equal((await callWith(server, bearer(await sign(claims)))).success, true, 'the forged one would be good');
  assert.match(
    (await callWith(server, bearer(await sign({ ...claims, iss: 'https://evil' })))).message,
    /issuer.*evil.*not trusted/,
  );
  assert.match((await callWith(server, bearer(await sign({ ...claims, aud: 'other' })))).message, /audience other/);
  assert.match((await callWith(server, bearer(new UnsecuredJWT({ ...claims }).encode()))).message, /not signed.*none/);
  assert.match((await callWith(server, bearer(await sign(claims, foreign)))).message, /signature/);
  const jwk = await exportJWK(publicKey);
  assert.match((await callWith(server, bearer(await sign(claims, foreign, { jwk })))).message, /signature/);
  const [head, , signature] = (await server.userToken('alice')).split('.');
  const other = Buffer.from(JSON.stringify({ ...claims, sub: 'another' })).toString('base64url');
  assert.match((await callWith(server, bearer(`${head}.${other}.${signature}`))).message, /signature|changed/);
});

test("pilots' calls are for pilots, and users' calls for users", async (t) => {
  const server = await startServer(t);
  const [alice, pilot] = [await server.userToken('alice'), await server.pilotToken()];
  const asPilot = await server.ask(pilot, creds.getUserSecrets, {});
  assert.equal(asPilot.success, false);
  assert.match(asPilot.message, /for users/);
  const response = await fetch(`${server.url}/api/v1/pilot/acquire_jobs`, {
    method: 'POST',
    headers: bearer(alice),
    body: '{"site_name":"default"}',
  });
  const asUser = (await response.json()) as Envelope;
  assert.equal(asUser.success, false);
  assert.match(asUser.message, /production or pilot role required/);
});

test('a request that was forwarded over plain http is refused as PanDA does, whatever its headers say', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  for (const header of ['x-forwarded-for', 'x-forwarded-proto', 'forwarded']) {
    const answer = await callWith(server, { ...bearer(token), [header]: 'https' });
    assert.deepEqual(answer, { success: false, message: 'SSL secure connection is required', data: null });
  }
});

test('a trusted proxy is believed when it says https, and its plain http is refused', async (t) => {
  const server = await startServer(t, { settings: { trustedProxies: ['127.0.0.1'] } });
  const token = await server.userToken('alice');
  const forwarded = (scheme: string) => ({
    ...bearer(token),
    'x-forwarded-for': '192.0.2.7',
    'x-forwarded-proto': scheme,
  });
  assert.equal((await callWith(server, forwarded('https'))).success, true);
  assert.match((await callWith(server, forwarded('http'))).message, /SSL secure connection is required/);
  assert.equal((await callWith(server, bearer(token))).success, true, 'a local program needs no proxy');
});

test('whether the server is alive is told to anyone', async (t) => {
  const server = await startServer(t);
  const response = await fetch(`${server.url}/api/v1/system/is_alive`);
  assert.deepEqual(await response.json(), { success: true, message: '', data: null });
});
