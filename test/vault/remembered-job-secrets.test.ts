import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isoSecond } from '../../src/protocol/expiry.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_REMEMBERED_TEXTS_PER_OWNER } from '../../src/protocol/limits.ts';
import { parseAttributes } from '../../src/protocol/secret-attributes.ts';
import type { Store } from '../../src/store/store.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { eachStore, sqliteDatabase } from '../stores.ts';
import { named, openVault, readable, revealed, sealedText, valuesOf } from './vaults.ts';

const START = Date.UTC(2030, 0, 1);
const HOUR = 3600 * 1000;
const ALL = { secretIds: null, queue: 'Q' };

const given = async (vault: Vault, owner: OwnerId, request: Parameters<Vault['getForJob']>[1] = ALL) =>
  valuesOf(await vault.getForJob(owner, request));

/** Takes the ciphertexts away, as no change does: only what is remembered can be given. */
async function takeRows(store: Store): Promise<void> {
  await store.write((tx) => tx.deleteFrom('secret_versions').execute());
}

test('what one job got is remembered for the next that asks the same, and for no other', async (t) => {
  const { vault, store, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'a');
  await vault.set(owner, named('B'), 'b', parseAttributes({ queues: ['Q'], mask: 'whole' }));
  const [a = ''] = await vault.idsOf(owner, [named('A')]);
  await given(vault, owner);
  const first = await vault.getForJob(owner, ALL);
  assert.equal(first.text.toString(), '{"A":"a","B":"b"}');
  await takeRows(store);
  const again = await vault.getForJob(owner, ALL);
  assert.deepEqual({ ...again, text: [...again.text] }, { ...first, text: [...first.text] });
  assert.deepEqual(
    again.secrets.map(({ name, version, attributes }) => [name, version, attributes.mask]),
    [
      ['A', 1, null],
      ['B', 1, 'whole'],
    ],
  );
  const refused = { code: 'ERR_DECRYPTION_FAILED' };
  await assert.rejects(vault.getForJob(owner, { ...ALL, queue: 'OTHER' }), refused);
  await assert.rejects(vault.getForJob(owner, { ...ALL, secretIds: [a] }), refused);
  await assert.rejects(vault.getForJob(owner, { ...ALL, sealed: true }), refused);
  assert.deepEqual((await readable(vault, owner)).values, {});
  const bystander = await newOwner();
  assert.deepEqual(await given(vault, bystander), {});
});

for (const [what, get] of [
  ['got for a job', given],
  ['read', async (vault: Vault, owner: OwnerId) => revealed(await vault.get(owner))],
] as const) {
  test(`what an owner ${what} who comes once is not remembered, and of one who comes again it is`, async (t) => {
    const { vault, store, newOwner } = await openVault(t, sqliteDatabase(t));
    const [once, often] = [await newOwner(), await newOwner()];
    for (const owner of [once, often]) await vault.set(owner, named('A'), 'a');
    for (const owner of [once, often, often]) assert.deepEqual(await get(vault, owner), { A: 'a' });
    await takeRows(store);
    assert.deepEqual(await get(vault, often), { A: 'a' });
    await assert.rejects(get(vault, once), { code: 'ERR_DECRYPTION_FAILED' });
  });
}

test('who was given a text may wipe it, and the next is given it whole', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'a');
  for (let times = 0; times < 3; times++) {
    const { text } = await vault.getForJob(owner, ALL);
    assert.equal(text.toString(), '{"A":"a"}');
    // The names and versions before it are gone from memory by then.
    assert.deepEqual(new Set(new Uint8Array(text.buffer, 0, text.byteOffset)), new Set([0]));
    text.fill(0);
  }
});

eachStore('a change by another server is seen by the next job', async (t, database) => {
  const { vault, newOwner, anotherServer } = await openVault(t, database);
  const owner = await newOwner();
  const other = await anotherServer();
  const assertGiven = async (values: Record<string, string>) => {
    // From the database, which an owner's second time ends, and as it is remembered.
    for (let times = 0; times < 3; times++) assert.deepEqual(await given(vault, owner), values);
  };
  await other.set(owner, named('A'), 'one');
  await assertGiven({ A: 'one' });
  await other.set(owner, named('A'), 'two');
  await assertGiven({ A: 'two' });
  await other.set(owner, named('A'), 'two', parseAttributes({ queues: ['ELSEWHERE'] }));
  await assertGiven({});
  await other.set(owner, named('A'), 'three', parseAttributes({ queues: ['*'] }));
  await assertGiven({ A: 'three' });
  await other.renewKey(owner);
  await assertGiven({ A: 'three' });
  await other.delete(owner, named('A'));
  await assertGiven({});
  await other.set(owner, named('A'), 'four');
  await assertGiven({ A: 'four' });
  await other.destroyOwner(owner);
  await assertGiven({});
});

test('a remembered text ends with the first end of a secret that it is about, and not before', async (t) => {
  let now = START;
  const { vault, store, newOwner } = await openVault(t, sqliteDatabase(t), { clock: () => now });
  const owner = await newOwner();
  const until = (hours: number) => parseAttributes({ expires: isoSecond(START + hours * HOUR) });
  await vault.set(owner, named('KEY'), 'kept');
  await vault.set(owner, named('SHORT'), 'short', until(1));
  await vault.set(owner, named('LONG'), 'long', until(2));
  const at = async (time: number) => {
    now = time;
    const forNow = await vault.getForJob(owner, ALL);
    return [Object.keys(valuesOf(forNow)), forNow.expiredLeftOut];
  };
  assert.deepEqual(await at(START), [['KEY', 'LONG', 'SHORT'], 0]);
  assert.deepEqual(await at(START + HOUR - 1), [['KEY', 'LONG', 'SHORT'], 0]);
  assert.deepEqual(await at(START + HOUR), [['KEY', 'LONG'], 1]);
  assert.deepEqual(await at(START + HOUR - 1), [['KEY', 'LONG', 'SHORT'], 0], 'the clock was set back');
  assert.deepEqual(await at(START + 2 * HOUR - 1), [['KEY', 'LONG'], 1]);
  await takeRows(store);
  assert.deepEqual(await at(START + 2 * HOUR - 1), [['KEY', 'LONG'], 1]);
  await assert.rejects(at(START + 2 * HOUR), { code: 'ERR_DECRYPTION_FAILED' });
});

test('a sealed secret that a job does not get ends its remembered text as well', async (t) => {
  let now = START;
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t), { clock: () => now });
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'a');
  await vault.set(owner, named('S'), sealedText('one'), parseAttributes({ expires: isoSecond(START + HOUR) }));
  const leftOut = async () => {
    const { sealedLeftOut, expiredLeftOut } = await vault.getForJob(owner, ALL);
    return [sealedLeftOut, expiredLeftOut];
  };
  // A moment before: an hour later the text opens no more anyway.
  now += HOUR - 1;
  assert.deepEqual(await leftOut(), [1, 0]);
  now += 1;
  assert.deepEqual(await leftOut(), [0, 1]);
});

test('of more requests than are remembered of one owner each gets its own', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  const queues = Array.from({ length: MAX_REMEMBERED_TEXTS_PER_OWNER + 3 }, (_, n) => `Q${n}`);
  for (const queue of queues) await vault.set(owner, named(`OF_${queue}`), queue, parseAttributes({ queues: [queue] }));
  for (let times = 0; times < 3; times++) {
    const all = await Promise.all(queues.map((queue) => given(vault, owner, { ...ALL, queue })));
    assert.deepEqual(
      all,
      queues.map((queue) => ({ [`OF_${queue}`]: queue })),
    );
  }
});
