import assert from 'node:assert/strict';
import {
  addAccount,
  disableAccount,
  existingAccount,
  listAccounts,
  removeAccount,
} from '../../src/identity/accounts.ts';
import { AlreadyExists, InvalidArgument, NotFound } from '../../src/protocol/errors.ts';
import { eachStore } from '../stores.ts';
import { NOW } from './signer.ts';

const clock = () => NOW;

eachStore('an account is found by its name in any case', async (_t, database) => {
  const store = await database.open();
  const added = await addAccount(store, clock, 'Alice', 'Alice A.');
  assert.deepEqual(added, {
    name: 'alice',
    subject: added.subject,
    displayName: 'Alice A.',
    createdAt: NOW,
    disabled: false,
    role: 'user',
    claimed: false,
    tokensFrom: 0,
  });
  assert.deepEqual(await existingAccount(store, 'ALICE'), added);
  await assert.rejects(existingAccount(store, 'bob'), NotFound);
});

eachStore('without a display name the name is shown as it was typed', async (_t, database) => {
  const store = await database.open();
  assert.equal((await addAccount(store, clock, 'Alice')).displayName, 'Alice');
});

eachStore('accounts are listed by name', async (_t, database) => {
  const store = await database.open();
  for (const name of ['carol', 'alice', 'bob']) await addAccount(store, clock, name);
  assert.deepEqual(
    (await listAccounts(store)).map(({ name }) => name),
    ['alice', 'bob', 'carol'],
  );
});

eachStore('a name is given once, also when two ask at the same moment', async (_t, database) => {
  const [store, replica] = [await database.open(), await database.open()];
  const results = await Promise.allSettled([addAccount(store, clock, 'alice'), addAccount(replica, clock, 'ALICE')]);
  const failed = results.filter((result) => result.status === 'rejected');
  assert.equal(failed.length, 1);
  assert.ok(failed[0]?.reason instanceof AlreadyExists);
});

eachStore('a name with other characters, or too long, is refused', async (_t, database) => {
  const store = await database.open();
  for (const name of ['', 'a b', 'é', 'a/b', 'a:b', 'x'.repeat(33)]) {
    await assert.rejects(addAccount(store, clock, name), InvalidArgument, name);
  }
});

eachStore('an account can be disabled, enabled and removed', async (_t, database) => {
  const store = await database.open();
  await addAccount(store, clock, 'alice');
  await disableAccount(store, Date.now, 'Alice');
  assert.equal((await existingAccount(store, 'alice')).disabled, true);
  await disableAccount(store, Date.now, 'alice', false);
  assert.equal((await existingAccount(store, 'alice')).disabled, false);
  await removeAccount(store, Date.now, 'Alice');
  await assert.rejects(existingAccount(store, 'alice'), NotFound);
});

eachStore('what is done to an account that is not there is refused', async (_t, database) => {
  const store = await database.open();
  await assert.rejects(disableAccount(store, Date.now, 'bob'), NotFound);
  await assert.rejects(removeAccount(store, Date.now, 'bob'), NotFound);
});
