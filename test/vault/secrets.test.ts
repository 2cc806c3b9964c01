import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { InvalidValue, NotFound, QuotaExceeded } from '../../src/protocol/errors.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { KEPT_VERSIONS, MAX_OWNER_BYTES, MAX_SECRETS_PER_OWNER, MAX_VALUE_BYTES } from '../../src/protocol/limits.ts';
import { NO_ATTRIBUTES } from '../../src/protocol/secret-attributes.ts';
import { createVault, type Vault } from '../../src/vault/vault.ts';
import { eachStore, interrupted, sqliteDatabase } from '../stores.ts';
import { named, openVault, readable, revealed, valuesOf } from './vaults.ts';

eachStore('a secret set twice keeps the later value', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  assert.deepEqual(await vault.set(owner, named('A'), 'first'), { version: 1 });
  assert.deepEqual(await vault.set(owner, named('A'), 'second'), { version: 2 });
  assert.deepEqual(revealed(await vault.get(owner)), { A: 'second' });
});

eachStore('secrets come sorted by name, all or those that are asked for', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  for (const name of ['C', 'A', 'B', 'é']) await vault.set(owner, named(name), `value of ${name}`);
  assert.deepEqual(Object.keys(revealed(await vault.get(owner))), ['A', 'B', 'C', 'é']);
  const asked = await vault.get(owner, [named('C'), named('nowhere'), named('A'), named('C')]);
  assert.deepEqual(revealed(asked), { A: 'value of A', C: 'value of C' });
  assert.deepEqual(await vault.get(owner, []), []);
});

eachStore('a new owner has nothing, and asking makes no data key', async (t, database) => {
  const { vault, newOwner, store } = await openVault(t, database);
  const owner = await newOwner();
  assert.deepEqual(await vault.get(owner), []);
  assert.deepEqual(await vault.get(owner, [named('A')]), []);
  assert.deepEqual(await vault.list(owner), { secrets: [], damaged: [] });
  assert.equal(await vault.delete(owner, named('A')), false);
  assert.equal(await vault.deleteAll(owner), 0);
  await assert.rejects(vault.versions(owner, named('A')), NotFound);
  await assert.rejects(vault.idsOf(owner, [named('A')]), NotFound);
  assert.deepEqual(await store.db.selectFrom('data_keys').selectAll().execute(), []);
});

/** Of a secret that neither ended nor went to a job. */
const UNUSED = { expired: false, lastUsedAt: null };

eachStore('the list tells version, size and times without values', async (t, database) => {
  let now = 1000;
  const { vault, newOwner } = await openVault(t, database, { clock: () => now });
  const owner = await newOwner();
  await vault.set(owner, named('key', 'file'), 'aGk=');
  await vault.set(owner, named('A'), 'é');
  now = 2000;
  await vault.set(owner, named('A'), 'longer');
  const { secrets: listed } = await vault.list(owner);
  assert.deepEqual(
    listed.map(({ id, ...rest }) => rest),
    [
      {
        name: 'A',
        attributes: NO_ATTRIBUTES,
        version: 2,
        size: 6,
        sealed: false,
        createdAt: 1000,
        updatedAt: 2000,
        ...UNUSED,
      },
      {
        name: '___file___:key',
        attributes: NO_ATTRIBUTES,
        version: 1,
        size: 4,
        sealed: false,
        createdAt: 1000,
        updatedAt: 1000,
        ...UNUSED,
      },
    ],
  );
  assert.doesNotMatch(
    inspect(await vault.get(owner), { depth: 9 }) + JSON.stringify(await vault.get(owner)),
    /longer|aGk/,
  );
});

eachStore('a deleted secret is gone with every version', async (t, database) => {
  const { vault, newOwner, store } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'one');
  await vault.set(owner, named('A'), 'two');
  await vault.set(owner, named('B'), 'stays');
  assert.equal(await vault.delete(owner, named('A')), true);
  assert.equal(await vault.delete(owner, named('A')), false);
  assert.deepEqual(revealed(await vault.get(owner)), { B: 'stays' });
  assert.equal((await store.db.selectFrom('secret_versions').selectAll().execute()).length, 1);
  assert.deepEqual(await vault.set(owner, named('A'), 'new'), { version: 1 });
});

eachStore('deleting all deletes nothing of another owner', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const [ada, bob] = [await newOwner(), await newOwner()];
  for (const name of ['A', 'B', 'C']) {
    await vault.set(ada, named(name), `Ada's ${name}`);
    await vault.set(bob, named(name), `Bob's ${name}`);
  }
  assert.equal(await vault.deleteAll(ada), 3);
  assert.deepEqual(await vault.get(ada), []);
  assert.deepEqual(revealed(await vault.get(bob)), { A: "Bob's A", B: "Bob's B", C: "Bob's C" });
});

eachStore('two owners with the same names never see anything of each other', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const [ada, bob] = [await newOwner(), await newOwner()];
  await vault.set(ada, named('TOKEN'), "Ada's");
  await vault.set(bob, named('TOKEN'), "Bob's");
  await vault.set(bob, named('OTHER'), 'only his');
  assert.deepEqual(revealed(await vault.get(ada)), { TOKEN: "Ada's" });
  assert.deepEqual(revealed(await vault.get(ada, [named('TOKEN'), named('OTHER')])), { TOKEN: "Ada's" });
  const hisIds = await vault.idsOf(bob, [named('TOKEN'), named('OTHER')]);
  assert.deepEqual(await vault.namesOf(ada, hisIds), new Map());
  await assert.rejects(vault.getForJob(ada, { secretIds: hisIds, queue: 'Q' }), NotFound);
  await assert.rejects(vault.idsOf(ada, [named('OTHER')]), NotFound);
  await assert.rejects(vault.versions(ada, named('OTHER')), NotFound);
  assert.equal(await vault.delete(ada, named('OTHER')), false);
  assert.deepEqual(revealed(await vault.get(bob)), { OTHER: 'only his', TOKEN: "Bob's" });
});

eachStore(
  'an id stands for the secret of a name: gone when it is deleted, there again when it is set anew',
  async (t, database) => {
    const { vault, newOwner } = await openVault(t, database);
    const owner = await newOwner();
    await vault.set(owner, named('A'), 'a');
    await vault.set(owner, named('B'), 'b');
    const [b, a] = await vault.idsOf(owner, [named('B'), named('A')]);
    assert.ok(a && b);
    await vault.set(owner, named('A'), 'changed');
    assert.deepEqual(valuesOf(await vault.getForJob(owner, { secretIds: [a, b], queue: 'Q' })), {
      A: 'changed',
      B: 'b',
    });
    assert.deepEqual(
      await vault.namesOf(owner, [a, b, 'nothing']),
      new Map([
        [a, 'A'],
        [b, 'B'],
      ]),
    );

    await vault.delete(owner, named('A'));
    await assert.rejects(vault.getForJob(owner, { secretIds: [b, a], queue: 'Q' }), {
      code: 'ERR_NOT_FOUND',
      message: 'of the 2 secrets that the task names, number 2 was deleted since it was submitted',
    });
    await vault.set(owner, named('A'), 'anew');
    assert.deepEqual(valuesOf(await vault.getForJob(owner, { secretIds: [a, b], queue: 'Q' })), {
      A: 'anew',
      B: 'b',
    });
  },
);

eachStore('a name that is not there is refused with every such name', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'a');
  await assert.rejects(vault.idsOf(owner, [named('X'), named('A'), named('Y', 'file')]), {
    message: 'you have no secret named "X", "Y"',
  });
});

eachStore('the largest value is kept, and one byte more is refused', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  const largest = 'é'.repeat(MAX_VALUE_BYTES / 2);
  await vault.set(owner, named('BIG'), largest);
  assert.equal(revealed(await vault.get(owner))['BIG'] === largest, true);
  await assert.rejects(vault.set(owner, named('BIG'), `${largest}.`), InvalidValue);
  assert.deepEqual(
    (await vault.list(owner)).secrets.map(({ version, size }) => ({ version, size })),
    [{ version: 1, size: 1_024_000 }],
  );
});

test('a lone surrogate is refused', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  for (const value of ['\ud800', 'a\udfffb', '\udc00\ud800']) {
    await assert.rejects(vault.set(owner, named('A'), value), { code: 'ERR_INVALID_VALUE', message: /lone surrogate/ });
  }
  assert.deepEqual(await vault.get(owner), []);
});

eachStore('an owner keeps so many secrets and no more, and may still change them', async (t, database) => {
  const { vault, newOwner, store } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'x');
  const row = await store.db.selectFrom('secrets').selectAll().executeTakeFirstOrThrow();
  const others = Array.from({ length: MAX_SECRETS_PER_OWNER - 2 }, () => randomUUID());
  const filling = others.map((id) => ({ ...row, id, name_hash: Buffer.from(id) }));
  await store.write((tx) => tx.insertInto('secrets').values(filling).execute());

  await vault.set(owner, named('LAST'), 'x');
  await assert.rejects(vault.set(owner, named('ONE_MORE'), 'x'), {
    code: 'ERR_QUOTA_EXCEEDED',
    message: /1000 secrets.*delete one/,
  });
  await vault.set(owner, named('A'), 'longer');
  await vault.delete(owner, named('A'));
  await vault.set(owner, named('ONE_MORE'), 'x');
  await assert.rejects(vault.set(owner, named('A'), 'x'), QuotaExceeded);
});

test('an owner keeps so many bytes and no more; smaller values make room', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  const value = 'x'.repeat(MAX_VALUE_BYTES);
  const full = Math.floor(MAX_OWNER_BYTES / MAX_VALUE_BYTES);
  for (let n = 0; n < full; n++) await vault.set(owner, named(`N${n}`), value);
  await assert.rejects(vault.set(owner, named('ONE_MORE'), value), QuotaExceeded);
  await vault.set(owner, named('N0'), value);
  await vault.set(owner, named('N0'), 'small');
  await vault.set(owner, named('ONE_MORE'), value);
  await assert.rejects(vault.restore(owner, named('N0'), 1), QuotaExceeded);
});

test('the last byte that an owner may keep is kept, and none after it', async (t) => {
  const { vault, newOwner } = await openVault(t, sqliteDatabase(t));
  const owner = await newOwner();
  const value = 'x'.repeat(MAX_VALUE_BYTES);
  const full = Math.floor(MAX_OWNER_BYTES / MAX_VALUE_BYTES);
  for (let n = 0; n < full; n++) await vault.set(owner, named(`N${n}`), value);
  const rest = MAX_OWNER_BYTES - full * MAX_VALUE_BYTES;
  const tooMany = { code: 'ERR_QUOTA_EXCEEDED', message: new RegExp(`would have ${MAX_OWNER_BYTES + 1} bytes`) };
  await assert.rejects(vault.set(owner, named('REST'), 'x'.repeat(rest + 1)), tooMany);
  await vault.set(owner, named('REST'), 'x'.repeat(rest));
  await assert.rejects(vault.set(owner, named('MORE'), 'x'), tooMany);
  await assert.rejects(vault.set(owner, named('REST'), 'x'.repeat(rest + 1)), tooMany);
});

eachStore('a version that was overwritten can be restored, as a new version', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'good');
  await vault.set(owner, named('A'), 'a mistake');
  assert.deepEqual(await vault.restore(owner, named('A'), 1), { version: 3 });
  assert.deepEqual(revealed(await vault.get(owner)), { A: 'good' });
  assert.deepEqual(
    (await vault.versions(owner, named('A'))).map(({ version, size, current }) => ({ version, size, current })),
    [
      { version: 3, size: 4, current: true },
      { version: 2, size: 9, current: false },
      { version: 1, size: 4, current: false },
    ],
  );
});

eachStore('a secret that is deleted while it is restored stays deleted', async (t, database) => {
  const { vault, newOwner, store, rootKeys, clock } = await openVault(t, database);
  const owner = await newOwner();
  await vault.set(owner, named('A'), 'first');
  await vault.set(owner, named('A'), 'second');
  const deleting = interrupted(store, () => vault.delete(owner, named('A')));
  const other = createVault({ store: deleting, rootKeys, clock });
  t.after(() => other.close());
  await assert.rejects(other.restore(owner, named('A'), 1), {
    code: 'ERR_NOT_FOUND',
    message: 'the secret was deleted before it was restored',
  });
  assert.deepEqual(await vault.list(owner), { secrets: [], damaged: [] });
});

eachStore(
  'versions that an earlier release kept go with the next value, and one that was lost harms none',
  async (t, database) => {
    const { vault, store, newOwner } = await openVault(t, database);
    const owner = await newOwner();
    for (let n = 1; n <= KEPT_VERSIONS + 2; n++) await vault.set(owner, named('A'), `value ${n}`);
    const versions = () => store.db.selectFrom('secret_versions').select('version').orderBy('version').execute();
    const kept = async () => (await versions()).map(({ version }) => version);
    assert.deepEqual(await kept(), [3, 4, 5, 6, 7]);
    const [third] = await store.db.selectFrom('secret_versions').selectAll().where('version', '=', 3).execute();
    for (const version of [1, 2]) {
      await store.write((tx) =>
        tx
          .insertInto('secret_versions')
          .values({ ...(third as NonNullable<typeof third>), version })
          .execute(),
      );
    }
    await vault.set(owner, named('A'), 'value 8');
    assert.deepEqual(await kept(), [4, 5, 6, 7, 8]);
    await store.write((tx) => tx.deleteFrom('secret_versions').where('version', '=', 4).execute());
    await vault.set(owner, named('A'), 'value 9');
    assert.deepEqual(await kept(), [5, 6, 7, 8, 9]);
    assert.deepEqual(revealed(await vault.get(owner)), { A: 'value 9' });
    assert.equal((await vault.version(owner, named('A'), 5)).value.reveal(), 'value 5');
  },
);

eachStore('the last few versions are kept and older ones deleted', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  for (let n = 1; n <= KEPT_VERSIONS + 2; n++) await vault.set(owner, named('A'), `value ${n}`);
  const kept = (await vault.versions(owner, named('A'))).map(({ version }) => version);
  assert.deepEqual(kept, [7, 6, 5, 4, 3]);
  await assert.rejects(vault.restore(owner, named('A'), 2), {
    code: 'ERR_NOT_FOUND',
    message: 'version 2 of "A" is not kept; the kept ones are 7, 6, 5, 4, 3',
  });
  await assert.rejects(vault.restore(owner, named('B'), 1), { message: 'you have no secret named "B"' });
});

eachStore('sets of different names at once are all kept', async (t, database) => {
  const { vault, newOwner } = await openVault(t, database);
  const owner = await newOwner();
  const names = Array.from({ length: 50 }, (_, n) => `N${String(n).padStart(2, '0')}`);
  await Promise.all(names.map((name) => vault.set(owner, named(name), `value of ${name}`)));
  assert.deepEqual(revealed(await vault.get(owner)), Object.fromEntries(names.map((n) => [n, `value of ${n}`])));
});

eachStore('sets of one name at once each become a version, from two servers as well', async (t, database) => {
  const { vault, newOwner, anotherServer } = await openVault(t, database);
  const owner = await newOwner();
  const servers = [vault, await anotherServer()];
  const sets = Array.from({ length: 50 }, async (_, n) => {
    const { version } = await (servers[n % 2] ?? vault).set(owner, named('A'), `value ${n}`);
    return { version, value: `value ${n}` };
  });
  const done = (await Promise.all(sets)).sort((a, b) => a.version - b.version);
  assert.deepEqual(
    done.map(({ version }) => version),
    Array.from({ length: 50 }, (_, n) => n + 1),
  );
  assert.deepEqual(revealed(await vault.get(owner)), { A: done.at(-1)?.value });
});

eachStore('an owner who sets the first secret on two servers at once gets one data key', async (t, database) => {
  const { vault, newOwner, anotherServer, store } = await openVault(t, database);
  const owner = await newOwner();
  const other = await anotherServer();
  await Promise.all([
    ...['A', 'B', 'C'].map((name) => vault.set(owner, named(name), name)),
    ...['D', 'E', 'F'].map((name) => other.set(owner, named(name), name)),
  ]);
  assert.equal((await vault.get(owner)).length, 6);
  assert.equal((await store.db.selectFrom('data_keys').selectAll().execute()).length, 1);
});

eachStore('two servers on one database see each other at once', async (t, database) => {
  const { vault, newOwner, anotherServer } = await openVault(t, database);
  const owner = await newOwner();
  const other = await anotherServer();
  const assertKept = async (one: Vault, values: Record<string, string>) => {
    assert.deepEqual(revealed(await one.get(owner)), values);
    // From the database, which an owner's second time ends, and as it is remembered.
    for (let times = 0; times < 3; times++) {
      assert.deepEqual(await readable(one, owner), { values, damaged: [] });
    }
  };
  await vault.set(owner, named('A'), 'one');
  await assertKept(other, { A: 'one' });
  await other.set(owner, named('A'), 'two');
  await assertKept(vault, { A: 'two' });
  await vault.set(owner, named('B'), 'new');
  await assertKept(other, { A: 'two', B: 'new' });
  await other.delete(owner, named('A'));
  await assertKept(vault, { B: 'new' });
  await assertKept(other, { B: 'new' });
  await other.renewKey(owner);
  await assertKept(vault, { B: 'new' });
  await vault.deleteAll(owner);
  await assertKept(other, {});
});

test('how much ciphertext a server may remember changes no answer', async (t) => {
  const database = sqliteDatabase(t);
  const { vault, newOwner } = await openVault(t, database, { cacheBytes: 1 });
  const { vault: small } = await openVault(t, database, { cacheBytes: 4000 });
  const owners = [await newOwner(), await newOwner(), await newOwner()];
  for (const [n, owner] of owners.entries()) await vault.set(owner, named('A'), String(n).repeat(1000));
  for (let round = 0; round < 3; round++) {
    for (const [n, owner] of owners.entries()) {
      const values = { A: String(n).repeat(1000) };
      for (const one of [vault, small]) {
        assert.deepEqual(revealed(await one.get(owner)), values);
        assert.deepEqual(await readable(one, owner), { values, damaged: [] });
      }
    }
  }
});

eachStore('a destroyed owner has nothing left, here or on another server, and may begin anew', async (t, database) => {
  const { vault, newOwner, anotherServer, store } = await openVault(t, database);
  const [owner, bystander] = [await newOwner(), await newOwner()];
  const other = await anotherServer();
  await other.set(owner, named('A'), 'a');
  await other.set(bystander, named('A'), 'his');
  assert.deepEqual(await readable(other, owner), { values: { A: 'a' }, damaged: [] });
  await vault.destroyOwner(owner);
  assert.deepEqual(await other.get(owner), []);
  assert.deepEqual(await readable(other, owner), { values: {}, damaged: [] });
  const keys = await store.db.selectFrom('data_keys').selectAll().execute();
  assert.deepEqual(
    keys.map((key) => key.owner_id),
    [bystander],
  );
  assert.deepEqual(revealed(await vault.get(bystander)), { A: 'his' });
  await other.set(owner, named('A'), 'anew');
  assert.deepEqual(revealed(await vault.get(owner)), { A: 'anew' });
});

test('an owner who does not exist is refused', async (t) => {
  const { vault } = await openVault(t, sqliteDatabase(t));
  await assert.rejects(vault.deleteAll('nobody' as OwnerId), NotFound);
  await assert.rejects(vault.destroyOwner('nobody' as OwnerId), NotFound);
});
