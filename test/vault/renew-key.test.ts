import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { AttributeText } from '../../src/protocol/secret-attributes.ts';
import type { RootKeys } from '../../src/sealing/root-keys.ts';
import { createVault, type Vault } from '../../src/vault/vault.ts';
import { eachStore, sqliteDatabase } from '../stores.ts';
import { named, openVault, readable, revealed, valuesOf } from './vaults.ts';

eachStore(
  'with a new data key all that an owner keeps is as it was, and the older key is gone',
  async (t, database) => {
    const { vault, store, newOwner } = await openVault(t, database);
    const [alice, bob] = [await newOwner(), await newOwner()];
    for (const value of ['1', '2', '3']) await vault.set(alice, named('A'), value);
    await vault.set(alice, named('F', 'file'), 'of a file', { queues: 'SLURM' as AttributeText });
    await vault.set(bob, named('A'), "bob's");
    const [id = ''] = await vault.idsOf(alice, [named('A')]);
    const before = await store.db.selectFrom('data_keys').select('id').where('owner_id', '=', alice).execute();

    assert.deepEqual(await vault.renewKey(alice), { secrets: 2, versions: 4 });
    const after = await store.db
      .selectFrom('data_keys')
      .select(['id', 'active'])
      .where('owner_id', '=', alice)
      .execute();
    assert.equal(after.length, 1);
    assert.notEqual(after[0]?.id, before[0]?.id);
    for (const table of ['secrets', 'secret_versions'] as const) {
      const rows = await store.db.selectFrom(table).select('data_key_id').where('owner_id', '=', alice).execute();
      assert.ok(
        rows.every(({ data_key_id }) => data_key_id === after[0]?.id),
        table,
      );
    }
    assert.deepEqual(revealed(await vault.get(alice)), { '___file___:F': 'of a file', A: '3' });
    assert.deepEqual(await vault.idsOf(alice, [named('A')]), [id], 'a task that names it still means it');
    assert.equal((await vault.version(alice, named('A'), 1)).value.reveal(), '1');
    const forJob = { secretIds: [id], queue: 'SLURM' };
    assert.deepEqual(valuesOf(await vault.getForJob(alice, forJob)), { A: '3' });
    await vault.set(alice, named('A'), '4');
    assert.equal((await vault.restore(alice, named('A'), 2)).version, 5);
    assert.deepEqual(revealed(await vault.get(bob)), { A: "bob's" });
    assert.equal(await vault.renewKey(await newOwner()), undefined, 'one who keeps nothing gets no key');
  },
);

eachStore('reads and sets go on, on every server, while data keys are renewed again and again', async (t, database) => {
  const { vault, newOwner, store, rootKeys, clock } = await openVault(t, database);
  // Of one process: on SQLite two of them would wait for each other's locks in vain.
  const another = () => {
    const made = createVault({ store, rootKeys, clock });
    t.after(() => made.close());
    return made;
  };
  const owner = await newOwner();
  const names = ['A', 'B', 'C'];
  for (const name of names) await vault.set(owner, named(name), '0');
  const servers = [vault, another()];
  let stop = false;
  const written = new Map<string, number>();
  const work = servers.flatMap((server, n) => [
    (async () => {
      for (let value = 1; !stop; value++) {
        const name = names[n] as string;
        await server.set(owner, named(name), String(value));
        written.set(name, value);
      }
    })(),
    (async () => {
      while (!stop) {
        // A request comes by a socket: without a turn of the event loop no write would end.
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal((await server.get(owner)).length, 3);
        assert.deepEqual((await server.list(owner)).damaged, []);
        assert.equal((await server.idsOf(owner, [named('C')])).length, 1);
        assert.equal((await server.version(owner, named('C'), 1)).value.reveal(), '0');
      }
    })(),
  ]);
  const renewing = another();
  try {
    for (let n = 0; n < 10; n++) assert.equal((await renewing.renewKey(owner))?.secrets, 3);
  } finally {
    stop = true;
  }
  await Promise.all(work);
  const kept = revealed((await servers[0]?.get(owner)) ?? []);
  assert.deepEqual(kept, { A: String(written.get('A')), B: String(written.get('B')), C: '0' });
  assert.equal((await store.db.selectFrom('data_keys').selectAll().execute()).length, 1);
});

test('older rows and the older data key, put back together, are the state of then; the older rows alone open nothing', async (t) => {
  const { vault, store, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'x');
  const [version] = await store.db.selectFrom('secret_versions').selectAll().execute();
  const [secret] = await store.db.selectFrom('secrets').selectAll().execute();
  await vault.renewKey(owner);
  assert.ok(version && secret);
  await store.write(async (tx) => {
    await tx.updateTable('secret_versions').set(version).execute();
    await tx.updateTable('secrets').set(secret).execute();
    await tx.updateTable('owners').set({ revision: 1000 }).execute();
  });
  await assert.rejects(vault.get(owner), { code: 'ERR_DECRYPTION_FAILED' });
});

test('a secret that does not open keeps the older key, as it would be lost with it', async (t) => {
  const { vault, store, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  for (const name of ['A', 'B']) await vault.set(owner, named(name), 'x');
  const before = await store.db.selectFrom('secret_versions').selectAll().orderBy('secret_id').execute();
  const id = before[1]?.secret_id as string;
  await store.write((tx) =>
    tx
      .updateTable('secret_versions')
      .set({ ciphertext: randomBytes(50) })
      .where('secret_id', '=', id)
      .execute(),
  );
  const damaged = await store.db.selectFrom('secret_versions').selectAll().orderBy('secret_id').execute();
  await assert.rejects(vault.renewKey(owner), { code: 'ERR_DECRYPTION_FAILED', message: new RegExp(id) });
  assert.deepEqual(await store.db.selectFrom('secret_versions').selectAll().orderBy('secret_id').execute(), damaged);
  assert.equal(Object.keys((await readable(vault, owner)).values).length, 1);
});

test('a name is found, and a value opened, by a server that unwrapped the older key just before it was renewed', async (t) => {
  const database = sqliteDatabase(t);
  const { vault, store, newOwner, rootKeys, clock } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'x');
  for (const read of [
    (late: Vault) => late.idsOf(owner, [named('A')]),
    (late: Vault) => late.versions(owner, named('A')),
    (late: Vault) => late.version(owner, named('A'), 1),
  ]) {
    let renewals = 0;
    const slow: RootKeys = {
      ...rootKeys,
      active: rootKeys.active,
      get: (id) => ({
        ...rootKeys.get(id),
        async unwrap(wrapped, context) {
          const key = await rootKeys.get(id).unwrap(wrapped, context);
          if (renewals++ === 0) await vault.renewKey(owner);
          return key;
        },
      }),
    };
    const late = createVault({ store, rootKeys: slow, clock });
    t.after(() => late.close());
    await assert.doesNotReject(read(late));
    assert.ok(renewals > 1);
  }
});
