import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { NO_RESERVE } from '../../src/store/reserve.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

async function sqlite(t: TestContext, options: Parameters<typeof openSqlite>[2] = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  const path = join(folder, 'panda.db');
  const store = await openSqlite(path, NO_RESERVE, options);
  t.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });
  return { store, path };
}

const queue = (name: string) => ({ name, created_at: 1 });

test('an answered write is on the disk, and what is deleted is overwritten there', async (t) => {
  const { store } = await sqlite(t);
  const pragmas = await store.write(async (tx) => ({
    ...(await sql<object>`pragma journal_mode`.execute(tx)).rows[0],
    ...(await sql<object>`pragma synchronous`.execute(tx)).rows[0],
    ...(await sql<object>`pragma secure_delete`.execute(tx)).rows[0],
  }));
  assert.deepEqual(pragmas, { journal_mode: 'wal', synchronous: 2, secure_delete: 1 });
});

test('a write does not copy the pages that it changes into a file first', async (t) => {
  const { store } = await sqlite(t);
  const { rows } = await store.write((tx) => sql<object>`pragma temp_store`.execute(tx));
  assert.deepEqual({ ...rows[0] }, { temp_store: 2 });
});

test('writes that arrive together are all kept', async (t) => {
  const { store } = await sqlite(t);
  const names = Array.from({ length: 600 }, (_, n) => `Q${n}`);
  await Promise.all(names.map((name) => store.write((tx) => tx.insertInto('queues').values(queue(name)).execute())));
  assert.equal((await store.db.selectFrom('queues').select('name').execute()).length, 600);
});

test('a write that fails undoes itself and not those beside it', async (t) => {
  const { store } = await sqlite(t);
  const results = await Promise.allSettled([
    store.write((tx) => tx.insertInto('queues').values(queue('A')).execute()),
    store.write(async (tx) => {
      await tx.insertInto('queues').values(queue('B')).execute();
      throw new Error('no');
    }),
    store.write((tx) => tx.insertInto('queues').values(queue('C')).execute()),
  ]);
  assert.deepEqual(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const kept = await store.db.selectFrom('queues').select('name').orderBy('name').execute();
  assert.deepEqual(
    kept.map((row) => row.name),
    ['A', 'C'],
  );
});

test('of many writes that arrive together each that fails undoes itself, again and again', async (t) => {
  const { store } = await sqlite(t);
  const told: number[] = [];
  for (let round = 0; round < 40; round++) {
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, n) =>
        store.write(async (tx) => {
          await tx
            .insertInto('queues')
            .values(queue(`${round}-${n}`))
            .execute();
          if (n % 3 === 1) throw new Error(`no ${n}`);
          return n;
        }),
      ),
    );
    const answers = results.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message));
    assert.deepEqual(answers, [0, 'no 1', 2, 3, 'no 4', 5, 6, 'no 7', 8]);
    told.push((await store.db.selectFrom('queues').select('name').execute()).length);
  }
  assert.deepEqual(
    told,
    Array.from({ length: 40 }, (_, round) => (round + 1) * 6),
  );
});

test('one that fails alone fails alone, and after the commit of others is told of by its own error', async (t) => {
  const commits: number[] = [];
  const { store } = await sqlite(t, { onCommit: (writes) => commits.push(writes) });
  const fails = () => store.write(() => Promise.reject(new Error('no')));
  await assert.rejects(fails(), { message: 'no' });
  const works = () => store.write((tx) => sql`select 1`.execute(tx));
  await Promise.allSettled([works(), fails(), works()]);
  assert.deepEqual(commits, [2], 'what failed is not counted');
});

test('a read never sees what is not committed', async (t) => {
  const { store } = await sqlite(t);
  await store.write(async (tx) => {
    await tx.insertInto('queues').values(queue('A')).execute();
    assert.deepEqual(await store.db.selectFrom('queues').selectAll().execute(), []);
  });
  assert.equal((await store.db.selectFrom('queues').selectAll().execute()).length, 1);
});

test('the database and its companions can be read by their owner alone', async (t) => {
  const { store, path } = await sqlite(t);
  await store.write((tx) => tx.insertInto('queues').values(queue('A')).execute());
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600, file);
});

test('opening a database again keeps what it holds', async (t) => {
  const { store, path } = await sqlite(t);
  await store.write((tx) => tx.insertInto('queues').values(queue('A')).execute());
  const again = await openSqlite(path);
  t.after(() => again.close());
  assert.equal((await again.db.selectFrom('queues').selectAll().execute()).length, 1);
});
