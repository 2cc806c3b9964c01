import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { verifyAudit } from '../../src/audit/audit.ts';
import { lengthPrefixed } from '../../src/protocol/length-prefixed.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { named, openVault } from '../vault/vaults.ts';

/** An owner whose audit has six entries. */
async function sixEntries(t: TestContext, database: TestDatabase) {
  const { vault, newOwner, store } = await openVault(t, database, { clock: () => 1000 });
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'one');
  await vault.set(owner, named('A'), 'two');
  await vault.restore(owner, named('A'), 1);
  await vault.set(owner, named('B'), 'b');
  await vault.delete(owner, named('A'));
  await vault.deleteAll(owner);
  return { vault, owner, store };
}

const rows = (store: Store) => store.db.selectFrom('audit').selectAll().orderBy('seq').execute();

eachStore('every change is in the audit, with ids and never a name or a value', async (t, database) => {
  const { owner, store } = await sixEntries(t, database);
  const entries = await rows(store);
  const [a, b] = [entries[0], entries[3]].map((entry) => JSON.parse(entry?.detail ?? '').secret);
  assert.deepEqual(
    entries.map(({ seq, at, actor, action, detail }) => [seq, at, actor, action, JSON.parse(detail)]),
    [
      [1, 1000, 'owner', 'secret.set', { secret: a, version: 1 }],
      [2, 1000, 'owner', 'secret.set', { secret: a, version: 2 }],
      [3, 1000, 'owner', 'secret.restore', { secret: a, version: 3, from: 1 }],
      [4, 1000, 'owner', 'secret.set', { secret: b, version: 1 }],
      [5, 1000, 'owner', 'secret.delete', { secret: a }],
      [6, 1000, 'owner', 'secret.delete_all', { secrets: [b] }],
    ],
  );
  assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 6 });
});

eachStore('what changes nothing is not in the audit', async (t, database) => {
  const { vault, owner, store } = await sixEntries(t, database);
  await vault.delete(owner, named('nowhere'));
  await vault.deleteAll(owner);
  await vault.set(owner, named('A'), '\ud800').catch(() => {});
  await vault.get(owner);
  assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 6 });
});

eachStore('the audit outlives its owner', async (t, database) => {
  const { vault, owner, store } = await sixEntries(t, database);
  await vault.destroyOwner(owner);
  assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 7 });
  assert.deepEqual((await rows(store)).at(-1)?.actor, 'operator');
});

eachStore('an audit that many writers add to at once stays whole', async (t, database) => {
  const { vault, newOwner, anotherServer, store } = await openVault(t, database);
  const owner = await newOwner();
  const servers = [vault, await anotherServer()];
  const sets = Array.from({ length: 60 }, (_, n) => (servers[n % 2] ?? vault).set(owner, named(`N${n % 7}`), 'x'));
  const checks = [verifyAudit(store, owner), verifyAudit(store, owner)];
  for (const check of await Promise.all(checks)) assert.equal(check.whole, true);
  await Promise.all(sets);
  assert.deepEqual(await verifyAudit(store, owner), { whole: true, entries: 60 });
});

eachStore('a changed field of an entry is found', async (t, database) => {
  const { owner, store } = await sixEntries(t, database);
  const changes = [
    { at: 1 },
    { actor: 'operator' },
    { action: 'secret.set' },
    { detail: '{}' },
    { hash: Buffer.alloc(32) },
  ];
  const original = (await rows(store))[4];
  assert.ok(original);
  for (const change of changes) {
    await put(store, owner, 5, change);
    const check = await verifyAudit(store, owner);
    assert.deepEqual({ ...check, reason: '' }, { whole: false, seq: 5, reason: '' }, Object.keys(change).join());
    await put(store, owner, 5, original);
  }
  assert.equal((await verifyAudit(store, owner)).whole, true);
});

eachStore(
  'an entry that was changed and given a fitting hash is found by what names the old one',
  async (t, database) => {
    const middle = await sixEntries(t, database);
    await forge(middle.store, middle.owner, 3);
    assert.equal(await seqOfBreak(middle.store, middle.owner), 4);
    const last = await sixEntries(t, database);
    await forge(last.store, last.owner, 6);
    assert.equal(await seqOfBreak(last.store, last.owner), 6);
  },
);

eachStore('a removed entry, exchanged entries and a cut tail are found', async (t, database) => {
  const { vault, newOwner, store } = await openVault(t, database);
  const tamperings: [number, (owner: string) => Promise<unknown>][] = [
    [1, (owner) => remove(store, owner, 1)],
    [3, (owner) => remove(store, owner, 3)],
    [6, (owner) => remove(store, owner, 6)],
    [5, async (owner) => [await remove(store, owner, 6), await remove(store, owner, 5)]],
    [
      3,
      async (owner) => {
        for (const [from, to] of [
          [3, 99],
          [4, 3],
          [99, 4],
        ] as const)
          await put(store, owner, from, { seq: to });
      },
    ],
    [
      6,
      (owner) => store.write((tx) => tx.updateTable('owners').set({ audit_seq: 5 }).where('id', '=', owner).execute()),
    ],
  ];
  for (const [seq, tamper] of tamperings) {
    const owner = await newOwner();
    for (let n = 0; n < 6; n++) await vault.set(owner, named('A'), `value ${n}`);
    assert.equal((await verifyAudit(store, owner)).whole, true);
    await tamper(owner);
    assert.equal(await seqOfBreak(store, owner), seq);
  }
});

async function seqOfBreak(store: Store, owner: string): Promise<number | undefined> {
  const check = await verifyAudit(store, owner as never);
  return check.whole ? undefined : check.seq;
}

/** Changes an entry and makes its own hash fit. */
async function forge(store: Store, owner: string, seq: number) {
  const row = (await rows(store)).find((one) => one.owner_id === owner && one.seq === seq);
  assert.ok(row);
  const detail = '{"secret":"forged"}';
  const fields = lengthPrefixed(
    'panda-secrets audit 1',
    row.previous_hash ?? '',
    owner,
    String(seq),
    String(row.at),
    row.actor,
    row.action,
    detail,
  );
  await put(store, owner, seq, { detail, hash: createHash('sha256').update(fields).digest() });
}

function put(store: Store, owner: string, seq: number, change: object) {
  return store.write((tx) =>
    tx.updateTable('audit').set(change).where('owner_id', '=', owner).where('seq', '=', seq).execute(),
  );
}

function remove(store: Store, owner: string, seq: number) {
  return store.write((tx) => tx.deleteFrom('audit').where('owner_id', '=', owner).where('seq', '=', seq).execute());
}
