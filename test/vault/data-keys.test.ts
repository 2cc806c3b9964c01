import assert from 'node:assert/strict';
import { KeyObject } from 'node:crypto';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { queryObjects } from 'node:v8';
import { Unavailable } from '../../src/protocol/errors.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { DATA_KEY_SECONDS } from '../../src/protocol/limits.ts';
import type { RootKey, RootKeys } from '../../src/sealing/root-keys.ts';
import { createVault, type Vault } from '../../src/vault/vault.ts';
import { sqliteDatabase } from '../stores.ts';
import { named, openVault, readable, revealed, valuesOf } from './vaults.ts';

const START = Date.UTC(2026, 0, 1);
const KEPT_MS = DATA_KEY_SECONDS * 1000;

/** A vault whose root key counts what it is asked for, and can be out of reach. */
async function countedVault(t: TestContext) {
  const { store, rootKeys, newOwner } = await openVault(t, sqliteDatabase(t));
  const asked = { wrap: 0, unwrap: 0 };
  const state = { now: START, reachable: true };
  function counted(key: RootKey): RootKey {
    const reach = (what: keyof typeof asked) => {
      asked[what]++;
      if (!state.reachable) throw new Unavailable('the key server does not answer');
    };
    return {
      id: key.id,
      async wrap(...args) {
        reach('wrap');
        return key.wrap(...args);
      },
      async unwrap(...args) {
        reach('unwrap');
        return key.unwrap(...args);
      },
    };
  }
  const counting: RootKeys = {
    ...rootKeys,
    active: counted(rootKeys.active),
    get: (id) => counted(rootKeys.get(id)),
  };
  const vault = createVault({ store, rootKeys: counting, clock: () => state.now });
  t.after(() => vault.close());
  return { vault, asked, state, owner: await newOwner() };
}

function keysInMemory(): number {
  return queryObjects(KeyObject, { format: 'count' });
}

test('requests that arrive together wait for one wrapping and one unwrapping', async (t) => {
  const { vault, asked, owner } = await countedVault(t);
  await Promise.all(Array.from({ length: 20 }, (_, n) => vault.set(owner, named(`N${n}`), 'x')));
  await Promise.all(Array.from({ length: 20 }, () => vault.get(owner)));
  assert.deepEqual(asked, { wrap: 1, unwrap: 1 });
});

test('an unwrapped key is forgotten after its time', async (t) => {
  const { vault, asked, owner, state } = await countedVault(t);
  await vault.set(owner, named('A'), 'x');
  state.now = START + KEPT_MS;
  await vault.get(owner);
  assert.equal(asked.unwrap, 1);
  state.now++;
  await vault.get(owner);
  assert.equal(asked.unwrap, 2);
});

test('an unwrapped key leaves the memory after its time though nobody asks for it', async (t) => {
  const { vault, asked, owner, state } = await countedVault(t);
  const before = keysInMemory();
  await vault.set(owner, named('A'), 'x');
  state.now = START + KEPT_MS;
  vault.forgetOldKeys();
  await vault.get(owner);
  assert.equal(asked.unwrap, 1);
  assert.ok(keysInMemory() > before);
  state.now++;
  vault.forgetOldKeys();
  assert.ok(keysInMemory() <= before);
});

test('a vault that was closed leaves no key in memory', async (t) => {
  const { vault, owner } = await countedVault(t);
  const before = keysInMemory();
  await vault.set(owner, named('A'), 'x');
  assert.ok(keysInMemory() > before);
  vault.close();
  assert.ok(keysInMemory() <= before);
});

test('a clock that is set back leaves an unwrapped key no longer than its time', async (t) => {
  const { vault, asked, owner, state } = await countedVault(t);
  await vault.set(owner, named('A'), 'x');
  state.now = START - 3_600_000;
  await vault.get(owner);
  assert.equal(asked.unwrap, 1);
  state.now += KEPT_MS + 1;
  await vault.get(owner);
  assert.equal(asked.unwrap, 2);
});

test('a root key that could not be reached is asked again, and nothing half-made stays', async (t) => {
  const { vault, asked, owner, state } = await countedVault(t);
  state.reachable = false;
  await assert.rejects(vault.set(owner, named('A'), 'x'), { code: 'ERR_UNAVAILABLE' });
  state.reachable = true;
  await vault.set(owner, named('A'), 'x');
  state.now = START + KEPT_MS + 1;
  state.reachable = false;
  await assert.rejects(vault.get(owner), { code: 'ERR_UNAVAILABLE' });
  state.reachable = true;
  assert.deepEqual(revealed(await vault.get(owner)), { A: 'x' });
  assert.deepEqual(asked, { wrap: 2, unwrap: 3 });
});

for (const [whose, read] of [
  ['shown secrets', async (vault: Vault, owner: OwnerId) => (await readable(vault, owner)).values],
  [
    "a job's secrets",
    async (vault: Vault, owner: OwnerId) => valuesOf(await vault.getForJob(owner, { secretIds: null, queue: 'Q' })),
  ],
] as const) {
  test(`what was remembered of ${whose} opens as long as their data key is there, and no longer`, async (t) => {
    const { vault, asked, owner, state } = await countedVault(t);
    await vault.set(owner, named('A'), 'x');
    const [first, second, third] = [await read(vault, owner), await read(vault, owner), await read(vault, owner)];
    assert.deepEqual([first, second, third, asked.unwrap], [{ A: 'x' }, first, first, 1]);
    state.reachable = false;
    state.now = START + KEPT_MS + 1;
    await assert.rejects(read(vault, owner), { code: 'ERR_UNAVAILABLE' });
    state.reachable = true;
    assert.deepEqual(await read(vault, owner), first);
    assert.equal(asked.unwrap, 3);
  });
}
