import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { rootKeysOf } from '../../src/sealing/root-keys.ts';
import type { Store } from '../../src/store/store.ts';
import { createVault, type Vault } from '../../src/vault/vault.ts';
import { eachStore, sqliteDatabase, type TestDatabase } from '../stores.ts';
import { named, newOwner, openVault, readable, revealed, valuesOf } from './vaults.ts';

/** Two owners with secrets of the same names, two versions each; somebody who holds the database changes rows behind the vault. */
async function twoOwners(t: TestContext, database: TestDatabase) {
  const opened = await openVault(t, database);
  const { vault, store } = opened;
  const [ada, bob] = [await newOwner(store), await newOwner(store)];
  for (const [owner, whose] of [
    [ada, "Ada's"],
    [bob, "Bob's"],
  ] as const) {
    for (const name of ['A', 'B']) {
      await vault.set(owner, named(name), `${whose} old ${name}`);
      await vault.set(owner, named(name), `${whose} new ${name}`);
    }
  }
  const idOf = async (owner: OwnerId, name: string) => (await vault.idsOf(owner, [named(name)]))[0] as string;
  return { ...opened, ada, bob, idOf };
}

/** Every way to a value is closed: nothing is answered, not even the secrets that were left alone. */
async function assertNothingOpens(vaults: readonly Vault[], owner: OwnerId) {
  for (const vault of vaults) await assert.rejects(vault.get(owner), { code: 'ERR_DECRYPTION_FAILED' });
}

/** A vault that has remembered nothing, as after a restart. */
async function restarted(opened: { anotherServer: () => Promise<Vault>; vault: Vault }) {
  return [opened.vault, await opened.anotherServer()];
}

async function touch(store: Store, owner: OwnerId) {
  await store.write((tx) =>
    tx
      .updateTable('owners')
      .set((eb) => ({ revision: eb('revision', '+', 1) }))
      .where('id', '=', owner)
      .execute(),
  );
}

eachStore("another owner's ciphertext in a secret's row does not open", async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, bob, idOf } = opened;
  const [mine, his] = [await idOf(ada, 'A'), await idOf(bob, 'A')];
  const { ciphertext } = await version(store, his, 2);
  await store.write((tx) =>
    tx.updateTable('secret_versions').set({ ciphertext }).where('secret_id', '=', mine).execute(),
  );
  await touch(store, ada);
  await assertNothingOpens(await restarted(opened), ada);
});

eachStore(
  "another owner's row, with the name of his data key, does not open for the owner whom it was given to",
  async (t, database) => {
    const opened = await twoOwners(t, database);
    const { store, vault, ada, bob, idOf } = opened;
    const his = await idOf(bob, 'B');
    await vault.deleteAll(ada);
    await vault.get(bob);
    await store.write(async (tx) => {
      await tx.updateTable('secrets').set({ owner_id: ada }).where('id', '=', his).execute();
      await tx.updateTable('secret_versions').set({ owner_id: ada }).where('secret_id', '=', his).execute();
    });
    await touch(store, ada);
    const vaults = await restarted(opened);
    await assertNothingOpens(vaults, ada);
    for (const one of vaults) {
      await assert.rejects(one.get(ada, [named('B')]), { code: 'ERR_DECRYPTION_FAILED' });
      await assert.rejects(one.getForJob(ada, { secretIds: [his], queue: 'Q' }), { code: 'ERR_DECRYPTION_FAILED' });
      await assert.rejects(one.list(ada), { code: 'ERR_DECRYPTION_FAILED' });
      await assert.rejects(one.namesOf(ada, [his]), { code: 'ERR_DECRYPTION_FAILED' });
    }
  },
);

eachStore('a data key that was given to another owner does not unwrap', async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, bob } = opened;
  await store.write(async (tx) => {
    await tx.deleteFrom('data_keys').where('owner_id', '=', ada).execute();
    await tx.updateTable('data_keys').set({ owner_id: ada }).where('owner_id', '=', bob).execute();
    await tx.deleteFrom('secrets').where('owner_id', '=', ada).execute();
    await tx.updateTable('secrets').set({ owner_id: ada }).where('owner_id', '=', bob).execute();
  });
  await touch(store, ada);
  const [, fresh] = await restarted(opened);
  assert.ok(fresh);
  await assertNothingOpens([fresh], ada);
  await assert.rejects(fresh.set(ada, named('NEW'), 'x'), { code: 'ERR_DECRYPTION_FAILED' });
});

eachStore('a value under another name of the same owner does not open', async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, idOf } = opened;
  const [a, b] = [await idOf(ada, 'A'), await idOf(ada, 'B')];
  const { ciphertext } = await version(store, b, 2);
  await store.write((tx) =>
    tx.updateTable('secret_versions').set({ ciphertext }).where('secret_id', '=', a).where('version', '=', 2).execute(),
  );
  await touch(store, ada);
  const vaults = await restarted(opened);
  await assertNothingOpens(vaults, ada);
  assert.deepEqual(revealed(await (vaults[1] as Vault).get(ada, [named('B')])), { B: "Ada's new B" });
});

eachStore('names that were exchanged between two secrets do not open', async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, idOf } = opened;
  const [a, b] = [await idOf(ada, 'A'), await idOf(ada, 'B')];
  const hashOf = async (id: string) =>
    (await store.db.selectFrom('secrets').select('name_hash').where('id', '=', id).executeTakeFirstOrThrow()).name_hash;
  const [hashA, hashB] = [await hashOf(a), await hashOf(b)];
  await store.write(async (tx) => {
    for (const [id, name_hash] of [
      [a, Buffer.alloc(32)],
      [b, hashA],
      [a, hashB],
    ] as const)
      await tx.updateTable('secrets').set({ name_hash }).where('id', '=', id).execute();
  });
  await touch(store, ada);
  for (const vault of await restarted(opened)) {
    await assertNothingOpens([vault], ada);
    const { secrets, damaged } = await vault.list(ada);
    assert.deepEqual(
      [secrets, damaged.map(({ id, name }) => [id, name]).sort()],
      [
        [],
        [
          [a, null],
          [b, null],
        ].sort(),
      ],
    );
  }
});

eachStore('an old value in the place of the new one does not open', async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, idOf } = opened;
  const a = await idOf(ada, 'A');
  const { ciphertext } = await version(store, a, 1);
  await store.write((tx) =>
    tx.updateTable('secret_versions').set({ ciphertext }).where('secret_id', '=', a).where('version', '=', 2).execute(),
  );
  await touch(store, ada);
  const vaults = await restarted(opened);
  await assertNothingOpens(vaults, ada);
  for (const vault of vaults)
    await assert.rejects(vault.restore(ada, named('A'), 2), { code: 'ERR_DECRYPTION_FAILED' });
});

/** Each damages one secret, behind the vault. */
const DAMAGES: Record<string, (store: Store, id: string) => Promise<void>> = {
  'a changed byte of its value': async (store, id) => {
    const { ciphertext } = await version(store, id, 1);
    const changed = Buffer.from(ciphertext);
    changed[20] = (changed[20] ?? 0) ^ 1;
    await store.write((tx) =>
      tx.updateTable('secret_versions').set({ ciphertext: changed }).where('secret_id', '=', id).execute(),
    );
  },
  'no row of its version': async (store, id) => {
    await store.write((tx) => tx.deleteFrom('secret_versions').where('secret_id', '=', id).execute());
  },
  'a changed version number': async (store, id) => {
    await store.write((tx) => tx.updateTable('secrets').set({ current_version: 7 }).where('id', '=', id).execute());
  },
  'a changed hash of its name': async (store, id) => {
    const name_hash = Buffer.alloc(32, 7);
    await store.write((tx) => tx.updateTable('secrets').set({ name_hash }).where('id', '=', id).execute());
  },
  'the hash of its name cut, as a file of an earlier release': async (store, id) => {
    const change = { name_hash: Buffer.alloc(3), hashed_as: 'file' };
    await store.write((tx) => tx.updateTable('secrets').set(change).where('id', '=', id).execute());
  },
};

for (const [damage, inflict] of Object.entries(DAMAGES)) {
  eachStore(
    `a secret with ${damage} is told by its id and can be deleted; the others are there`,
    async (t, database) => {
      const { vault, store, anotherServer } = await openVault(t, database);
      const owner = await newOwner(store);
      for (const name of ['A', 'B', 'C']) await vault.set(owner, named(name), `value of ${name}`);
      const [a, b] = await vault.idsOf(owner, [named('A'), named('B')]);
      assert.ok(a && b);
      await inflict(store, b);
      await touch(store, owner);

      for (const one of [vault, await anotherServer()]) {
        await readable(one, owner);
        const { values, damaged } = await readable(one, owner);
        assert.deepEqual(values, { A: 'value of A', C: 'value of C' });
        assert.deepEqual(
          damaged.map(({ id, size }) => ({ id, size })),
          [{ id: b, size: 10 }],
        );
        assert.match(damaged[0]?.reason ?? '', /damaged|does not open/);
        const listed = await one.list(owner);
        const ids = [...listed.secrets, ...listed.damaged].map(({ id }) => id);
        assert.deepEqual(
          ids.sort(),
          (await store.db.selectFrom('secrets').select('id').execute()).map(({ id }) => id).sort(),
        );
        assert.deepEqual(
          listed.secrets.map(({ name }) => name).filter((name) => name !== named('B')),
          ['A', 'C'],
        );

        const refused = { code: 'ERR_DECRYPTION_FAILED', message: new RegExp(b) };
        await assert.rejects(one.get(owner), refused);
        await assert.rejects(one.getForJob(owner, { secretIds: null, queue: 'Q' }), refused);
        await assert.rejects(one.getForJob(owner, { secretIds: [b], queue: 'Q' }), refused);
        const asked = await one.getForJob(owner, { secretIds: [a], queue: 'Q' });
        assert.deepEqual(valuesOf(asked), { A: 'value of A' });
        assert.equal((await one.namesOf(owner, [a, b])).get(a), named('A'));
      }

      const bystander = await newOwner(store);
      assert.equal(await vault.deleteById(bystander, b), false);
      assert.equal(await vault.deleteById(owner, b), true);
      assert.equal(await vault.deleteById(owner, b), false);
      await vault.set(owner, named('B'), 'anew');
      assert.deepEqual(revealed(await vault.get(owner)), { A: 'value of A', B: 'anew', C: 'value of C' });
    },
  );
}

eachStore('an owner whose data key is damaged has no secret that opens, and is told so', async (t, database) => {
  const { vault, store, anotherServer } = await openVault(t, database);
  const owner = await newOwner(store);
  await vault.set(owner, named('A'), 'a');
  await store.write((tx) =>
    tx
      .updateTable('data_keys')
      .set({ wrapped: Buffer.alloc(61, 1) })
      .execute(),
  );
  const fresh = await anotherServer();
  for (const ask of [(whose: OwnerId) => readable(fresh, whose), fresh.list, fresh.get]) {
    await assert.rejects(ask(owner), { code: 'ERR_DECRYPTION_FAILED', message: /data key/ });
  }
});

eachStore('a changed bit, a cut value and a missing row are found', async (t, database) => {
  const opened = await twoOwners(t, database);
  const { store, ada, idOf } = opened;
  const a = await idOf(ada, 'A');
  const { ciphertext } = await version(store, a, 2);
  const replace = (changed: Uint8Array) =>
    store.write((tx) =>
      tx.updateTable('secret_versions').set({ ciphertext: changed }).where('secret_id', '=', a).execute(),
    );
  const flipped = Buffer.from(ciphertext);
  flipped[20] = (flipped[20] ?? 0) ^ 1;
  for (const changed of [flipped, ciphertext.subarray(0, ciphertext.length - 1), Buffer.alloc(0)]) {
    await replace(changed);
    await touch(store, ada);
    await assertNothingOpens([opened.vault], ada);
  }
  const laterFormat = Buffer.from(ciphertext);
  laterFormat[0] = 9;
  await replace(laterFormat);
  await touch(store, ada);
  await assert.rejects(opened.vault.get(ada), { code: 'ERR_UNKNOWN_FORMAT' });
  await store.write((tx) => tx.deleteFrom('secret_versions').where('secret_id', '=', a).execute());
  await touch(store, ada);
  await assertNothingOpens(await restarted(opened), ada);
});

test('a server without the root key of a secret says which one it needs', async (t) => {
  const { vault, newOwner, store, rootKeys } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'a');
  const other = { ...rootKeys.active, id: 'another' };
  const without = createVault({ store, rootKeys: rootKeysOf([other], 'another'), clock: Date.now });
  t.after(() => without.close());
  await assert.rejects(without.get(owner), {
    code: 'ERR_MISSING_ROOT_KEY',
    message: new RegExp(rootKeys.active.id),
  });
});

test('neither names nor values are anywhere in the files of the database', async (t) => {
  const database = sqliteDatabase(t);
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  const secrets = {
    MY_UNUSUAL_NAME: 'a-most-unusual-value',
    'имя-секрета': 'значение секрета',
    quux_file_name: 'cXV1eCBjb250ZW50',
  };
  for (const [name, value] of Object.entries(secrets)) {
    await vault.set(owner, named(name), value);
    await vault.set(owner, named(name, 'file'), `${value}, once more`);
  }
  await vault.restore(owner, named('MY_UNUSUAL_NAME'), 1);
  await vault.get(owner);
  await vault.list(owner);
  await vault.delete(owner, named('quux_file_name'));

  const files = readdirSync(database.folder);
  assert.ok(files.includes('panda.db-wal'), 'the write-ahead log is looked through as well');
  for (const file of files) {
    const bytes = readFileSync(join(database.folder, file));
    for (const text of Object.entries(secrets).flat()) {
      for (const form of [text, ...base64Forms(text), Buffer.from(text).toString('hex')]) {
        assert.equal(bytes.includes(form), false, `${form} is in ${file}`);
      }
      assert.equal(bytes.includes(Buffer.from(text, 'utf16le')), false, `${text} is in ${file} in UTF-16`);
    }
  }
});

/** Base64 of the text as it stands in a longer one, at each of the three alignments. */
function base64Forms(text: string): string[] {
  return [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), Buffer.from(text)])
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, -4),
  );
}

async function version(store: Store, secretId: string, number: number) {
  return store.db
    .selectFrom('secret_versions')
    .select('ciphertext')
    .where('secret_id', '=', secretId)
    .where('version', '=', number)
    .executeTakeFirstOrThrow();
}
