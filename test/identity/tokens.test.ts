import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLocalJWKSet, exportJWK, exportSPKI, SignJWT } from 'jose';
import type { Caller } from '../../src/identity/caller.ts';
import { createTokenVerifier, type TrustedIssuer } from '../../src/identity/tokens.ts';
import { Misconfigured, Unauthenticated } from '../../src/protocol/errors.ts';
import { ACCOUNT_RECHECK_SECONDS, ISSUER_KEYS_REFRESH_SECONDS } from '../../src/protocol/limits.ts';
import { createSigner, NOW, part, SECONDS } from './signer.ts';

const clock = () => NOW;
const signer = await createSigner();
const { verify } = createTokenVerifier({ issuers: [signer.trusted], clock });

async function refused(token: string | undefined, message: string | RegExp) {
  await assert.rejects(verify(token), (error) => {
    assert.ok(error instanceof Unauthenticated, String(error));
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}

/** The good token's parts, to make bad ones from. */
async function parts() {
  const [header = '', payload = '', signature = ''] = (await signer.sign()).split('.');
  return { header, payload, signature };
}

test('a good token tells who is calling', async () => {
  const token = await signer.sign({
    name: 'Alice A.',
    preferred_username: 'alice1',
    groups: ['panda', 'panda/production'],
  });
  assert.deepEqual(await verify(token), {
    kind: 'user',
    issuer: 'https://issuer.example',
    subject: 'alice',
    displayName: 'Alice A.',
    nickname: 'alice1',
    groups: ['panda', 'panda/production'],
    expiresAt: NOW + 600_000,
    queues: [],
  });
});

test('no token is refused', async () => {
  await refused(undefined, 'no token: send Authorization: Bearer');
  await refused('', 'no token: send Authorization: Bearer');
});

test('what is not a JWT is refused as malformed', async () => {
  for (const token of ['garbage', 'a.b', '..', 'Bearer x.y.z', `${part({ alg: 'RS256' })}.${part([])}.c2ln`]) {
    await refused(token, /^the token is malformed/);
  }
});

test('a tampered payload is refused', async () => {
  const { header, payload, signature } = await parts();
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  await refused(
    `${header}.${part({ ...claims, sub: 'bob' })}.${signature}`,
    "the token's signature is wrong: https://issuer.example did not make it, or it was changed",
  );
});

test('a token without its signature is refused', async () => {
  const { header, payload } = await parts();
  await refused(`${header}.${payload}.`, /signature|malformed/);
});

test('alg none is refused, however it is written', async () => {
  const { payload, signature } = await parts();
  for (const alg of ['none', 'None', 'nOnE']) {
    await refused(`${part({ alg })}.${payload}.`, 'the token is not signed (alg "none")');
    await refused(`${part({ alg })}.${payload}.${signature}`, 'the token is not signed (alg "none")');
  }
});

test('HS256 with the public key as its secret is refused', async () => {
  const secrets = [await exportSPKI(signer.publicKey), JSON.stringify(signer.jwk)];
  for (const secret of secrets) {
    const token = await new SignJWT({ iss: signer.trusted.issuer, aud: 'panda', sub: 'alice', exp: SECONDS + 600 })
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(Buffer.from(secret));
    await refused(token, 'the token is signed with HS256; taken are RS256, ES256, PS256, EdDSA');
  }
});

test('a token that brings its own key is refused', async () => {
  const thief = await createSigner({ kid: 'mine' });
  await refused(await thief.sign({}, { jwk: await exportJWK(thief.publicKey) }), /with a key that .* does not have:/);
  await refused(await thief.sign({}, { jwk: await exportJWK(thief.publicKey), kid: 'one' }), /signature is wrong/);
  await refused(await thief.sign({}, { jku: 'https://thief.example/keys' }), /does not have:/);
});

test('a token of a foreign issuer is refused and the issuer named', async () => {
  const foreign = await createSigner({ issuer: 'https://x.example' });
  await refused(await foreign.sign(), "the token's issuer https://x.example is not trusted by this server");
});

test("an issuer's name must match to the character", async () => {
  await refused(await signer.sign({ iss: 'https://issuer.example/' }), /is not trusted by this server$/);
});

test('a token without issuer is refused', async () => {
  await refused(await signer.sign({ iss: undefined }), 'the token does not say who issued it: no "iss"');
});

test('an issuer cannot speak for another trusted one', async () => {
  const other = await createSigner({ issuer: 'https://other.example' });
  const both = createTokenVerifier({ issuers: [signer.trusted, other.trusted], clock });
  await assert.rejects(both.verify(await other.sign({ iss: signer.trusted.issuer })), /signature is wrong/);
});

test('a token for another server is refused and the audiences named', async () => {
  await refused(
    await signer.sign({ aud: ['elsewhere'] }),
    'the token is for another server (audience elsewhere); here it must be panda',
  );
});

test('the audience may be one of several, or the client_id of a token without aud', async () => {
  assert.equal((await verify(await signer.sign({ aud: ['elsewhere', 'panda'] }))).subject, 'alice');
  assert.equal((await verify(await signer.sign({ aud: undefined, client_id: 'panda' }))).subject, 'alice');
});

test('the client_id does not make up for another audience', async () => {
  await refused(await signer.sign({ aud: 'elsewhere', client_id: 'panda' }), /^the token is for another server/);
});

test('a token for nobody is refused', async () => {
  await refused(await signer.sign({ aud: undefined }), 'the token does not say which server it is for: no "aud"');
});

test('an expired token is refused and its end named', async () => {
  await refused(
    await signer.sign({ exp: SECONDS - 60 }),
    'the token has expired (at 2026-03-01T11:59:00.000Z); get a new one',
  );
});

test('a token without end is refused', async () => {
  await refused(await signer.sign({ exp: undefined }), 'the token has no end: no "exp"');
});

test('an end that is not a number is refused', async () => {
  await refused(await signer.sign({ exp: '2030' }), 'the token\'s "exp" is not usable');
});

test('a token from the future is refused', async () => {
  await refused(
    await signer.sign({ nbf: SECONDS + 60 }),
    'the token is not valid yet (from 2026-03-01T12:01:00.000Z on); check the clocks of both machines',
  );
});

test('clocks may be 30 seconds apart', async () => {
  await verify(await signer.sign({ exp: SECONDS - 29 }));
  await verify(await signer.sign({ nbf: SECONDS + 30 }));
  await refused(await signer.sign({ exp: SECONDS - 30 }), /expired/);
  await refused(await signer.sign({ nbf: SECONDS + 31 }), /not valid yet/);
});

test('a token without subject, or with one that could become another in a database, is refused', async () => {
  await refused(await signer.sign({ sub: undefined }), 'the token does not say whose it is: no "sub"');
  for (const sub of ['a\u0000', 'a\ud800', 'a\n', 'x'.repeat(256)]) {
    await refused(await signer.sign({ sub }), /^the token's "sub" is not usable/);
  }
});

test('something else that the issuer signed is not a token', async () => {
  await refused(
    await signer.sign({}, { typ: 'logout+jwt' }),
    'a token of the type logout+jwt gives no access to a server',
  );
  await verify(await signer.sign({}, { typ: 'application/at+jwt' }));
});

test('a token with a critical extension that is not known is refused', async () => {
  const { payload, signature } = await parts();
  await refused(`${part({ alg: 'RS256', kid: 'one', crit: ['x'], x: 1 })}.${payload}.${signature}`, /malformed/);
});

test('what a token brings into a message cannot steer a terminal', async () => {
  const foreign = await createSigner({ issuer: '\u001b[2Jhttps://x.example' });
  await assert.rejects(verify(await foreign.sign()), (error: Error) => !error.message.includes('\u001b'));
});

for (const alg of ['RS256', 'ES256', 'PS256', 'EdDSA']) {
  test(`${alg} is taken`, async () => {
    const other = await createSigner({ alg });
    const verifier = createTokenVerifier({ issuers: [other.trusted], clock });
    assert.equal((await verifier.verify(await other.sign())).subject, 'alice');
  });
}

test('a token that names no key is checked with each of the issuer', async () => {
  const [one, two, stranger] = await Promise.all([createSigner(), createSigner(), createSigner()]);
  const keys = createLocalJWKSet({
    keys: [
      { ...one.jwk, kid: 'a' },
      { ...two.jwk, kid: 'b' },
    ],
  });
  const verifier = createTokenVerifier({ issuers: [{ ...one.trusted, keys }], clock });
  assert.equal((await verifier.verify(await two.sign({}, { kid: undefined }))).subject, 'alice');
  await assert.rejects(verifier.verify(await stranger.sign({}, { kid: undefined })), /signature is wrong/);
});

test('a key that its issuer withdrew ends tokens that were found good before, within the time in which keys are fetched', async () => {
  const issuer = await createSigner();
  let now = NOW;
  let keys = createLocalJWKSet({ keys: [issuer.jwk] });
  const trusted = { ...issuer.trusted, keys: ((header, token) => keys(header, token)) as TrustedIssuer['keys'] };
  const verifier = createTokenVerifier({ issuers: [trusted], clock: () => now });
  const token = await issuer.sign({ exp: NOW / 1000 + 24 * 3600 });
  assert.equal((await verifier.verify(token)).subject, 'alice');
  keys = createLocalJWKSet({ keys: [(await createSigner()).jwk] });
  now += ISSUER_KEYS_REFRESH_SECONDS * 1000;
  await assert.rejects(verifier.verify(token), /signature is wrong/);
});

test('groups are VO or VO/ROLE, from either claim or the one that was configured', async () => {
  const custom = { ...signer.trusted, issuer: 'https://custom.example', id: 'custom' };
  const verifier = createTokenVerifier({
    issuers: [signer.trusted, { ...custom, nameClaim: 'fullname', groupsClaim: 'roles' }],
    clock,
  });
  const read = async (claims: Record<string, unknown>) => (await verifier.verify(await signer.sign(claims))).groups;
  assert.deepEqual(await read({ groups: ['/panda/pilot', 'panda', 7, ''] }), ['panda/pilot', 'panda']);
  assert.deepEqual(await read({ 'wlcg.groups': ['/panda', '/panda/production'] }), ['panda', 'panda/production']);
  assert.deepEqual(await read({}), []);
  const claims = { iss: custom.issuer, roles: 'panda', groups: ['other'], name: 'A', fullname: 'Alice' };
  const caller = await verifier.verify(await signer.sign(claims));
  assert.deepEqual([caller.groups, caller.displayName, caller.issuer], [['panda'], 'Alice', 'custom']);
});

test('an issuer that was not set up for pilots has only users', async () => {
  const caller = await verify(await signer.sign({ groups: ['panda/pilot'], queues: ['Q'] }));
  assert.deepEqual([caller.kind, caller.queues], ['user', []]);
});

test('two issuers that would be taken for one are refused at the start', async () => {
  const other = await createSigner({ issuer: 'https://other.example' });
  for (const issuers of [
    [signer.trusted, signer.trusted],
    [signer.trusted, { ...other.trusted, id: signer.trusted.id }],
  ]) {
    assert.throws(() => createTokenVerifier({ issuers, clock }), Misconfigured);
  }
});

/** A verifier that counts how often a signature was checked, at a time that the test sets. */
function counting(maxRemembered = 100) {
  const counted = { now: NOW, checks: 0 };
  const keys: TrustedIssuer['keys'] = (header, token) => {
    counted.checks++;
    return signer.trusted.keys(header, token);
  };
  const issuers = [{ ...signer.trusted, keys }];
  return Object.assign(counted, createTokenVerifier({ issuers, clock: () => counted.now, maxRemembered }));
}

test('a checked token is remembered', async () => {
  const counted = counting();
  const token = await signer.sign();
  const first = await counted.verify(token);
  assert.equal(await counted.verify(`${token} `.trim()), first);
  assert.equal(counted.checks, 1);
});

test('a remembered token still ends', async () => {
  const counted = counting();
  const token = await signer.sign({ exp: SECONDS + 60 });
  await counted.verify(token);
  counted.now = NOW + 89_999;
  await counted.verify(token);
  assert.equal(counted.checks, 1);
  counted.now = NOW + 90_000;
  await assert.rejects(counted.verify(token), /expired/);
});

test('a remembered token is refused again when the clock is set back before its start', async () => {
  const counted = counting();
  const token = await signer.sign({ nbf: SECONDS });
  await counted.verify(token);
  counted.now = NOW - 31_000;
  await assert.rejects(counted.verify(token), /not valid yet/);
});

test('a refusal is not remembered', async () => {
  const counted = counting();
  const token = await signer.sign({ nbf: SECONDS + 60 });
  await assert.rejects(counted.verify(token), /not valid yet/);
  counted.now = NOW + 60_000;
  await counted.verify(token);
});

test('where there is no room a token that comes once is forgotten after a few others', async () => {
  const counted = counting(2);
  const [a, b, c, ...others] = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((sub) => signer.sign({ sub })));
  for (const token of [a, b, c, b, c, a]) await counted.verify(token);
  assert.equal(counted.checks, 3);
  for (const token of others) await counted.verify(token);
  assert.equal(counted.checks, 5);
  for (const token of [a, b]) await counted.verify(token);
  assert.equal(counted.checks, 5);
  await counted.verify(c);
  assert.equal(counted.checks, 6);
});

test('a token that is looked at again has its signature checked no second time, but its key, account and time', async (t) => {
  const { mock } = t.mock.method(crypto.subtle, 'verify');
  const issuer = await createSigner();
  let [now, account, keys] = [NOW, true, issuer.trusted.keys];
  const trusted: TrustedIssuer = {
    ...issuer.trusted,
    keys: (header, token) => keys(header, token),
    asOfNow: async (caller) => (account ? caller : undefined),
  };
  const verifier = createTokenVerifier({ issuers: [trusted], clock: () => now });
  const token = await issuer.sign();
  const isLookedAtAgain = () => {
    now += ACCOUNT_RECHECK_SECONDS * 1000;
  };
  const first = await verifier.verify(token);
  isLookedAtAgain();
  assert.deepEqual(await verifier.verify(token), first);
  assert.equal(mock.callCount(), 1);
  await assert.rejects(verifier.verify(`${token.slice(0, -9)}AAAAAAAA${token.at(-1)}`), /signature is wrong/);

  isLookedAtAgain();
  account = false;
  await assert.rejects(verifier.verify(token), /account was disabled/);
  account = true;
  await verifier.verify(token);
  isLookedAtAgain();
  const before = keys;
  keys = createLocalJWKSet({ keys: [(await createSigner()).jwk] });
  await assert.rejects(verifier.verify(token), /signature is wrong/);
  keys = before;
  await verifier.verify(token);
  now = NOW + 630_000;
  await assert.rejects(verifier.verify(token), /expired/);
});

test('a token that was found good is known until it ends or is refused, though others took its place', async () => {
  let [now, account] = [NOW, true];
  const trusted = { ...signer.trusted, asOfNow: async (caller: Caller) => (account ? caller : undefined) };
  const verifier = createTokenVerifier({ issuers: [trusted], clock: () => now, maxRemembered: 1 });
  const [token, ...others] = await Promise.all(['a', 'b', 'c'].map((sub) => signer.sign({ sub, exp: SECONDS + 600 })));
  assert.ok(token);
  assert.equal(verifier.isKnown(token), false);
  for (const one of [...others, token, ...others]) await verifier.verify(one);
  now += ACCOUNT_RECHECK_SECONDS * 1000;
  assert.equal(verifier.isKnown(token), true);
  for (const other of ['', 'x', `x${token}`, token.slice(0, -1)]) assert.equal(verifier.isKnown(other), false);

  account = false;
  await assert.rejects(verifier.verify(token), /account was disabled/);
  assert.equal(verifier.isKnown(token), false);
  account = true;
  await verifier.verify(token);
  assert.equal(verifier.isKnown(token), true);
  now = NOW + 630_000;
  assert.equal(verifier.isKnown(token), false);
});

test('an account is looked at again in its time, also when the clock is set back', async () => {
  let [now, account] = [NOW, true];
  const trusted = { ...signer.trusted, asOfNow: async (caller: Caller) => (account ? caller : undefined) };
  const verifier = createTokenVerifier({ issuers: [trusted], clock: () => now });
  const token = await signer.sign();
  await verifier.verify(token);
  account = false;
  now = NOW - 3_600_000;
  await assert.rejects(verifier.verify(token), /account was disabled/);

  account = true;
  await verifier.verify(token);
  const then = now;
  account = false;
  now += ACCOUNT_RECHECK_SECONDS * 1000;
  await assert.rejects(verifier.verify(token), /account was disabled/);
  now = then;
  await assert.rejects(verifier.verify(token), /account was disabled/);
});

test('text that is no token is refused, never a failure of another kind', async () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(fc.json(), fc.json(), fc.base64String()).map(([h, p, s]) => {
      const encode = (text: string) => Buffer.from(text).toString('base64url');
      return `${encode(h)}.${encode(p)}.${s}`;
    }),
  );
  await fc.assert(
    fc.asyncProperty(texts, (text) => assert.rejects(verify(text), Unauthenticated)),
    { numRuns: 300 },
  );
});

test('a token in which one character was changed is refused, or says the same', async () => {
  const token = await signer.sign();
  const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. ='];
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...alphabet), async (at, character) => {
      const changed = token.slice(0, at) + character + token.slice(at + 1);
      const caller = await verify(changed).catch((error) => assert.ok(error instanceof Unauthenticated, error));
      if (caller) assert.equal(caller.subject, 'alice');
    }),
    { numRuns: 300 },
  );
});
