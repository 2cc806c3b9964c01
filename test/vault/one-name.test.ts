import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { QuotaExceeded } from '../../src/protocol/errors.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_OWNER_BYTES, MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { type SecretKind, splitWireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { NO_ATTRIBUTES, parseAttributes } from '../../src/protocol/secret-attributes.ts';
import { dataKeyContext, hashName, importDataKey, secretIdOf } from '../../src/sealing/data-key.ts';
import { sealName, sealValue } from '../../src/sealing/value-format.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { named, openVault, revealed, valuesOf } from './vaults.ts';

const X = named('X');
const FILE_X = named('X', 'file');

/** An owner with one secret, so that there is a data key; and what puts rows into the database as an earlier release did. */
async function earlierOwner(t: TestContext, database: TestDatabase) {
  let now = 1_000_000;
  const opened = await openVault(t, database, { clock: () => now++ });
  const { vault, store, rootKeys } = opened;
  const owner = await opened.newOwner();
  await vault.set(owner, named('OTHER'), 'other');
  const row = await store.db
    .selectFrom('data_keys')
    .selectAll()
    .where('owner_id', '=', owner)
    .executeTakeFirstOrThrow();
  const ids = { id: row.id, ownerId: owner };
  const bytes = await rootKeys.get(row.root_key_id).unwrap(row.wrapped, dataKeyContext(ids));
  const dataKey = importDataKey({ ...ids, bytes });

  /** The hash, and with it the id, is of the name on the wire: that of a file has the mark in front. */
  async function plant(kind: SecretKind, value: string, attributes = NO_ATTRIBUTES) {
    const name = named('X', kind);
    const nameHash = hashName(dataKey, name);
    const [id, at, size] = [secretIdOf(nameHash), now++, Buffer.byteLength(value)];
    const place = { nameHash, attributes };
    await store.write(async (tx) => {
      const its = { owner_id: owner, data_key_id: dataKey.id, size, created_at: at };
      await tx
        .insertInto('secrets')
        .values({
          ...its,
          ...attributes,
          id,
          name_hash: nameHash,
          name_ciphertext: sealName(dataKey, place, name),
          hashed_as: kind,
          current_version: 1,
          updated_at: at,
        })
        .execute();
      const ciphertext = sealValue(dataKey, { ...place, version: 1 }, { name, value: new Plaintext(value) });
      await tx
        .insertInto('secret_versions')
        .values({ ...its, secret_id: id, version: 1, ciphertext })
        .execute();
      await tx.updateTable('owners').set({ revision: now }).where('id', '=', owner).execute();
    });
    return id;
  }
  const rows = async () =>
    (await store.db.selectFrom('secrets').select('id').where('owner_id', '=', owner).execute()).length - 1;
  return { ...opened, owner, plant, rows };
}

type Opened = Awaited<ReturnType<typeof earlierOwner>>;

/** All there is beside OTHER, by every way to it. */
async function kept({ vault, owner, anotherServer }: Opened) {
  const { OTHER, ...all } = revealed(await vault.get(owner));
  assert.equal(OTHER, 'other');
  const forJob = await vault.getForJob(owner, { secretIds: null, queue: 'Q' });
  assert.deepEqual(valuesOf(forJob), { OTHER, ...all });
  assert.deepEqual(revealed(await (await anotherServer()).get(owner, [X, FILE_X])), all);
  assert.deepEqual(
    (await vault.list(owner)).secrets.map(({ name }) => name),
    ['OTHER', ...Object.keys(all)],
  );
  return all;
}

eachStore('setting a name replaces it, whatever its kind', async (t, database) => {
  const opened = await earlierOwner(t, database);
  const { vault, owner, rows } = opened;
  assert.deepEqual(await vault.set(owner, X, 'a string'), { version: 1 });
  const [id] = await vault.idsOf(owner, [X]);
  assert.deepEqual(await vault.set(owner, FILE_X, 'ZmlsZQ=='), { version: 2 });
  assert.deepEqual(await kept(opened), { [FILE_X]: 'ZmlsZQ==' });
  assert.deepEqual(await vault.set(owner, X, 'a string again'), { version: 3 });
  assert.deepEqual(await kept(opened), { X: 'a string again' });
  assert.equal(await rows(), 1);
  for (const name of [X, FILE_X]) assert.deepEqual(await vault.idsOf(owner, [name]), [id], 'a task still means it');
});

eachStore('a name is answered as what it is, to a client that asks for one kind of it', async (t, database) => {
  const { vault, owner } = await earlierOwner(t, database);
  await vault.set(owner, FILE_X, 'ZmlsZQ==');
  assert.deepEqual(await vault.get(owner, [X]), []);
  assert.deepEqual(revealed(await vault.get(owner, [FILE_X])), { [FILE_X]: 'ZmlsZQ==' });
});

eachStore('deleting a name deletes it, whatever its kind', async (t, database) => {
  const opened = await earlierOwner(t, database);
  const { vault, owner } = opened;
  for (const set of [X, FILE_X]) {
    for (const deleted of [X, FILE_X]) {
      await vault.set(owner, set, 'ZmlsZQ==');
      assert.equal(await vault.delete(owner, deleted), true);
      assert.equal(await vault.delete(owner, deleted), false);
      assert.deepEqual(await kept(opened), {});
    }
  }
});

eachStore('versions go on over a change of kind, and a restored one has its own kind again', async (t, database) => {
  const opened = await earlierOwner(t, database);
  const { vault, owner } = opened;
  await vault.set(owner, FILE_X, 'ZmlsZQ==', parseAttributes({ queues: ['Q'] }));
  await vault.set(owner, X, 'a mistake');
  for (const name of [X, FILE_X]) {
    const versions = (await vault.versions(owner, name)).map(({ version, current }) => [version, current]);
    assert.deepEqual(versions, [
      [2, true],
      [1, false],
    ]);
  }
  await vault.restore(owner, X, 1);
  assert.deepEqual(await kept(opened), { [FILE_X]: 'ZmlsZQ==' });
  await vault.restore(owner, X, 2);
  assert.deepEqual(await kept(opened), { X: 'a mistake' });
  assert.equal((await vault.list(owner)).secrets.at(-1)?.attributes.queues, 'Q', 'what it carries stays with the name');
});

eachStore('both kinds set at once, on two servers, leave one secret', async (t, database) => {
  const opened = await earlierOwner(t, database);
  const { vault, owner, anotherServer, rows } = opened;
  const servers = [vault, await anotherServer()];
  for (let round = 0; round < 5; round++) {
    const sets = Array.from({ length: 10 }, async (_, n) => {
      const name = (n + round) % 2 === 0 ? X : FILE_X;
      const value = Buffer.from(`value ${n}`).toString('base64');
      return { name, value, ...(await (servers[n % 2] ?? vault).set(owner, name, value)) };
    });
    const done = (await Promise.all(sets)).sort((a, b) => a.version - b.version);
    assert.deepEqual(
      done.map(({ version }) => version),
      Array.from({ length: 10 }, (_, n) => n + 1),
    );
    const last = done.at(-1);
    assert.deepEqual(await kept(opened), { [last?.name ?? '']: last?.value });
    assert.equal(await rows(), 1);
    await vault.delete(owner, X);
  }
});

eachStore('a change of kind counts as one secret, and the bytes of the new value alone', async (t, database) => {
  const { vault, owner } = await earlierOwner(t, database);
  const largest = 'x'.repeat(MAX_VALUE_BYTES);
  const room = Math.floor((MAX_OWNER_BYTES - 'other'.length) / MAX_VALUE_BYTES);
  for (let n = 1; n < room; n++) await vault.set(owner, named(`N${n}`), largest);
  await vault.set(owner, X, largest);
  await assert.rejects(vault.set(owner, named('ONE_MORE'), largest), QuotaExceeded);
  await vault.set(owner, FILE_X, largest);
  await vault.set(owner, FILE_X, 'c21hbGw=');
  await vault.set(owner, named('ONE_MORE'), largest);
  await assert.rejects(vault.set(owner, X, largest), QuotaExceeded);
});

for (const [newer, older] of [
  ['string', 'file'],
  ['file', 'string'],
] as const) {
  const newest = named('X', newer);

  eachStore(
    `of two kinds of a name in an earlier database the ${newer} counts that was set later`,
    async (t, database) => {
      const opened = await earlierOwner(t, database);
      const { vault, owner, plant, rows } = opened;
      const ids = [await plant(older, 'b2xk'), await plant(newer, 'bmV3')];
      assert.deepEqual(await kept(opened), { [newest]: 'bmV3' });
      for (const secretIds of [ids, ids.slice(0, 1), ids.slice(1)]) {
        const forJob = await vault.getForJob(owner, { secretIds, queue: 'Q' });
        assert.deepEqual(valuesOf(forJob), { [newest]: 'bmV3' }, 'also for a waiting task that named the other one');
      }
      for (const name of [X, FILE_X]) assert.deepEqual(await vault.idsOf(owner, [name]), ids.slice(1));
      assert.equal((await vault.versions(owner, X)).length, 1);

      assert.deepEqual(await vault.set(owner, named('X', older), 'bmV4dA=='), { version: 2 });
      assert.deepEqual(await kept(opened), { [named('X', older)]: 'bmV4dA==' });
      assert.equal(await rows(), 1, 'the one that was replaced is gone from the database');
    },
  );

  eachStore(
    `deleting a name deletes both kinds of an earlier database, the ${newer} being newer`,
    async (t, database) => {
      const opened = await earlierOwner(t, database);
      const { vault, owner, plant, rows } = opened;
      const ids = [await plant(older, 'b2xk'), await plant(newer, 'bmV3')];
      assert.equal(await vault.delete(owner, X), true);
      assert.deepEqual([await kept(opened), await rows()], [{}, 0]);
      await vault.set(owner, FILE_X, 'YW5ldw==');
      const forJob = await vault.getForJob(owner, { secretIds: ids, queue: 'Q' });
      assert.deepEqual(valuesOf(forJob), { [FILE_X]: 'YW5ldw==' }, 'set anew it is what a waiting task means');
    },
  );

  eachStore(`a ${older} that was replaced does not go where the newer ${newer} may not`, async (t, database) => {
    const { vault, owner, plant } = await earlierOwner(t, database);
    const ids = [
      await plant(older, 'b2xk'),
      await plant(newer, 'bmV3', { ...NO_ATTRIBUTES, ...parseAttributes({ queues: ['Q'] }) }),
    ];
    const elsewhere = await vault.getForJob(owner, { secretIds: null, queue: 'ELSEWHERE' });
    assert.deepEqual([valuesOf(elsewhere), elsewhere.leftOut], [{ OTHER: 'other' }, 1]);
    for (const id of ids) {
      await assert.rejects(vault.getForJob(owner, { secretIds: [id], queue: 'ELSEWHERE' }), { code: 'ERR_FORBIDDEN' });
    }
    await assert.rejects(vault.idsOf(owner, [named('X', older)], { queue: 'ELSEWHERE' }), { code: 'ERR_FORBIDDEN' });
  });
}

eachStore(
  'a file of an earlier database goes on: it opens, gets versions and may become a string',
  async (t, database) => {
    const opened = await earlierOwner(t, database);
    const { vault, owner, plant } = opened;
    const id = await plant('file', 'b2xk');
    assert.deepEqual(await kept(opened), { [FILE_X]: 'b2xk' });
    await vault.set(owner, FILE_X, 'bmV3', parseAttributes({ queues: ['Q'] }));
    await vault.set(owner, X, 'a string');
    assert.deepEqual(await kept(opened), { X: 'a string' });
    await vault.restore(owner, X, 1);
    assert.deepEqual(await kept(opened), { [FILE_X]: 'b2xk' });
    assert.deepEqual(await vault.idsOf(owner, [X]), [id]);
    assert.deepEqual(
      [...(await vault.namesOf(owner, [id])).values()].map((name) => splitWireName(name).kind),
      ['file'],
    );
  },
);

eachStore('a writer of the database cannot make a string a file', async (t, database) => {
  const opened = await earlierOwner(t, database);
  const { vault, store, owner } = opened;
  await vault.set(owner, X, 'a string');
  for (const hashed_as of ['file', 'nonsense']) {
    await store.write((tx) => tx.updateTable('secrets').set({ hashed_as }).where('owner_id', '=', owner).execute());
    await touch(opened, owner);
    assert.deepEqual(await kept(opened), { X: 'a string' });
  }
});

async function touch({ store }: Opened, owner: OwnerId) {
  await store.write((tx) =>
    tx
      .updateTable('owners')
      .set((eb) => ({ revision: eb('revision', '+', 1) }))
      .where('id', '=', owner)
      .execute(),
  );
}
