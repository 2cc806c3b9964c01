import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { parseAttributes } from '../../src/protocol/secret-attributes.ts';
import { trustedQueues } from '../../src/protocol/trusted-queues.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { named, openVault, revealed, valuesOf } from './vaults.ts';

/** The change that lets a secret go to these queues. */
const to = (queues: readonly string[]) => parseAttributes({ queues });

/** An owner with one secret for queues Q1 and Q2, and one for any. */
async function ownerWithRestricted(t: TestContext, database: TestDatabase) {
  const opened = await openVault(t, database);
  const owner = await opened.newOwner();
  await opened.vault.set(owner, named('ANY'), 'anywhere');
  await opened.vault.set(owner, named('KEY'), 'first', to(['Q2', 'Q1', 'Q2']));
  return { ...opened, owner };
}

async function queuesOf(vault: Awaited<ReturnType<typeof openVault>>['vault'], owner: OwnerId) {
  return Object.fromEntries(
    (await vault.list(owner)).secrets.map(({ name, attributes }) => [name, trustedQueues(attributes.queues)]),
  );
}

const forJob = { secretIds: null, queue: 'Q1' };

eachStore(
  'a restricted secret goes to jobs on the queues that it names, and its owner sees which',
  async (t, database) => {
    const { vault, owner } = await ownerWithRestricted(t, database);
    assert.deepEqual(await queuesOf(vault, owner), { ANY: null, KEY: ['Q1', 'Q2'] });
    assert.deepEqual(revealed(await vault.get(owner)), { ANY: 'anywhere', KEY: 'first' });

    const inside = await vault.getForJob(owner, forJob);
    assert.deepEqual([valuesOf(inside), inside.leftOut], [{ ANY: 'anywhere', KEY: 'first' }, 0]);
    for (const queue of ['Q3', 'Q1,Q2', 'Q', '']) {
      const outside = await vault.getForJob(owner, { ...forJob, queue });
      assert.deepEqual([valuesOf(outside), outside.leftOut], [{ ANY: 'anywhere' }, 1]);
    }
  },
);

eachStore('a task may name a restricted secret only for one of its queues', async (t, database) => {
  const { vault, owner } = await ownerWithRestricted(t, database);
  const names = [named('KEY'), named('ANY')];
  const [key = '', any = ''] = await vault.idsOf(owner, names, { queue: 'Q1' });
  await assert.rejects(vault.idsOf(owner, names, { queue: 'Q3' }), {
    code: 'ERR_FORBIDDEN',
    message: /^"KEY" goes to Q1, Q2 only: the task is for queue Q3\./,
  });
  await assert.rejects(vault.idsOf(owner, names, { queue: null }), {
    code: 'ERR_FORBIDDEN',
    message: /^"KEY" goes to Q1, Q2 only: the task names no queue\./,
  });
  await assert.rejects(vault.getForJob(owner, { secretIds: [any, key], queue: 'Q3' }), {
    code: 'ERR_FORBIDDEN',
    message: 'of the 2 secrets that the task names, number 2 was restricted to other queues than Q3',
  });
});

eachStore(
  'a new value without queues stays with those of the secret; queues change by being named',
  async (t, database) => {
    const { vault, owner } = await ownerWithRestricted(t, database);
    await vault.set(owner, named('KEY'), 'second');
    assert.deepEqual((await queuesOf(vault, owner))['KEY'], ['Q1', 'Q2']);
    await vault.set(owner, named('KEY'), 'third', to(['Q3']));
    assert.deepEqual((await queuesOf(vault, owner))['KEY'], ['Q3']);
    await vault.set(owner, named('KEY'), 'fourth', to(['*']));
    assert.deepEqual((await queuesOf(vault, owner))['KEY'], null);
    await vault.set(owner, named('ANY'), 'no more', to(['Q4']));
    assert.equal((await vault.getForJob(owner, forJob)).leftOut, 1);
    await vault.delete(owner, named('ANY'));
    await vault.set(owner, named('ANY'), 'anew');
    assert.deepEqual((await queuesOf(vault, owner))['ANY'], null, 'what was deleted has left no queues behind');
  },
);

eachStore('every version of a secret is bound to the queues that it has now', async (t, database) => {
  const { vault, owner, anotherServer } = await ownerWithRestricted(t, database);
  await vault.set(owner, named('KEY'), 'second', to(['Q9']));
  const other = await anotherServer();
  await other.restore(owner, named('KEY'), 1);
  assert.deepEqual(revealed(await vault.get(owner, [named('KEY')])), { KEY: 'first' });
  assert.deepEqual((await queuesOf(vault, owner))['KEY'], ['Q9']);
  await vault.restore(owner, named('KEY'), 2);
  assert.equal((await other.getForJob(owner, forJob)).leftOut, 1);
});

eachStore('a writer of the database cannot give a secret to other queues', async (t, database) => {
  for (const widened of ['Q1,Q2,Q3', 'Q3', null]) {
    const { vault, owner, store, anotherServer } = await ownerWithRestricted(t, database);
    await rewrite(store, owner, 'Q1,Q2', widened);
    for (const one of [vault, await anotherServer()]) {
      const refused = { code: 'ERR_DECRYPTION_FAILED' };
      await assert.rejects(one.getForJob(owner, { ...forJob, queue: 'Q3' }), refused);
      await assert.rejects(one.get(owner), refused);
      const { secrets, damaged } = await one.list(owner);
      assert.deepEqual(
        [secrets.some(({ name }) => name === named('KEY')), damaged.map(({ name }) => name)],
        [false, [null]],
      );
      // A client of PanDA's sets the next value and names no queues.
      await assert.rejects(one.set(owner, named('KEY'), 'next'), refused);
      await assert.rejects(one.set(owner, named('KEY'), 'next', to(['Q1'])), refused);
    }
    assert.ok(await vault.delete(owner, named('KEY')), 'its owner can still delete it');
  }
});

eachStore('a writer of the database cannot take an earlier version for a widening', async (t, database) => {
  const { vault, owner, store } = await ownerWithRestricted(t, database);
  await vault.set(owner, named('ANY'), 'anywhere', to(['Q1']));
  await store.write((tx) =>
    tx
      .updateTable('secrets')
      .set({ current_version: 1, queues: null })
      .where('owner_id', '=', owner)
      .where('queues', '=', 'Q1')
      .execute(),
  );
  await touch(store, owner);
  await assert.rejects(vault.getForJob(owner, { ...forJob, queue: 'Q3' }), { code: 'ERR_DECRYPTION_FAILED' });
});

async function rewrite(store: Store, owner: OwnerId, from: string, to: string | null) {
  await store.write((tx) =>
    tx.updateTable('secrets').set({ queues: to }).where('owner_id', '=', owner).where('queues', '=', from).execute(),
  );
  await touch(store, owner);
}

/** As every change does, so that what a server remembers is read anew. */
async function touch(store: Store, owner: OwnerId) {
  await store.write((tx) =>
    tx
      .updateTable('owners')
      .set((eb) => ({ revision: eb('revision', '+', 1) }))
      .where('id', '=', owner)
      .execute(),
  );
}
