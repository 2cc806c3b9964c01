import assert from 'node:assert/strict';
import { addAccount, disableAccount } from '../../src/identity/accounts.ts';
import { createOwners } from '../../src/identity/owners.ts';
import { ACCOUNT_RECHECK_SECONDS } from '../../src/protocol/limits.ts';
import { eachStore } from '../stores.ts';
import { NOW } from './signer.ts';

const clock = () => NOW;
const alice = { issuer: 'iam', subject: 'a', displayName: 'Alice' };

eachStore('a caller is the same owner at every server and after a restart', async (_t, database) => {
  const [store, replica] = [await database.open(), await database.open()];
  const id = await createOwners({ store, clock }).of(alice);
  assert.equal(await createOwners({ store: replica, clock }).of(alice), id);
});

eachStore('two people of one display name are two owners', async (_t, database) => {
  const store = await database.open();
  const owners = createOwners({ store, clock });
  assert.notEqual(await owners.of(alice), await owners.of({ ...alice, subject: 'b' }));
});

eachStore('one subject at two issuers is two owners', async (_t, database) => {
  const store = await database.open();
  const owners = createOwners({ store, clock });
  assert.notEqual(await owners.of(alice), await owners.of({ ...alice, issuer: 'https://issuer.example' }));
});

eachStore('twenty first calls at once, at two servers, make one owner', async (_t, database) => {
  const [store, replica] = [await database.open(), await database.open()];
  const servers = [createOwners({ store, clock }), createOwners({ store: replica, clock })];
  const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => servers[n % 2]?.of(alice)));
  assert.equal(new Set(ids).size, 1);
  assert.equal((await store.db.selectFrom('owners').selectAll().execute()).length, 1);
});

eachStore('an owner whose display name changed is shown by the new one and is the same', async (_t, database) => {
  const store = await database.open();
  const id = await createOwners({ store, clock }).of(alice);
  assert.equal(await createOwners({ store, clock }).of({ ...alice, displayName: 'Alice B.' }), id);
  const rows = await store.db.selectFrom('owners').select('display_name').execute();
  assert.deepEqual(
    rows.map((row) => row.display_name),
    ['Alice B.'],
  );
});

eachStore(
  'an owner is looked for once in a time, and is another after it where the one of before was erased',
  async (_t, database) => {
    const store = await database.open();
    let now = NOW;
    const owners = createOwners({ store, clock: () => now });
    const id = await owners.of(alice);
    await store.write((tx) => tx.deleteFrom('owners').where('id', '=', id).execute());
    now += ACCOUNT_RECHECK_SECONDS * 1000;
    assert.equal(await owners.of(alice), id);
    now = NOW - 3_600_000;
    assert.equal(await owners.of(alice), id);
    now += 1000;
    assert.notEqual(await owners.of(alice), id);
  },
);

eachStore('a failure of the database is not remembered', async (_t, database) => {
  const store = await database.open();
  let broken = true;
  const flaky: typeof store = {
    ...store,
    write: (work) => (broken ? Promise.reject(new Error('disk full')) : store.write(work)),
  };
  const owners = createOwners({ store: flaky, clock });
  await assert.rejects(owners.of(alice), /disk full/);
  broken = false;
  assert.ok(await owners.of(alice));
});

eachStore(
  'a token of an account that is gone, or disabled, makes no owner in the seconds that it is still taken',
  async (_t, database) => {
    const store = await database.open();
    const { subject } = await addAccount(store, clock, 'alice');
    const owners = createOwners({ store, clock });
    const caller = { issuer: 'embedded', subject, displayName: 'Alice' };
    await disableAccount(store, clock, 'alice');
    await assert.rejects(owners.of(caller), { code: 'ERR_UNAUTHENTICATED' });
    await disableAccount(store, clock, 'alice', false);
    assert.ok(await owners.of(caller));
    await assert.rejects(owners.of({ ...caller, subject: 'gone' }), { code: 'ERR_UNAUTHENTICATED' });
  },
);
