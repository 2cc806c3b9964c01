import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decodeJwt } from 'jose';
import {
  addAccount,
  disableAccount,
  removeAccount,
  roleOfAccount,
  setAccountRole,
} from '../../src/identity/accounts.ts';
import { callerId } from '../../src/identity/caller.ts';
import { openEmbeddedIssuer } from '../../src/identity/embedded-issuer.ts';
import { createOwners } from '../../src/identity/owners.ts';
import { createTokenVerifier } from '../../src/identity/tokens.ts';
import { InvalidArgument, Misconfigured, NotFound, Unauthenticated, UnknownFormat } from '../../src/protocol/errors.ts';
import { sqliteDatabase } from '../stores.ts';
import { NOW } from './signer.ts';

const clock = () => NOW;
const alice = { name: 'alice', subject: 'c0ffee', displayName: 'Alice A.' };
const hour = { ttlSeconds: 3600, vo: 'panda' };

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function embedded(t: TestContext) {
  const keyFile = join(folderFor(t), 'signing-key.json');
  const issuer = await openEmbeddedIssuer({ keyFile, clock });
  return { keyFile, issuer, verifier: createTokenVerifier({ issuers: [issuer.trusted], clock }) };
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

test('the key file can be read by its owner alone and holds nothing half-made', async (t) => {
  const { keyFile } = await embedded(t);
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(keyFile, '..')), ['signing-key.json']);
});

test('what checks tokens holds the public part of a key alone', async (t) => {
  const { issuer, keyFile } = await embedded(t);
  const [{ kid }] = JSON.parse(readFileSync(keyFile, 'utf8')).keys;
  const key = (await issuer.trusted.keys({ alg: 'RS256', kid }, { payload: '', signature: '' })) as CryptoKey;
  assert.equal(key.type, 'public');
});

test('a token is good after the server was started again', async (t) => {
  const { keyFile, issuer } = await embedded(t);
  const token = await issuer.mintUserToken(alice, hour);
  const again = await openEmbeddedIssuer({ keyFile, clock });
  const caller = await createTokenVerifier({ issuers: [again.trusted], clock }).verify(token);
  assert.equal(caller.subject, 'c0ffee');
});

test('a token of another installation is refused', async (t) => {
  const { verifier } = await embedded(t);
  const { issuer: other } = await embedded(t);
  await assert.rejects(verifier.verify(await other.mintUserToken(alice, hour)), /is not trusted by this server$/);
});

test('servers that start together have one key', async (t) => {
  const keyFile = join(folderFor(t), 'signing-key.json');
  const issuers = await Promise.all(Array.from({ length: 4 }, () => openEmbeddedIssuer({ keyFile, clock })));
  const tokens = await Promise.all(issuers.map((issuer) => issuer.mintUserToken(alice, hour)));
  for (const { trusted } of issuers) {
    const verifier = createTokenVerifier({ issuers: [trusted], clock });
    await Promise.all(tokens.map((token) => verifier.verify(token)));
  }
});

test('a key file that others can read is refused', async (t) => {
  const { keyFile } = await embedded(t);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(keyFile, mode);
    await assert.rejects(openEmbeddedIssuer({ keyFile, clock }), (error: Error) => {
      assert.ok(error instanceof Misconfigured);
      assert.match(error.message, new RegExp(`mode 0${mode.toString(8)}.*chmod 600`));
      return true;
    });
  }
});

test('a damaged key file is refused without a word of what is in it', async (t) => {
  const { keyFile } = await embedded(t);
  const good = JSON.parse(readFileSync(keyFile, 'utf8'));
  const [key] = good.keys;
  const damaged = [
    `{"keys": "${key.d}`,
    JSON.stringify({ ...good, keys: [] }),
    JSON.stringify({ ...good, keys: [{ ...key, d: undefined }] }),
    JSON.stringify({ ...good, keys: [{ ...key, d: 'AAAA', p: '!' }] }),
  ];
  for (const text of damaged) {
    writeFileSync(keyFile, text);
    await assert.rejects(openEmbeddedIssuer({ keyFile, clock }), (error: Error) => {
      assert.ok(error instanceof Misconfigured, String(error));
      assert.ok(!error.message.includes(key.d.slice(0, 8)));
      return true;
    });
  }
});

test('a key file of a later release is refused', async (t) => {
  const { keyFile } = await embedded(t);
  writeFileSync(keyFile, JSON.stringify({ format: 2 }));
  await assert.rejects(openEmbeddedIssuer({ keyFile, clock }), UnknownFormat);
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
    'iss',
    'jti',
    'name',
    'preferred_username',
    'sub',
  ]);
});

/** A server whose accounts can be stopped, at a time that the test sets. */
async function withAccounts(t: TestContext) {
  const { open, folder } = sqliteDatabase(t);
  const store = await open();
  const server = { now: NOW };
  const issuer = await openEmbeddedIssuer({
    keyFile: join(folder, 'signing-key.json'),
    clock: () => server.now,
    roleOfAccount: (subject) => roleOfAccount(store, subject),
  });
  const { verify } = createTokenVerifier({ issuers: [issuer.trusted], clock: () => server.now });
  return Object.assign(server, { store, issuer, verify });
}

test('the token of a disabled account is refused, and good again when the account is', async (t) => {
  const { store, issuer, verify } = await withAccounts(t);
  const token = await issuer.mintUserToken(await addAccount(store, clock, 'alice'), hour);
  await disableAccount(store, Date.now, 'alice');
  await assert.rejects(verify(token), /^Unauthenticated: the token's account was disabled or removed$/);
  await disableAccount(store, Date.now, 'alice', false);
  await verify(token);
});

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
