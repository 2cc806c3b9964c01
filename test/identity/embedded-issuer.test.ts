import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { decodeJwt } from 'jose';
import {
  addAccount,
  disableAccount,
  findActiveAccount,
  logOutAccount,
  removeAccount,
  setAccountRole,
} from '../../src/identity/accounts.ts';
import { callerId } from '../../src/identity/caller.ts';
import { openEmbeddedIssuer } from '../../src/identity/embedded-issuer.ts';
import { createOwners } from '../../src/identity/owners.ts';
import { createSignIn } from '../../src/identity/sign-in.ts';
import { createTokenVerifier } from '../../src/identity/tokens.ts';
import { InvalidArgument, NotFound, Unauthenticated } from '../../src/protocol/errors.ts';
import { sqliteDatabase } from '../stores.ts';
import { NOW } from './signer.ts';
import { signingKeysOn } from './signing-keys.ts';

const clock = () => NOW;
const alice = { name: 'alice', subject: 'c0ffee', displayName: 'Alice A.' };
const hour = { ttlSeconds: 3600, vo: 'panda' };

async function embedded(t: TestContext) {
  const store = await sqliteDatabase(t).open();
  const signingKeys = await signingKeysOn(store, clock);
  const issuer = await openEmbeddedIssuer({ signingKeys, clock });
  return { signingKeys, issuer, verifier: createTokenVerifier({ issuers: [issuer.trusted], clock }) };
}

test("a user's token stands for the account", async (t) => {
  const { issuer, verifier } = await embedded(t);
  assert.deepEqual(await verifier.verify(await issuer.mintUserToken(alice, hour)), {
    kind: 'user',
    issuer: 'embedded',
    subject: 'c0ffee',
    displayName: 'Alice A.',
    nickname: 'alice',
    groups: ['panda'],
    expiresAt: NOW + 3_600_000,
    queues: [],
  });
});

test("a pilot's token stands for one pilot of its queue", async (t) => {
  const { issuer, verifier } = await embedded(t);
  const options = { queue: 'LAPTOP', ...hour };
  const one = await verifier.verify(await issuer.mintPilotToken(options));
  const two = await verifier.verify(await issuer.mintPilotToken(options));
  assert.deepEqual([one.kind, one.queues, one.groups], ['pilot', ['LAPTOP'], ['panda/pilot']]);
  assert.match(callerId(one), /^pilot:LAPTOP:/);
  assert.notEqual(callerId(one), callerId(two));
});

test('a pilot of another issuer is never taken for one of the embedded', () => {
  const subject = 'pilot:Q:1';
  assert.notEqual(callerId({ issuer: 'embedded', subject }), callerId({ issuer: 'https://x.example', subject }));
});

test('what checks tokens holds the public part of a key alone', async (t) => {
  const { issuer, signingKeys } = await embedded(t);
  const kid = (await signingKeys.current()).keys[0]?.kid ?? '';
  const key = (await issuer.trusted.keys({ alg: 'RS256', kid }, { payload: '', signature: '' })) as CryptoKey;
  assert.equal(key.type, 'public');
});

test('a token is good after the server was started again', async (t) => {
  const { signingKeys, issuer } = await embedded(t);
  const token = await issuer.mintUserToken(alice, hour);
  const again = await openEmbeddedIssuer({ signingKeys, clock });
  const caller = await createTokenVerifier({ issuers: [again.trusted], clock }).verify(token);
  assert.equal(caller.subject, 'c0ffee');
});

test('a token of another installation is refused', async (t) => {
  const { verifier } = await embedded(t);
  const { issuer: other } = await embedded(t);
  await assert.rejects(verifier.verify(await other.mintUserToken(alice, hour)), /is not trusted by this server$/);
});

test('a lifetime must be positive and a VO a plain name', async (t) => {
  const { issuer } = await embedded(t);
  for (const ttlSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(issuer.mintUserToken(alice, { ...hour, ttlSeconds }), InvalidArgument);
  }
  await assert.rejects(async () => issuer.mintUserToken(alice, { ...hour, vo: 'panda/pilot' }), InvalidArgument);
});

test('a token says no more than it must', async (t) => {
  const { issuer } = await embedded(t);
  const claims = decodeJwt(await issuer.mintUserToken(alice, hour));
  assert.deepEqual(Object.keys(claims).sort(), [
    'aud',
    'exp',
    'groups',
    'iat',
    'iat_ms',
    'iss',
    'jti',
    'name',
    'preferred_username',
    'sub',
  ]);
});

type Accounts = Awaited<ReturnType<typeof withAccounts>>;

/** A server whose accounts can be stopped, at a time that the test sets. */
async function withAccounts(t: TestContext) {
  const store = await sqliteDatabase(t).open();
  const server = { now: NOW };
  const now = () => server.now;
  const issuer = await openEmbeddedIssuer({
    signingKeys: await signingKeysOn(store, now),
    clock: now,
    findAccount: (subject) => findActiveAccount(store, subject),
  });
  const { verify } = createTokenVerifier({ issuers: [issuer.trusted], clock: now });
  return Object.assign(server, { store, issuer, verify, clock: now });
}

test('the token of a disabled account is refused, and a new one good when the account is again', async (t) => {
  const server = await withAccounts(t);
  const { store, issuer, verify } = server;
  const account = await addAccount(store, clock, 'alice');
  const token = await issuer.mintUserToken(account, hour);
  server.now += 1;
  await disableAccount(store, server.clock, 'alice');
  await assert.rejects(verify(token), /^Unauthenticated: the token's account was disabled or removed$/);
  await disableAccount(store, server.clock, 'alice', false);
  await assert.rejects(verify(token), /^Unauthenticated: the token is void: .* Log in again$/);
  await verify(await issuer.mintUserToken(account, hour));
});

for (const [how, act] of [
  ['a logout', (server: Accounts) => logOutAccount(server.store, server.clock, 'Alice')],
  ['a new password', (server: Accounts) => createSignIn(server).setPassword('alice', 'correct horse battery')],
] as const) {
  test(`after ${how} the tokens of before are void, also where they are remembered, within 30 seconds; later ones are good`, async (t) => {
    const server = await withAccounts(t);
    const { store, issuer, verify } = server;
    const [alice, bob] = [await addAccount(store, clock, 'alice'), await addAccount(store, clock, 'bob')];
    const before = await issuer.mintUserToken(alice, hour);
    const another = await issuer.mintUserToken(bob, hour);
    await verify(before);
    server.now += 1;
    await act(server);
    const after = await issuer.mintUserToken(alice, hour);
    await verify(after);
    server.now += 30_000;
    await assert.rejects(verify(before), /^Unauthenticated: the token is void/);
    await verify(after);
    await verify(another);
  });
}

test('the token of a removed account is refused, also by a server that remembers it, within 30 seconds', async (t) => {
  const server = await withAccounts(t);
  const token = await server.issuer.mintUserToken(await addAccount(server.store, clock, 'alice'), hour);
  await server.verify(token);
  await removeAccount(server.store, Date.now, 'alice');
  server.now += 30_000;
  await assert.rejects(server.verify(token), Unauthenticated);
});

test('a name that is given to another person is another owner', async (t) => {
  const { store, issuer, verify } = await withAccounts(t);
  const owners = createOwners({ store, clock });
  const ownerOf = async () => {
    const token = await issuer.mintUserToken(await addAccount(store, clock, 'alice'), hour);
    return owners.of(await verify(token));
  };
  const first = await ownerOf();
  await removeAccount(store, Date.now, 'alice');
  assert.notEqual(await ownerOf(), first);
});

test('an operator is who the accounts say, at any time, whatever the token and its names say', async (t) => {
  const server = await withAccounts(t);
  const { store, issuer } = server;
  const kindOf = async (token: string) => (await server.verify(token)).kind;
  const ops = await addAccount(store, clock, 'ops', 'Olga Ops', 'operator');
  const mallory = await addAccount(store, clock, 'mallory', 'ops');
  const token = await issuer.mintUserToken(ops, hour);
  assert.equal(await kindOf(token), 'operator');
  assert.equal(await kindOf(await issuer.mintUserToken(mallory, hour)), 'user', 'a display name like an operator');
  const asOps = { ...mallory, name: ops.name, displayName: ops.displayName };
  assert.equal(await kindOf(await issuer.mintUserToken(asOps, hour)), 'user', 'the names alone of an operator');

  await setAccountRole(store, Date.now, 'OPS', 'user');
  server.now += 30_000;
  assert.equal(await kindOf(token), 'user', 'a token from before');
  await setAccountRole(store, Date.now, 'ops', 'operator');
  server.now += 30_000;
  assert.equal(await kindOf(token), 'operator');
  await disableAccount(store, Date.now, 'ops');
  server.now += 30_000;
  await assert.rejects(server.verify(token), Unauthenticated);
  await assert.rejects(setAccountRole(store, Date.now, 'nobody', 'operator'), NotFound);
});

test('a pilot needs no account', async (t) => {
  const { issuer, verify } = await withAccounts(t);
  assert.equal((await verify(await issuer.mintPilotToken({ queue: 'Q', ...hour }))).kind, 'pilot');
});
