import assert from 'node:assert/strict';
import { openEmbeddedIssuer } from '../../src/identity/embedded-issuer.ts';
import { openSigningKeys, rotateSigningKey } from '../../src/identity/signing-keys.ts';
import { createTokenVerifier } from '../../src/identity/tokens.ts';
import { eachStore, TEST_KEY } from '../stores.ts';
import { NOW } from './signer.ts';
import { signingKeysOn } from './signing-keys.ts';

const alice = { name: 'alice', subject: 'c0ffee', displayName: 'Alice A.' };
const hour = { ttlSeconds: 3600, vo: 'panda' };

eachStore(
  'servers that start together have one key, and a rotation at one reaches the others',
  async (_t, database) => {
    let now = NOW;
    const clock = () => now;
    const newServer = async () => {
      const store = await database.open();
      const issuer = await openEmbeddedIssuer({ signingKeys: await signingKeysOn(store, clock), clock });
      return { store, issuer, verify: createTokenVerifier({ issuers: [issuer.trusted], clock }).verify };
    };
    const servers = [await newServer(), await newServer(), await newServer()];
    const checkAll = async () => {
      for (const { issuer } of servers) {
        const token = await issuer.mintUserToken(alice, hour);
        for (const { verify } of servers) assert.equal((await verify(token)).subject, 'c0ffee');
      }
    };
    await checkAll();
    const [first] = servers;
    assert.ok(first);
    const parts = { store: first.store, records: TEST_KEY, clock };
    const before = await first.issuer.mintUserToken(alice, hour);
    assert.equal(await rotateSigningKey(parts), 2);
    now += 1000;
    await checkAll();
    assert.equal(await rotateSigningKey(parts, { forgetOlder: true }), 1);
    now += 30_000;
    await checkAll();
    for (const { issuer } of servers) {
      const { verify } = createTokenVerifier({ issuers: [issuer.trusted], clock });
      await assert.rejects(verify(before), /does not have/);
    }
  },
);

eachStore(
  'a key that was forgotten signs for nobody after its time, also when the clock is set back',
  async (_t, database) => {
    let now = NOW;
    const clock = () => now;
    const store = await database.open();
    const running = await signingKeysOn(store, clock);
    const parts = { store, records: TEST_KEY, clock };
    const before = await running.current();
    await rotateSigningKey(parts, { forgetOlder: true });
    assert.equal(await running.current(), before);
    now = NOW - 3_600_000;
    const after = await running.current();
    assert.notEqual(after.keys[0]?.kid, before.keys[0]?.kid);
    assert.equal(after.keys.length, 1);
  },
);

eachStore('of several rotations at once none loses the key of another', async (_t, database) => {
  const store = await database.open();
  await signingKeysOn(store, Date.now);
  const parts = { store, records: TEST_KEY, clock: Date.now };
  await Promise.all([1, 2, 3].map(() => rotateSigningKey(parts)));
  const { keys } = await (await openSigningKeys(parts)).current();
  assert.equal(keys.length, 4);
});

eachStore('signing keys that were changed, or put back while a server runs, are not taken', async (_t, database) => {
  let now = NOW;
  const clock = () => now;
  const store = await database.open();
  const running = await signingKeysOn(store, clock);
  const parts = { store, records: TEST_KEY, clock };
  const [older] = await store.db.selectFrom('signing_keys').selectAll().execute();
  await rotateSigningKey(parts, { forgetOlder: true });
  now += 30_000;
  const { keys } = await running.current();
  await store.write((tx) =>
    tx
      .updateTable('signing_keys')
      .set(older ?? {})
      .execute(),
  );
  now += 30_000;
  assert.equal((await running.current()).keys, keys);
  await store.write((tx) => tx.updateTable('signing_keys').set({ revision: 9 }).execute());
  now += 30_000;
  assert.equal((await running.current()).keys, keys);
  await assert.rejects(openSigningKeys(parts), { code: 'ERR_DECRYPTION_FAILED' });
});
