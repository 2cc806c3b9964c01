import assert from 'node:assert/strict';
import { errors } from 'oidc-provider';
import { addAccount, disableAccount, removeAccount } from '../../src/identity/accounts.ts';
import { createAdapters } from '../../src/identity/provider/adapter.ts';
import { createSignIn } from '../../src/identity/sign-in.ts';
import { NotFound, TooManyTries, Unauthenticated } from '../../src/protocol/errors.ts';
import { MAX_SIGN_IN_FAILURES, SIGN_IN_FAILURES_SECONDS } from '../../src/protocol/limits.ts';
import { countSignInTry } from '../../src/store/sign-in-failures.ts';
import { eachStore, TEST_KEY } from '../stores.ts';
import { NOW } from './signer.ts';

const clock = () => NOW;

eachStore('a password is set, signs in, and is replaced', async (_t, database) => {
  const store = await database.open();
  const account = await addAccount(store, clock, 'alice');
  const signIn = createSignIn({ store, clock });
  await signIn.setPassword('Alice', 'correct horse battery');
  assert.deepEqual(await signIn.signIn(' ALICE ', 'correct horse battery'), {
    ...account,
    claimed: true,
    tokensFrom: NOW,
  });
  await signIn.setPassword('alice', 'another long password');
  await assert.rejects(signIn.signIn('alice', 'correct horse battery'), Unauthenticated);
  await disableAccount(store, Date.now, 'alice');
  await assert.rejects(signIn.signIn('alice', 'another long password'), Unauthenticated);
  await assert.rejects(signIn.setPassword('bob', 'correct horse battery'), NotFound);
});

eachStore('tries at the same moment, also on two servers, are all counted', async (_t, database) => {
  const stores = [await database.open(), await database.open()];
  const times = { now: NOW, expiresAt: NOW + 1000 };
  const counted = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (stores[index % 2] ?? assert.fail()).write((tx) => countSignInTry(tx, 'alice', times)),
    ),
  );
  const failures = counted.map((row) => row.failures).sort((a, b) => a - b);
  assert.deepEqual(
    failures,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

eachStore(
  'too many tries end with their time, and are answered without a look at the password',
  async (_t, database) => {
    const store = await database.open();
    const signIn = createSignIn({ store, clock });
    const times = { now: NOW, expiresAt: NOW + SIGN_IN_FAILURES_SECONDS * 1000 };
    for (let tries = 0; tries < MAX_SIGN_IN_FAILURES; tries++) {
      await store.write((tx) => countSignInTry(tx, 'alice', times));
    }
    await assert.rejects(signIn.signIn('alice', 'x'), (error) => {
      assert.ok(error instanceof TooManyTries);
      assert.equal(error.retryAfterSeconds, SIGN_IN_FAILURES_SECONDS);
      return true;
    });
    const later = createSignIn({ store, clock: () => times.expiresAt });
    await assert.rejects(later.signIn('alice', 'x'), Unauthenticated);
  },
);

eachStore('a link is used once, also by two at the same moment', async (_t, database) => {
  const [store, replica] = [await database.open(), await database.open()];
  await addAccount(store, clock, 'alice');
  const [one, other] = [createSignIn({ store, clock }), createSignIn({ store: replica, clock })];
  const token = await one.createPasswordLink('alice');
  const results = await Promise.allSettled([
    one.usePasswordLink(token, 'correct horse battery'),
    other.usePasswordLink(token, 'another long password'),
  ]);
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});

eachStore('the links of an account go with it, and when a password was chosen', async (_t, database) => {
  const store = await database.open();
  await addAccount(store, clock, 'alice');
  const signIn = createSignIn({ store, clock });
  const first = await signIn.createPasswordLink('alice');
  const second = await signIn.createPasswordLink('alice');
  await signIn.usePasswordLink(first, 'correct horse battery');
  await assert.rejects(signIn.accountOfPasswordLink(second), NotFound);
  const third = await signIn.createPasswordLink('alice');
  await removeAccount(store, Date.now, 'alice');
  await assert.rejects(signIn.accountOfPasswordLink(third), NotFound);
});

eachStore(
  'what the provider keeps is found again, used once on all servers, and ends with its grant',
  async (_t, database) => {
    const [store, replica] = [await database.open(), await database.open()];
    const here = createAdapters({ store, records: TEST_KEY, clock })('RefreshToken');
    const there = createAdapters({ store: replica, records: TEST_KEY, clock })('RefreshToken');
    await here.upsert('the-token', { jti: 'the-token', accountId: 'alice', grantId: 'grant', iat: 1 }, 60);
    const found = { jti: 'the-token', accountId: 'alice', grantId: 'grant', iat: 1 };
    assert.deepEqual(await there.find('the-token'), found);
    const uses = await Promise.allSettled([here.consume('the-token'), there.consume('the-token')]);
    const refused = uses.filter((use) => use.status === 'rejected');
    assert.equal(refused.length, 1);
    assert.ok(refused[0]?.reason instanceof errors.InvalidGrant);
    assert.deepEqual(await here.find('the-token'), { ...found, consumed: Math.floor(NOW / 1000) });
    await here.upsert('another', { jti: 'another', grantId: 'other' }, 60);
    await there.revokeByGrantId('grant');
    assert.equal(await here.find('the-token'), undefined);
    assert.ok(await here.find('another'));
  },
);
