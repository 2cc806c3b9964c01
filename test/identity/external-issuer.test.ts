import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { JWK } from 'jose';
import { type ExternalIssuer, trustExternalIssuer } from '../../src/identity/external-issuer.ts';
import { createTokenVerifier } from '../../src/identity/tokens.ts';
import { Misconfigured, Unavailable } from '../../src/protocol/errors.ts';
import { createSigner, NOW } from './signer.ts';

/** A site's issuer on a free port, whose keys and state the test sets, and a server that trusts it. */
async function site(t: TestContext, configured: Partial<ExternalIssuer> = {}) {
  const state = { down: false, keys: [] as JWK[], claimedIssuer: '', jwksUri: '', asked: 0, now: NOW };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (state.down) return response.destroy();
    const document = { issuer: state.claimedIssuer, jwks_uri: state.jwksUri };
    if (request.url === '/keys') state.asked++;
    if (request.url !== '/keys' && request.url !== '/.well-known/openid-configuration') response.statusCode = 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/keys' ? { keys: state.keys } : document));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signer = await createSigner({ issuer });
  Object.assign(state, { keys: [signer.jwk], claimedIssuer: issuer, jwksUri: `${issuer}/keys` });
  const trusted = trustExternalIssuer({ issuer, audience: ['panda'], ...configured }, { clock: () => state.now });
  return Object.assign(state, {
    issuer,
    signer,
    trusted,
    ...createTokenVerifier({ issuers: [trusted], clock: () => NOW }),
  });
}

test("an external issuer's token is checked with the keys that its discovery document names", async (t) => {
  const { verify, signer, issuer } = await site(t);
  const caller = await verify(await signer.sign());
  assert.deepEqual([caller.issuer, caller.subject, caller.kind], [issuer, 'alice', 'user']);
});

test('keys at a configured address need no discovery', async (t) => {
  const { issuer, signer } = await site(t);
  const trusted = trustExternalIssuer(
    { issuer: 'https://site.example', audience: ['panda'], jwksUri: `${issuer}/keys`, id: 'site' },
    { clock: () => NOW },
  );
  const { verify } = createTokenVerifier({ issuers: [trusted], clock: () => NOW });
  assert.equal((await verify(await signer.sign({ iss: 'https://site.example' }))).issuer, 'site');
});

test('tokens that arrive together ask for the keys once', async (t) => {
  const remote = await site(t);
  const tokens = await Promise.all(Array.from({ length: 10 }, (_, n) => remote.signer.sign({ sub: `user${n}` })));
  await Promise.all(tokens.map((token) => remote.verify(token)));
  assert.equal(remote.asked, 1);
});

test('an issuer that is down does not lock out the others', async (t) => {
  const [dead, alive] = await Promise.all([site(t), site(t)]);
  dead.down = true;
  const { verify } = createTokenVerifier({ issuers: [dead.trusted, alive.trusted], clock: () => NOW });
  await assert.rejects(verify(await dead.signer.sign()), (error: Error) => {
    assert.ok(error instanceof Unavailable);
    assert.match(error.message, /^the token's issuer http.* does not answer.*try again later$/);
    return true;
  });
  assert.equal((await verify(await alive.signer.sign())).subject, 'alice');
});

test('an issuer that is back is asked again after half a minute', async (t) => {
  const remote = await site(t);
  remote.down = true;
  await assert.rejects(remote.verify(await remote.signer.sign()), Unavailable);
  remote.down = false;
  await assert.rejects(remote.verify(await remote.signer.sign()), Unavailable);
  remote.now += 30_000;
  await remote.verify(await remote.signer.sign());
});

test('the last keys stay in use for a day while the issuer is down', async (t) => {
  const remote = await site(t);
  await remote.verify(await remote.signer.sign({ sub: 'first' }));
  remote.down = true;
  remote.now += 3600_000;
  await remote.verify(await remote.signer.sign({ sub: 'second' }));
  remote.now += 24 * 3600_000;
  await assert.rejects(remote.verify(await remote.signer.sign({ sub: 'third' })), Unavailable);
});

test('a key that the issuer changed to is fetched, and one that it withdrew is refused', async (t) => {
  const remote = await site(t);
  await remote.verify(await remote.signer.sign());
  const next = await createSigner({ issuer: remote.issuer, kid: 'two' });
  remote.keys = [next.jwk];
  remote.now += 30_000;
  await remote.verify(await next.sign());
  await assert.rejects(remote.verify(await remote.signer.sign({ sub: 'late' })), /a key that .* does not have:/);
});

test('a key that the issuer withdrew is refused when the clock is set back too, and the last keys stay in use while it is down', async (t) => {
  const remote = await site(t);
  await remote.verify(await remote.signer.sign());
  remote.down = true;
  remote.now -= 3600_000;
  await remote.verify(await remote.signer.sign({ sub: 'down' }));
  assert.equal(remote.asked, 1);
  Object.assign(remote, { down: false, keys: [(await createSigner({ issuer: remote.issuer, kid: 'two' })).jwk] });
  remote.now += 30_000;
  await assert.rejects(remote.verify(await remote.signer.sign({ sub: 'late' })), /a key that .* does not have:/);
});

test('tokens that name unknown keys do not make the server hammer the issuer', async (t) => {
  const remote = await site(t);
  await remote.verify(await remote.signer.sign());
  for (let n = 0; n < 5; n++) {
    await assert.rejects(remote.verify(await remote.signer.sign({}, { kid: `unknown${n}` })), /does not have:/);
  }
  assert.equal(remote.asked, 1);
});

test('a discovery document of another issuer, or that sends elsewhere in the clear, is not followed', async (t) => {
  for (const wrong of [{ claimedIssuer: 'https://other.example' }, { jwksUri: 'http://keys.example/keys' }]) {
    const remote = await site(t);
    Object.assign(remote, wrong);
    await assert.rejects(remote.verify(await remote.signer.sign()), Unavailable);
  }
});

test("pilots of an external issuer serve only the queues that their groups' were given", async (t) => {
  const { verify, signer } = await site(t, { pilots: { 'panda/pilot': ['CERN', 'BNL'], 'panda/production': ['BNL'] } });
  const read = async (groups: string[]) => {
    const { kind, queues } = await verify(await signer.sign({ groups, queues: ['STOLEN'] }));
    return { kind, queues };
  };
  assert.deepEqual(await read(['panda']), { kind: 'user', queues: [] });
  assert.deepEqual(await read(['constructor']), { kind: 'user', queues: [] });
  assert.deepEqual(await read(['/panda/production']), { kind: 'pilot', queues: ['BNL'] });
  assert.deepEqual(await read(['panda/production', 'panda/pilot']), { kind: 'pilot', queues: ['BNL', 'CERN'] });
});

test('operators of an external issuer are members of the groups that were named, and nobody where none were', async (t) => {
  const claims = { name: 'operator', preferred_username: 'operator', kind: 'operator', role: 'operator' };
  const kindAt = async (configured: Partial<ExternalIssuer>, groups: unknown) => {
    const { verify, signer } = await site(t, configured);
    return (await verify(await signer.sign({ ...claims, groups }))).kind;
  };
  const named = { operators: ['panda/admin'], pilots: { 'panda/pilot': ['Q'] } };
  assert.equal(await kindAt(named, ['panda', '/panda/admin']), 'operator');
  assert.equal(await kindAt(named, ['panda/admin', 'panda/pilot']), 'pilot', 'who is both is a pilot');
  for (const groups of [['panda'], ['panda/admins'], ['admin'], ['PANDA/ADMIN'], [], undefined, [['panda/admin']]]) {
    assert.equal(await kindAt(named, groups), 'user', JSON.stringify(groups));
  }
  for (const groups of [['panda/admin'], ['operator'], ['panda/operator'], ['operators'], 'operator']) {
    assert.equal(await kindAt({}, groups), 'user', 'an issuer without operators');
  }
});

test('an issuer in the clear, or without audience, is refused at the start', () => {
  const trust = (issuer: ExternalIssuer) => () => trustExternalIssuer(issuer, { clock: () => NOW });
  assert.throws(trust({ issuer: 'http://issuer.example', audience: ['panda'] }), Misconfigured);
  assert.throws(trust({ issuer: 'nonsense', audience: ['panda'] }), Misconfigured);
  assert.throws(trust({ issuer: 'https://issuer.example', audience: [] }), Misconfigured);
});
