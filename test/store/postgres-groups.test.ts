import assert from 'node:assert/strict';
import { sql } from 'kysely';
import pg from 'pg';
import { openPostgres } from '../../src/store/postgres.ts';
import { prepared } from '../../src/store/prepared.ts';
import type { Database, Store } from '../../src/store/store.ts';
import { seenStatements } from '../seen-statements.ts';
import { onPostgres, type TestDatabase } from '../stores.ts';
import { addQueue, countOwner } from './statements.ts';

/** The number of the transaction: the same for all that share one. */
async function transactionOf(tx: Database): Promise<string> {
  const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`.execute(tx);
  return rows[0]?.id ?? '';
}

async function withOwners(database: TestDatabase, ids: readonly string[]): Promise<Store> {
  const store = await database.open();
  const values = ids.map((id) => ({ id, issuer: 'test', subject: id, display_name: id, created_at: 1 }));
  await store.write((tx) => tx.insertInto('owners').values(values).execute());
  return store;
}

/** Counts an owner, and does `then` in the same transaction. */
function writerOn(store: Store) {
  return (owner: string, then = async () => {}) =>
    store.write(
      async (tx) => {
        await countOwner(tx, { id: owner });
        await then();
      },
      { owner },
    );
}

async function revisions(store: Store): Promise<number[]> {
  const rows = await store.db.selectFrom('owners').select('revision').orderBy('id').execute();
  return rows.map(({ revision }) => revision);
}

async function queues(store: Store): Promise<string[]> {
  const rows = await store.db.selectFrom('queues').select('name').orderBy('name').execute();
  return rows.map(({ name }) => name);
}

/** Waits for a session of the same database that sleeps in a statement. @returns its process */
async function sleepingOn({ db }: Store): Promise<number> {
  for (;;) {
    const { rows } = await sql<{ pid: number }>`
      select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`.execute(db);
    if (rows[0]) return rows[0].pid;
  }
}

onPostgres('writes of several owners that arrive together share a transaction', async (t, database) => {
  const store = await withOwners(database, ['a', 'b', 'c']);
  const seen = seenStatements(t);
  const transactions = await Promise.all(
    ['c', 'a', 'b', 'a'].map((owner) =>
      store.write(
        async (tx) => {
          await countOwner(tx, { id: owner });
          return transactionOf(tx);
        },
        { owner },
      ),
    ),
  );
  assert.equal(new Set(transactions).size, 1);
  assert.deepEqual(await revisions(store), [2, 1, 1]);
  const locks = seen.filter(({ sql }) => /update "owners"/.test(sql)).map(({ values }) => values.at(-1));
  assert.deepEqual(locks.slice(0, 3), ['a', 'b', 'c'], 'in the order of every server');
});

onPostgres('a transaction is shared by no more than 64 writes, of which one owner has 8', async (_t, database) => {
  const owners = Array.from({ length: 70 }, (_, n) => `owner${n}`);
  const store = await withOwners(database, owners);
  const write = async (owner: string) => ({ owner, transaction: await store.write(transactionOf, { owner }) });
  const written = await Promise.all([...Array<string>(20).fill('owner0'), ...owners].map(write));
  const together = [...Map.groupBy(written, ({ transaction }) => transaction).values()];
  assert.equal(Math.max(...together.map((writes) => writes.length)), 64);
  const ofFirst = together.map((writes) => writes.filter(({ owner }) => owner === 'owner0').length);
  assert.equal(Math.max(...ofFirst), 8);
});

onPostgres('a write waits for the one before it of its owner, and no other waits with it', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b', 'c']);
  const runs: string[] = [];
  const write = (owner: string, then: () => Promise<unknown> = async () => {}) =>
    store.write(
      async (tx) => {
        runs.push(owner);
        await countOwner(tx, { id: owner });
        await then();
      },
      { owner },
    );
  let goOn = () => {};
  const isLocked = Promise.withResolvers<void>();
  const first = write('a', () => {
    isLocked.resolve();
    return new Promise<void>((resolve) => {
      goOn = resolve;
    });
  });
  const beside = write('b');
  await isLocked.promise;
  const second = write('a');
  await write('c');
  assert.deepEqual(runs, ['a', 'b', 'c']);
  goOn();
  await Promise.all([first, beside, second]);
  assert.deepEqual(runs, ['a', 'b', 'c', 'a']);
  assert.deepEqual(await revisions(store), [2, 1, 1]);
});

onPostgres(
  'the writes of a group whose connection is closed before its commit are made again',
  async (_t, database) => {
    const [store, other] = [await withOwners(database, ['a', 'b']), await database.open()];
    const runs: string[] = [];
    const write = (owner: string, then: (tx: Database) => Promise<unknown>) =>
      store.write(
        async (tx) => {
          runs.push(owner);
          await countOwner(tx, { id: owner });
          if (runs.length <= 2) await then(tx);
        },
        { owner },
      );
    await Promise.all([
      write('a', async (tx) => {
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
        await sql`select pg_terminate_backend(${rows[0]?.pid}, 30000)`.execute(other.db);
        // Its end has arrived, and is read with what is read now.
        await new Promise((resolve) => setImmediate(resolve));
      }),
      write('b', async () => {}),
    ]);
    assert.deepEqual(runs.sort(), ['a', 'a', 'b', 'b']);
    assert.deepEqual(await revisions(store), [1, 1]);
  },
);

onPostgres('one of a group that throws, or whose statement fails, undoes itself alone', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b', 'c']);
  const write = (owner: string, then: (tx: Database) => Promise<unknown>) =>
    store.write(
      async (tx) => {
        await countOwner(tx, { id: owner });
        await addQueue(tx, { name: owner.toUpperCase() });
        await then(tx);
      },
      { owner },
    );
  for (const { fails, code } of [
    { fails: () => Promise.reject(Object.assign(new Error('no'), { code: 'ERR_NO' })), code: 'ERR_NO' },
    // It is not waited for: the commit finds out.
    { fails: (tx: Database) => addQueue(tx, { name: 'B' }), code: '23505' },
    { fails: (tx: Database) => sql`select 1/0`.execute(tx), code: '22012' },
  ]) {
    await store.write((tx) => tx.deleteFrom('queues').execute());
    const before = await revisions(store);
    const [a, b, c] = await Promise.allSettled([
      write('a', async () => {}),
      write('b', fails),
      write('c', async () => {}),
    ]);
    assert.deepEqual([a.status, b.status, c.status], ['fulfilled', 'rejected', 'fulfilled']);
    assert.equal(b.status === 'rejected' && b.reason.code, code);
    assert.deepEqual(await queues(store), ['A', 'C']);
    assert.deepEqual(
      (await revisions(store)).map((revision, n) => revision - (before[n] ?? 0)),
      [1, 0, 1],
    );
  }
});

onPostgres('writes that come one after another, and together, are told when they are done', async (t, database) => {
  await withOwners(database, ['a', 'b']);
  const told: number[] = [];
  const store = await openPostgres(database.url ?? '', { onCommit: (writes) => told.push(writes) });
  t.after(() => store.close());
  const write = (owner: string) => store.write((tx) => countOwner(tx, { id: owner }), { owner });
  for (let times = 0; times < 4; times++) await write('a');
  await Promise.all([write('a'), write('b')]);
  assert.deepEqual(told, [1, 1, 1, 1, 2]);
  assert.deepEqual(await revisions(store), [5, 1]);
});

onPostgres('groups that failed leave room for later ones', async (_t, database) => {
  const owners = ['a', 'b', 'c', 'd'];
  const store = await withOwners(database, owners);
  const write = (owner: string) => store.write((tx) => countOwner(tx, { id: owner }), { owner });
  for (const owner of ['a', 'b', 'c']) {
    const fails = store.write(() => Promise.reject(new Error('no')), { owner });
    await Promise.allSettled([fails, write('d')]);
  }
  await Promise.all(owners.map(write));
  assert.deepEqual(await revisions(store), [1, 1, 1, 4]);
});

onPostgres('an owner whom another transaction keeps locked holds up no other owner', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b', 'c']);
  const other = await database.open();
  const write = (owner: string) => store.write((tx) => countOwner(tx, { id: owner }), { owner });
  let late: Promise<unknown> | undefined;
  await other.write(async (tx) => {
    await countOwner(tx, { id: 'b' });
    late = Promise.all([write('b'), write('b')]);
    await Promise.all([write('a'), write('c')]);
    await Promise.all([write('a'), write('c')]);
  });
  await late;
  assert.deepEqual(await revisions(store), [2, 3, 2]);
});

onPostgres('owners who are locked, each alone, do not take the turns of all others', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b', 'c', 'd']);
  const other = await database.open();
  const write = (owner: string) => store.write((tx) => countOwner(tx, { id: owner }), { owner });
  const late: Promise<unknown>[] = [];
  await other.write(async (tx) => {
    for (const owner of ['a', 'b', 'c']) {
      await countOwner(tx, { id: owner });
      late.push(write(owner));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await write('d');
  });
  await Promise.all(late);
  assert.deepEqual(await revisions(store), [2, 2, 2, 1]);
});

onPostgres(
  'writes behind one that fails run once each, and a store that is closed waits for them',
  async (_t, database) => {
    const other = await withOwners(database, ['a', 'b']);
    const store = await openPostgres(database.url ?? '');
    const write = writerOn(store);
    const later: Promise<unknown>[] = [];
    const fails = async () => {
      // They arrive while their owner's first ones run.
      if (later.length < 3) later.push(write('a'));
      throw new Error('no');
    };
    const ends = Promise.allSettled([write('a', fails), write('a', fails), write('a'), write('a'), write('b')]);
    await new Promise((resolve) => setImmediate(resolve));
    await store.close();
    assert.deepEqual(
      (await ends).map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
    );
    await Promise.all(later);
    assert.deepEqual(await revisions(other), [2 + later.length, 1]);
  },
);

onPostgres('no third group begins while two run, also after writes that waited for long', async (_t, database) => {
  const owners = ['a', 'b', 'c', 'd', 'e', 'f'];
  const [store, other] = [await withOwners(database, owners), await database.open()];
  const write = writerOn(store);
  // Each is alone, and longer than others wait for it.
  const waited: Promise<unknown>[] = [];
  await other.write(async (tx) => {
    await countOwner(tx, { id: 'a' });
    await countOwner(tx, { id: 'b' });
    for (const owner of ['a', 'b']) {
      waited.push(write(owner));
      await new Promise((resolve) => setImmediate(resolve));
      waited.push(write(owner));
    }
    await write('c');
  });
  await Promise.all(waited);

  let held = 0;
  const isLast = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const hold = () => {
    if (++held === 4) isLast.resolve();
    return release.promise;
  };
  const first = [write('a', hold), write('b', hold)];
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const second = [write('c', hold), write('d', hold)];
  await isLast.promise;
  let ran = 0;
  const third = ['e', 'f'].map((owner) => write(owner, async () => void ran++));
  for (let times = 0; times < 3; times++) await store.write((tx) => addQueue(tx, { name: `of ${times}` }));
  assert.equal(ran, 0);
  release.resolve();
  await Promise.all([...first, ...second, ...third]);
  assert.equal(ran, 2);
});

onPostgres('writes that wait for one before them of their owner share a transaction', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b']);
  const isHeld = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const first = store.write(
    async (tx) => {
      await countOwner(tx, { id: 'a' });
      isHeld.resolve();
      await release.promise;
    },
    { owner: 'a' },
  );
  await isHeld.promise;
  const later = [1, 2, 3].map(() => store.write(transactionOf, { owner: 'a' }));
  release.resolve();
  assert.equal(new Set(await Promise.all(later)).size, 1);
  await first;
});

onPostgres('groups of two servers with the same owners do not stop each other', async (_t, database) => {
  const owners = Array.from({ length: 12 }, (_, n) => String.fromCharCode(97 + n));
  const stores = [await withOwners(database, owners), await database.open()];
  const shuffled = [owners, owners.toReversed()];
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      stores.flatMap((store, n) =>
        (shuffled[(n + round) % 2] ?? []).map((owner) => store.write((tx) => countOwner(tx, { id: owner }), { owner })),
      ),
    );
  }
  assert.deepEqual(new Set(await revisions(stores[0] as Store)), new Set([20]));
});

onPostgres('a group whose connection is closed while it is committed is not made again', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b']);
  const other = await database.open();
  // A check that is made at the commit, and waits there until it is ended.
  await store.write(async (tx) => {
    await sql`create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'`.execute(
      tx,
    );
    await sql`create constraint trigger at_commit after insert on queues deferrable initially deferred
      for each row execute function slow()`.execute(tx);
  });
  let runs = 0;
  const write = (owner: string) =>
    store.write(
      async (tx) => {
        runs++;
        await countOwner(tx, { id: owner });
        await addQueue(tx, { name: owner.toUpperCase() });
        return (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)).rows[0]?.pid;
      },
      { owner },
    );
  const writes = Promise.allSettled([write('a'), write('b')]);
  const pid = await sleepingOn(other);
  await sql`select pg_terminate_backend(${pid}, 30000)`.execute(other.db);
  for (const end of await writes) {
    assert.match(String(end.status === 'rejected' && end.reason), /the server's database is away/);
  }
  assert.deepEqual([runs, await queues(store), await revisions(store)], [2, [], [0, 0]]);
  await sql`drop trigger at_commit on queues`.execute(other.db);
  await Promise.all([write('a'), write('b')]);
  assert.deepEqual(await queues(store), ['A', 'B'], 'their owners may write again');
});

onPostgres('a statement that nothing waits for fails the one behind it', async (_t, database) => {
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  const write = store.write(async (tx) => {
    await addQueue(tx, { name: 'B' });
    await addQueue(tx, { name: 'A' });
    await transactionOf(tx);
    assert.fail('it went on');
  });
  await assert.rejects(write, { code: '23505' });
  // More of them than are kept in memory.
  const names = Array.from({ length: 250 }, (_, n) => `Q${n}`);
  await store.write(async (tx) => {
    for (const name of names) await addQueue(tx, { name });
  });
  assert.deepEqual(await queues(store), ['A', ...names].sort());
  await store.close();
});

onPostgres('reads that arrive together go together, and one that fails fails alone', async (t, database) => {
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  t.after(() => store.close());
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  const find = prepared<{ name: string }, { created_at: number }>((db, arg) =>
    db.selectFrom('queues').select('created_at').where('name', '=', arg('name')),
  );
  const divide = prepared<{ by: number }, { result: number }>((db, arg) =>
    db.selectFrom('queues').select(sql<number>`1 / cast(${arg('by')} as bigint)`.as('result')),
  );
  const batches = t.mock.method(pg.Client.prototype, 'query');
  const found = await Promise.all(['A', 'B', 'A'].map((name) => find(store.db, { name })));
  assert.deepEqual(found, [[{ created_at: 1 }], [], [{ created_at: 1 }]]);
  assert.equal(batches.mock.callCount(), 1);
  const [first, second, third] = await Promise.allSettled([
    find(store.db, { name: 'A' }),
    divide(store.db, { by: 0 }),
    divide(store.db, { by: 1 }),
  ]);
  assert.deepEqual(first.status === 'fulfilled' && first.value, [{ created_at: 1 }]);
  assert.equal(second.status === 'rejected' && second.reason.code, '22012');
  assert.deepEqual(third.status === 'fulfilled' && third.value, [{ result: 1 }]);
});

onPostgres('a read that was answered with much goes alone from then on', async (t, database) => {
  const store = await database.open();
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  const show = prepared<{ of: string; times: number }, { text: string }>((db, arg) =>
    db.selectFrom('queues').select(sql<string>`repeat(cast(${arg('of')} as text), ${arg('times')})`.as('text')),
  );
  const small = { of: 'a', times: 1 };
  const query = t.mock.method(pg.Client.prototype, 'query');
  const sizesOfBatches = async (...reads: { of: string; times: number }[]) => {
    query.mock.resetCalls();
    const answers = await Promise.all(reads.map((read) => show(store.db, read)));
    assert.deepEqual(
      answers,
      reads.map(({ of, times }) => [{ text: of.repeat(times) }]),
    );
    const batches = query.mock.calls.map(({ arguments: [batch] }) => batch as unknown as { statements: unknown[] });
    return batches.map(({ statements }) => statements.length).sort();
  };
  const [a, b] = ['a', 'b'].map((of) => ({ of, times: 70_000 })) as [typeof small, typeof small];
  const [c, d] = ['c', 'd'].map((of) => ({ of, times: 60_000 })) as [typeof small, typeof small];
  assert.deepEqual(await sizesOfBatches(a, c, d), [3]);
  assert.deepEqual(await sizesOfBatches(c, a, d), [1, 2]);
  assert.deepEqual(await sizesOfBatches(c, small, d), [1, 2], 'this one may be large again');
  assert.deepEqual(await sizesOfBatches(b, c), [2], 'of somebody else, by the same statement');
  assert.deepEqual(await sizesOfBatches(a, b), [1, 1]);
});

onPostgres('reads that went together are asked again when their connection was closed', async (t, database) => {
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  t.after(() => store.close());
  const other = await database.open();
  await store.write((tx) => tx.insertInto('queues').values({ name: 'A', created_at: 60 }).execute());
  const slowly = prepared<{ name: string }, { created_at: number }>((db, arg) =>
    db
      .selectFrom('queues')
      .select('created_at')
      .where('name', '=', arg('name'))
      .where(sql<boolean>`pg_sleep(created_at) is not null`),
  );
  const reads = Promise.all([slowly(store.db, { name: 'A' }), slowly(store.db, { name: 'A' })]);
  const pid = await sleepingOn(other);
  await other.write((tx) => tx.updateTable('queues').set({ created_at: 0 }).execute());
  await sql`select pg_terminate_backend(${pid}, 30000)`.execute(other.db);
  assert.deepEqual(await reads, [[{ created_at: 0 }], [{ created_at: 0 }]]);
});

onPostgres('a work that goes on after an error of a statement is not answered as done', async (_t, database) => {
  const store = await withOwners(database, ['a', 'b']);
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  const write = (owner: string) =>
    store.write(
      async (tx) => {
        await countOwner(tx, { id: owner });
        if (owner === 'a') await assert.rejects(sql`insert into queues (name, created_at) values ('A', 1)`.execute(tx));
      },
      { owner },
    );
  // PostgreSQL would undo it at the commit, and call that no error.
  await assert.rejects(write('a'), { code: '23505' });
  const [a, b] = await Promise.allSettled([write('a'), write('b')]);
  assert.equal(a.status === 'rejected' && a.reason.code, '23505');
  assert.equal(b.status, 'fulfilled');
  assert.deepEqual(await revisions(store), [0, 1]);
});

onPostgres('a statement that comes after its transaction is in no other one', async (_t, database) => {
  await withOwners(database, ['a']);
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  const transactions: Database[] = [];
  await store.write(async (tx) => {
    transactions.push(tx);
    await countOwner(tx, { id: 'a' });
  });
  await store.write(async (tx) => {
    await transactionOf(tx);
    for (const earlier of transactions) {
      await assert.rejects(countOwner(earlier, { id: 'a' }), /after the end of its transaction/);
      await assert.rejects(addQueue(earlier, { name: 'A' }), /after the end of its transaction/);
    }
  });
  assert.deepEqual([await revisions(store), await queues(store)], [[1], []]);
  await store.close();
});

onPostgres('a statement that comes while its transaction ends is in none', async (t, database) => {
  await withOwners(database, ['a']);
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  let transaction: Database | undefined;
  let late: Promise<PromiseSettledResult<unknown>[]> | undefined;
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  t.mock.method(pg.Client.prototype, 'query', function (this: pg.Client, ...args: unknown[]) {
    const [{ statements }] = args as [{ statements?: { sql: string }[] }];
    const tx = transaction;
    if (tx && statements?.some(({ sql }) => sql === 'commit' || sql === 'rollback')) {
      late = Promise.allSettled([countOwner(tx, { id: 'a' }), addQueue(tx, { name: 'A' })]);
    }
    return query.apply(this, args);
  });
  for (const end of [() => Promise.reject(new Error('no')), () => Promise.resolve()]) {
    const write = store.write(async (tx) => {
      await transactionOf(tx);
      transaction = tx;
      await end();
    });
    await Promise.allSettled([write]);
    for (const statement of (await late) ?? []) {
      assert.match(String(statement.status === 'rejected' && statement.reason), /after the end of its transaction/);
    }
    assert.ok(late);
    transaction = late = undefined;
    assert.deepEqual([await revisions(store), await queues(store)], [[0], []]);
  }
  await store.close();
});

onPostgres('a statement that a work leaves behind, and that fails, fails both', async (_t, database) => {
  const store = await database.open();
  const divide = prepared<{ by: number }, { result: number }>((db, arg) =>
    db.selectFrom('queues').select(sql<number>`1 / cast(${arg('by')} as bigint)`.as('result')),
  );
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  let left: Promise<unknown> | undefined;
  const write = store.write(async (tx) => {
    left = divide(tx, { by: 0 });
    left.catch(() => {});
  });
  await assert.rejects(write, { code: '22012' });
  await assert.rejects(left as Promise<unknown>, { code: '22012' });
});

onPostgres(
  'an owner whose works fail has those of others run twice once, not again and again',
  async (_t, database) => {
    const store = await withOwners(database, ['a', 'b']);
    const runs: number[] = [];
    for (let round = 0; round < 10 && runs.at(-1) !== 1; round++) {
      let ofB = 0;
      const fails = store.write(() => Promise.reject(new Error('no')), { owner: 'a' });
      const works = store.write(
        async (tx) => {
          ofB++;
          await countOwner(tx, { id: 'b' });
        },
        { owner: 'b' },
      );
      await Promise.allSettled([fails, works]);
      runs.push(ofB);
    }
    assert.deepEqual([runs[0], runs.at(-1)], [2, 1]);
    assert.deepEqual(await revisions(store), [0, runs.length]);
  },
);

onPostgres('a transaction whose connection is lost before anything was sent is made again', async (_t, database) => {
  const other = await withOwners(database, ['a']);
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  const pidOf = async (db: Database) =>
    (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0];
  const first = await pidOf(store.db);
  let runs = 0;
  await store.write(async (tx) => {
    if (runs++ === 0) await sql`select pg_terminate_backend(${first?.pid}, 30000)`.execute(other.db);
    await addQueue(tx, { name: 'A' });
  });
  assert.deepEqual([runs, await queues(store)], [2, ['A']]);
  await store.close();
});

onPostgres('a statement that its work did not wait for ends with the transaction', async (t, database) => {
  await withOwners(database, ['a', 'b']);
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  t.after(() => store.close());
  const left: Promise<unknown>[] = [];
  const leaving = (owner: string) =>
    store.write(
      async (tx) => {
        left.push(assert.rejects(countOwner(tx, { id: owner }), /undone meanwhile/));
        throw new Error('no');
      },
      { owner },
    );
  const ends = await Promise.allSettled([leaving('a'), leaving('b')]);
  assert.ok(ends.every(({ status }) => status === 'rejected'));
  await Promise.all(left);
  assert.deepEqual(await revisions(store), [0, 0]);
});
