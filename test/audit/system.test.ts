import assert from 'node:assert/strict';
import { SYSTEM, verifyAudit } from '../../src/audit/audit.ts';
import { addAccount, disableAccount, removeAccount, setAccountRole } from '../../src/identity/accounts.ts';
import { createSignIn } from '../../src/identity/sign-in.ts';
import { addQueue, setQueue } from '../../src/jobs/queues.ts';
import { TooManyTries } from '../../src/protocol/errors.ts';
import { MAX_SIGN_IN_FAILURES, SIGN_IN_FAILURES_SECONDS } from '../../src/protocol/limits.ts';
import { countSignInTry } from '../../src/store/sign-in-failures.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore } from '../stores.ts';
import { named, openVault } from '../vault/vaults.ts';

const clock = () => 1000;
const PASSWORD = 'correct horse battery';

async function entries(store: Store) {
  const rows = await store.db.selectFrom('audit').selectAll().where('owner_id', '=', SYSTEM).orderBy('seq').execute();
  return rows.map(({ actor, action, detail }) => [actor, action, JSON.parse(detail)]);
}

eachStore(
  'what operators do to accounts and queues is in the chain of the system, in its order',
  async (_t, database) => {
    const store = await database.open();
    const { subject: account } = await addAccount(store, clock, 'Alice', 'Alice Doe');
    await setAccountRole(store, clock, 'alice', 'operator');
    await createSignIn({ store, clock }).setPassword('alice', PASSWORD);
    await addQueue(store, clock, 'Q');
    await setQueue(store, clock, 'Q', { allowTlsSecrets: true }, 'operator:site#ops');
    await disableAccount(store, clock, 'alice');
    await disableAccount(store, clock, 'alice', false);
    await removeAccount(store, clock, 'alice');
    const alice = { account };
    assert.deepEqual(await entries(store), [
      ['operator', 'user.add', { ...alice, role: 'user' }],
      ['operator', 'user.role', { ...alice, role: 'operator' }],
      ['operator', 'user.password', alice],
      ['operator', 'queue.add', { queue: 'Q', allowTlsSecrets: false }],
      ['operator:site#ops', 'queue.change', { queue: 'Q', allowTlsSecrets: true }],
      ['operator', 'user.disable', alice],
      ['operator', 'user.enable', alice],
      ['operator', 'user.remove', alice],
    ]);
    assert.deepEqual(await verifyAudit(store, SYSTEM), { whole: true, entries: 8 });
  },
);

eachStore('an act that fails is not in the chain', async (_t, database) => {
  const store = await database.open();
  await addAccount(store, clock, 'alice');
  await assert.rejects(addAccount(store, clock, 'alice'), { code: 'ERR_ALREADY_EXISTS' });
  await assert.rejects(removeAccount(store, clock, 'bob'), { code: 'ERR_NOT_FOUND' });
  assert.deepEqual(await verifyAudit(store, SYSTEM), { whole: true, entries: 1 });
});

eachStore('a name that is guessed at is noted once, and a name that nobody has is not kept', async (_t, database) => {
  const store = await database.open();
  const { subject } = await addAccount(store, clock, 'alice');
  const events: unknown[] = [];
  const signIn = createSignIn({ store, clock, tell: (event) => events.push(event) });
  const times = { now: clock(), expiresAt: clock() + SIGN_IN_FAILURES_SECONDS * 1000 };
  for (const name of ['alice', 'my-password']) {
    for (let tries = 0; tries < MAX_SIGN_IN_FAILURES; tries++) {
      await store.write((tx) => countSignInTry(tx, name, times)); // As in `signIn`, without the cost of a password.
    }
    for (let tries = 0; tries < 3; tries++) await assert.rejects(signIn.signIn(name, 'guess'), TooManyTries);
  }
  const reason = 'too many wrong passwords';
  assert.deepEqual((await entries(store)).slice(1), [
    ['server', 'login.refuse', { account: subject, reason }],
    ['server', 'login.refuse', { account: null, reason }],
  ]);
  assert.deepEqual(events, Array(6).fill({ event: 'login.refused', how: 'guessing' }));
});

eachStore('the right password of a disabled account is refused and noted', async (_t, database) => {
  const store = await database.open();
  const { subject: account } = await addAccount(store, clock, 'alice');
  const signIn = createSignIn({ store, clock });
  await signIn.setPassword('alice', PASSWORD);
  await disableAccount(store, clock, 'alice');
  await assert.rejects(signIn.signIn('alice', PASSWORD), { code: 'ERR_UNAUTHENTICATED' });
  assert.deepEqual((await entries(store)).at(-1), ['server', 'login.refuse', { account, reason: 'disabled' }]);
});

eachStore(
  'operators and owners on many servers add to their chains at once, and each stays whole',
  async (t, database) => {
    const { vault, newOwner, store } = await openVault(t, database);
    const servers = [store, await database.open()];
    const owner = await newOwner();
    const acts = Array.from({ length: 20 }, (_, n) => addQueue(servers[n % 2] as Store, clock, `Q${n}`));
    await Promise.all([...acts, ...Array.from({ length: 10 }, (_, n) => vault.set(owner, named(`S${n}`), 'x'))]);
    assert.deepEqual(await verifyAudit(store, SYSTEM), { whole: true, entries: 20 });
    assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 10 });
  },
);

eachStore('a changed, a removed and a moved entry of the system chain are found', async (_t, database) => {
  const store = await database.open();
  for (let n = 0; n < 4; n++) await addQueue(store, clock, `Q${n}`);
  const seqOfBreak = async () => {
    const check = await verifyAudit(store, SYSTEM);
    return check.whole ? undefined : check.seq;
  };
  const entry = (seq: number) =>
    store.db
      .selectFrom('audit')
      .selectAll()
      .where('owner_id', '=', SYSTEM)
      .where('seq', '=', seq)
      .executeTakeFirstOrThrow();
  const put = (seq: number, change: object) =>
    store.write((tx) =>
      tx.updateTable('audit').set(change).where('owner_id', '=', SYSTEM).where('seq', '=', seq).execute(),
    );

  const second = await entry(2);
  await put(2, { actor: 'nobody' });
  assert.equal(await seqOfBreak(), 2);
  await put(2, { actor: second.actor });
  assert.equal(await seqOfBreak(), undefined);
  await store.write((tx) => tx.deleteFrom('audit').where('owner_id', '=', SYSTEM).where('seq', '=', 4).execute());
  assert.equal(await seqOfBreak(), 4);
});
