import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { appendAudit, auditHeads, SYSTEM, verifyAudit, verifyAudits } from '../../src/audit/audit.ts';
import { cutAudits } from '../../src/audit/cut.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { AUDIT_CUT_DAYS, MAX_REMOVED_AT_ONCE } from '../../src/protocol/limits.ts';
import type { Store } from '../../src/store/store.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { named, openVault } from '../vault/vaults.ts';

const DAY = 24 * 3600 * 1000;

/** Two owners with an entry a day for a hundred days; `cut` keeps what is from day 50 on. */
async function hundredDays(t: TestContext, database: TestDatabase) {
  let now = 0;
  const clock = () => now;
  const opened = await openVault(t, database, { clock });
  const { store } = opened;
  const [ada, bob] = [await opened.newOwner(), await opened.newOwner()];
  for (let day = 0; day < 100; day++) {
    now = day * DAY;
    await store.write(async (tx) => {
      for (const owner of [ada, bob]) await appendAudit(tx, clock, owner, 'owner', 'secret.set', { day });
    });
  }
  const cut = (on: Store = store) => cutAudits({ store: on, clock }, 50 * DAY);
  return { ...opened, ada, bob, cut, clock, seqs: (owner: OwnerId) => seqs(store, owner) };
}

async function seqs(store: Store, owner: string): Promise<number[]> {
  const rows = await store.db.selectFrom('audit').select('seq').where('owner_id', '=', owner).orderBy('seq').execute();
  return rows.map(({ seq }) => seq);
}

const stones = (store: Store) => store.db.selectFrom('audit_stones').selectAll().orderBy('chain').execute();

eachStore('a cut takes the entries before a time, and the rest is whole from the stone on', async (t, database) => {
  const { store, ada, bob, cut, seqs, vault } = await hundredDays(t, database);
  const kept = await auditHeads(store);
  assert.deepEqual(await cut(), { broken: [] });
  assert.deepEqual([(await seqs(ada)).at(0), (await seqs(ada)).length], [51, 50]);
  assert.deepEqual(await verifyAudit(store, ada), { whole: true, entries: 100, cut: 50 });
  await vault.set(bob, named('A'), 'goes on');
  const checks = await verifyAudits(store, kept);
  assert.deepEqual(
    checks.filter(({ check }) => !check.whole),
    [],
  );
  const acts = await store.db
    .selectFrom('audit')
    .select(['actor', 'action', 'detail'])
    .where('owner_id', '=', SYSTEM)
    .execute();
  assert.deepEqual(
    acts.map(({ actor, action, detail }) => [actor, action, JSON.parse(detail).through]),
    [
      ['server', 'audit.cut', 50],
      ['server', 'audit.cut', 50],
    ],
  );
  assert.deepEqual(await cut(), { broken: [] });
  assert.equal((await seqs(SYSTEM as OwnerId)).length, 2, 'nothing more was cut');
});

eachStore('a chain from which nothing can be cut has no note of a cut', async (t, database) => {
  const { store, ada, clock, seqs } = await hundredDays(t, database);
  await cutAudits({ store, clock }, 40 * DAY);
  await store.write((tx) =>
    tx.updateTable('audit').set({ action: 'secret.get' }).where('owner_id', '=', ada).where('seq', '=', 41).execute(),
  );
  assert.deepEqual(await cutAudits({ store, clock }, 80 * DAY), { broken: [ada] });
  assert.equal((await seqs(SYSTEM as OwnerId)).length, 3, 'two cuts at first, and the one of the other chain');
});

eachStore('a chain is cut seldom, and never to its last entry', async (t, database) => {
  const { store, ada, clock } = await hundredDays(t, database);
  await cutAudits({ store, clock }, AUDIT_CUT_DAYS * DAY);
  assert.equal((await seqs(store, ada)).length, 100);
  await cutAudits({ store, clock }, 1000 * DAY);
  assert.deepEqual(await seqs(store, ada), [100]);
  assert.deepEqual(await verifyAudit(store, ada), { whole: true, entries: 100, cut: 99 });
});

eachStore(
  'of more chains than are looked at in one go each is cut, and requests go on between',
  async (t, database) => {
    const { store, newOwner, clock, ada } = await hundredDays(t, database);
    const owners = await Promise.all(Array.from({ length: MAX_REMOVED_AT_ONCE + 20 }, newOwner));
    await store.write(async (tx) => {
      for (const owner of owners) {
        for (const day of [0, 99]) await appendAudit(tx, () => day * DAY, owner, 'owner', 'secret.set', { day });
      }
      for (const day of [0, 99]) await appendAudit(tx, () => day * DAY, SYSTEM, 'server', 'secret.set', { day });
    });
    let turns = 0;
    const turn = setInterval(() => turns++, 1);
    assert.deepEqual(await cutAudits({ store, clock }, 50 * DAY), { broken: [] });
    clearInterval(turn);
    assert.ok(turns > 0);
    assert.deepEqual(await seqs(store, SYSTEM), [2, ...Array.from({ length: owners.length + 3 }, (_, n) => 3 + n)]);
    const rows = await store.db.selectFrom('audit').select('owner_id').where('owner_id', 'in', owners).execute();
    assert.deepEqual(rows.map((row) => row.owner_id).sort(), owners.toSorted());
    assert.equal((await seqs(store, ada)).length, 50);
  },
);

eachStore('a stone that was forged, moved, taken away or put back is refused', async (t, database) => {
  const { store, ada, bob, cut, clock } = await hundredDays(t, database);
  await cutAudits({ store, clock }, 40 * DAY);
  const older = (await stones(store)).find(({ chain }) => chain === ada);
  await cutAudits({ store, clock }, 80 * DAY);
  const [mine] = (await stones(store)).filter(({ chain }) => chain === ada);
  assert.ok(mine && older && mine.seq > older.seq);
  assert.equal((await verifyAudit(store, ada)).whole, true);
  const put = (row: Partial<typeof mine>) =>
    store.write((tx) =>
      tx
        .updateTable('audit_stones')
        .set({ ...mine, ...row })
        .where('chain', '=', ada)
        .execute(),
    );
  const rows = await store.db.selectFrom('audit').selectAll().where('owner_id', '=', ada).orderBy('seq').execute();
  const [first, second] = rows;
  assert.ok(first && second);

  // More is cut than the server did: the stone would have to say so.
  await put({ seq: first.seq, hash: Buffer.from(first.hash).toString('hex') });
  await store.write((tx) => tx.deleteFrom('audit').where('owner_id', '=', ada).where('seq', '=', first.seq).execute());
  assert.deepEqual(await verifyAudit(store, ada), {
    whole: false,
    seq: 0,
    reason: 'the mark of its cut was written by something else than this software',
  });
  await put({ tag: null, seq: first.seq });
  assert.equal((await verifyAudit(store, ada)).whole, false);
  await put({});
  assert.deepEqual(await verifyAudit(store, ada), { whole: false, seq: first.seq, reason: 'the entry is missing' });
  await store.write((tx) => tx.insertInto('audit').values(first).execute());
  assert.equal((await verifyAudit(store, ada)).whole, true);

  await put(older);
  assert.deepEqual(await verifyAudit(store, ada), { whole: false, seq: older.seq + 1, reason: 'the entry is missing' });
  await put({});
  const [his] = (await stones(store)).filter(({ chain }) => chain === bob);
  assert.ok(his);
  await put({ seq: his.seq, hash: his.hash, cut_at: his.cut_at, tag: his.tag });
  assert.deepEqual((await verifyAudit(store, ada)).whole, false);
  await store.write((tx) => tx.deleteFrom('audit_stones').where('chain', '=', ada).execute());
  assert.deepEqual(await verifyAudit(store, ada), { whole: false, seq: 1, reason: 'the entry is missing' });
  // A server does not cut on from what it cannot believe.
  await put({});
  await cut();
});

eachStore('a part that somebody changed is not cut, and the others are', async (t, database) => {
  const { store, ada, bob, cut, seqs } = await hundredDays(t, database);
  await store.write((tx) =>
    tx.updateTable('audit').set({ detail: '{"day":-1}' }).where('owner_id', '=', ada).where('seq', '=', 20).execute(),
  );
  assert.deepEqual(await cut(), { broken: [ada] });
  assert.equal((await seqs(ada)).at(0), 20, 'what shows the change stays');
  assert.deepEqual(await verifyAudit(store, ada), { whole: false, seq: 20, reason: 'the entry was changed' });
  assert.deepEqual(await verifyAudit(store, bob), { whole: true, entries: 100, cut: 50 });
});

eachStore('a head that was kept is compared with the stone, and with what is behind it', async (t, database) => {
  const { store, ada, cut } = await hundredDays(t, database);
  const rows = await store.db.selectFrom('audit').selectAll().where('owner_id', '=', ada).orderBy('seq').execute();
  const head = (seq: number) => ({ chain: ada, seq, hash: Buffer.from(rows[seq - 1]?.hash ?? []).toString('hex') });
  await cut();
  for (const seq of [10, 50, 51, 100]) assert.equal((await verifyAudit(store, ada, [head(seq)])).whole, true);
  for (const seq of [50, 51, 100]) {
    const other = { ...head(seq), hash: 'ab'.repeat(32) };
    const check = await verifyAudit(store, ada, [other]);
    assert.ok(!check.whole && check.seq === seq, String(seq));
  }
});

eachStore('a check that a cut overtakes begins anew', async (t, database) => {
  const { store, ada, cut, clock } = await hundredDays(t, database);
  await store.write(async (tx) => {
    for (let n = 0; n < MAX_REMOVED_AT_ONCE + 50; n++) {
      await appendAudit(tx, clock, ada, 'owner', 'secret.set', {});
    }
  });
  const [, check] = await Promise.all([cut(), verifyAudit(store, ada)]);
  assert.equal(check.whole, true);
});
