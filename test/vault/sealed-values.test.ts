import assert from 'node:assert/strict';
import { eachStore } from '../stores.ts';
import { named, openVault, sealedText } from './vaults.ts';

eachStore('a sealed value is kept as it is, and only another one takes its place', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), sealedText('one'));
  await vault.set(owner, named('B'), 'plain');
  const refused = { code: 'ERR_CONFLICT', message: /sealed by its owner, and this value is not: nothing was changed/ };
  await assert.rejects(vault.set(owner, named('A'), 'plain'), refused);
  await assert.rejects(vault.set(owner, named('A', 'file'), 'cGxhaW4='), refused, 'as a file neither');
  await vault.set(owner, named('A'), sealedText('two'));
  await vault.set(owner, named('B'), sealedText('three'));
  await assert.rejects(vault.restore(owner, named('B'), 1), refused, 'nor an older value that was plain');
  const { secrets } = await vault.list(owner);
  assert.deepEqual(
    secrets.map(({ name, sealed }) => [name, sealed]),
    [
      ['A', true],
      ['B', true],
    ],
  );
  await vault.delete(owner, named('A'));
  await vault.set(owner, named('A'), 'plain');
});

eachStore('a job with a grant gets sealed secrets alone, and any other job none of them', async (t, database) => {
  const { vault, newOwner, store } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), sealedText('one'));
  await vault.set(owner, named('B'), 'plain');
  const get = async (sealed: boolean) => {
    const { secrets, sealedLeftOut } = await vault.getForJob(owner, { secretIds: null, queue: 'Q', sealed });
    return [secrets.map(({ name }) => name), sealedLeftOut];
  };
  assert.deepEqual(await get(true), [['A'], 0]);
  assert.deepEqual(await get(false), [['B'], 1]);
  // The mark in the row is for lists alone.
  await store.write((tx) => tx.updateTable('secrets').set({ sealed: 0 }).execute());
  assert.deepEqual(await get(false), [['B'], 1]);
});
