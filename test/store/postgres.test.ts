import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { Database, Store } from '../../src/store/store.ts';
import { onPostgres } from '../stores.ts';

/** The session of a transaction, as PostgreSQL numbers it. */
async function sessionOf(tx: Database): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
  return rows[0]?.pid ?? 0;
}

/** Ends a session as a restart of the database does, and returns when it has ended. */
async function end(store: Store, pid: number): Promise<void> {
  await sql`select pg_terminate_backend(${pid}, 30000)`.execute(store.db);
}

const add = (store: Store, name: string) =>
  store.write((tx) => tx.insertInto('queues').values({ name, created_at: 1 }).execute());

const AWAY = { code: 'ERR_UNAVAILABLE', message: /^the server's database is away at the moment: try again/ };

onPostgres('a connection that is closed between two statements costs its transaction alone', async (_t, database) => {
  const [store, other] = [await database.open(), await database.open()];
  const write = store.write(async (tx) => {
    await tx.insertInto('queues').values({ name: 'A', created_at: 1 }).execute();
    await end(other, await sessionOf(tx));
    await tx.insertInto('queues').values({ name: 'B', created_at: 1 }).execute();
  });
  await assert.rejects(write, AWAY);
  await add(store, 'C');
  const kept = await store.db.selectFrom('queues').select('name').execute();
  assert.deepEqual(
    kept.map(({ name }) => name),
    ['C'],
  );
});

onPostgres('a connection that is closed during a statement costs its transaction alone', async (_t, database) => {
  const [store, other] = [await database.open(), await database.open()];
  const write = store.write(async (tx) => {
    const ending = sessionOf(tx).then((pid) => end(other, pid));
    await Promise.all([sql`select pg_sleep(60)`.execute(tx), ending]);
  });
  await assert.rejects(write, AWAY);
  await add(store, 'A');
});

onPostgres('an error of a statement stays what it is', async (_t, database) => {
  const store = await database.open();
  await assert.rejects(sql`select 1/0`.execute(store.db), { code: '22012' });
});
