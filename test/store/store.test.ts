import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { openSqlite } from '../../src/store/sqlite.ts';

async function sqlite(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  const path = join(folder, 'panda.db');
  const store = await openSqlite(path);
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
