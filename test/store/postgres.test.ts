import assert from 'node:assert/strict';
import { sql } from 'kysely';
import pg from 'pg';
import { openPostgres } from '../../src/store/postgres.ts';
import { prepared } from '../../src/store/prepared.ts';
import type { Database, Store } from '../../src/store/store.ts';
import { untilAnswer } from '../patience.ts';
import { onPostgres } from '../stores.ts';
import { addQueue, countOwner } from './statements.ts';

/** The session of a transaction, as PostgreSQL numbers it. */
async function sessionOf(tx: Database): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
  return rows[0]?.pid ?? 0;
}

/** Ends a session as a restart of the database does, and returns when it has ended. */
async function end(store: Store, pid: number): Promise<void> {
  await sql`select pg_terminate_backend(${pid}, 30000)`.execute(store.db);
}

async function isSleeping(store: Store, pid: number): Promise<boolean> {
  const { rows } = await sql`select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`.execute(
    store.db,
  );
  return rows.length > 0;
}

const queue = (name: string) => ({ name, created_at: 1 });

async function namesOf(store: Store): Promise<string[]> {
  const queues = await store.db.selectFrom('queues').select('name').orderBy('name').execute();
  return queues.map(({ name }) => name);
}

onPostgres('a transaction whose connection is closed is made again, whole', async (_t, database) => {
  const [store, other] = [await database.open(), await database.open()];
  let runs = 0;
  await store.write(async (tx) => {
    await tx.insertInto('queues').values(queue('A')).execute();
    if (runs++ === 0) await end(other, await sessionOf(tx));
    await tx.insertInto('queues').values(queue('B')).execute();
  });
  assert.deepEqual([runs, await namesOf(store)], [2, ['A', 'B']]);
});

onPostgres('a transaction whose connection is closed during a statement is made again', async (_t, database) => {
  const [store, other] = [await database.open(), await database.open()];
  let runs = 0;
  await store.write(async (tx) => {
    await tx.insertInto('queues').values(queue('A')).execute();
    if (runs++ > 0) return;
    const ending = sessionOf(tx).then((pid) => end(other, pid));
    await Promise.all([sql`select pg_sleep(60)`.execute(tx), ending]);
  });
  assert.deepEqual([runs, await namesOf(store)], [2, ['A']]);
});

onPostgres('one whose connection is closed while it is committed is not made again', async (_t, database) => {
  const [store, other] = [await database.open(), await database.open()];
  let runs = 0;
  let pid = 0;
  const write = store.write(async (tx) => {
    runs++;
    await tx.insertInto('queues').values(queue('A')).execute();
    // A check that is made at the commit, and waits there until it is ended.
    await sql`create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'`.execute(
      tx,
    );
    await sql`create constraint trigger at_commit after insert on queues deferrable initially deferred
      for each row execute function slow()`.execute(tx);
    await tx.insertInto('queues').values(queue('B')).execute();
    pid = await sessionOf(tx);
  });
  const refused = assert.rejects(write, { code: 'ERR_UNAVAILABLE', message: /^the server's database is away/ });
  await untilAnswer(() => isSleeping(other, pid), true);
  await end(other, pid);
  await refused;
  assert.deepEqual([runs, await namesOf(store)], [1, []]);
});

onPostgres('what only reads is asked again when its connection was closed', async (_t, database) => {
  const [store, other] = [await openPostgres(database.url ?? '', { connections: 1 }), await database.open()];
  await store.write((tx) => tx.insertInto('queues').values(queue('A')).execute());
  const pid = await store.write(sessionOf);
  await store.db.connection().execute(async (held) => {
    await end(other, pid);
    assert.deepEqual(await namesOf({ ...store, db: held }), ['A']);
  });
  await store.close();
});

onPostgres('a statement, and a wait for a lock, that take too long are ended', async (_t, database) => {
  const other = await database.open();
  const store = await openPostgres(database.url ?? '', { statementSeconds: 1, lockSeconds: 0.2 });
  const busy = { code: 'ERR_UNAVAILABLE', message: /^the server's database has too much to do/ };
  await assert.rejects(sql`select pg_sleep(30)`.execute(store.db), busy);
  await other.write(async (tx) => {
    await tx.insertInto('queues').values(queue('A')).execute();
    await assert.rejects(
      store.write((mine) => mine.insertInto('queues').values(queue('A')).execute()),
      busy,
    );
  });
  assert.deepEqual(await namesOf(store), ['A']);
  await store.close();
});

onPostgres('an error of a statement stays what it is', async (_t, database) => {
  const store = await database.open();
  await assert.rejects(sql`select 1/0`.execute(store.db), { code: '22012' });
});

onPostgres(
  'a statement is planned once for a connection, and goes on when a newer server adds a column',
  async (t, database) => {
    const store = await openPostgres(database.url ?? '', { connections: 1 });
    t.after(() => store.close());
    const read = prepared<{ name: string }, { created_at: number }>((db, arg) =>
      db.selectFrom('queues').select('created_at').where('name', '=', arg('name')),
    );
    const readAll = prepared<{ name: string }, { name: string }>((db, arg) =>
      db.selectFrom('queues').selectAll().where('name', '=', arg('name')),
    );
    await store.write((tx) => tx.insertInto('queues').values(queue('A')).execute());
    const both = async () => {
      assert.deepEqual(await read(store.db, { name: 'A' }), [{ created_at: 1 }]);
      assert.equal((await readAll(store.db, { name: 'A' }))[0]?.name, 'A');
    };
    for (let times = 0; times < 10; times++) await both();
    const { rows } = await sql<{ calls: number }>`
    select generic_plans + custom_plans as calls from pg_prepared_statements where statement like '%"queues"%'`.execute(
      store.db,
    );
    assert.deepEqual(rows, [{ calls: 10 }]);
    await sql`alter table queues add column later text`.execute(store.db);
    await both();
  },
);

const createdAt = prepared<{ name: string }, { created_at: unknown }>((db, arg) =>
  db.selectFrom('queues').select('created_at').where('name', '=', arg('name')),
);

onPostgres('a statement whose column another server gave another type is prepared anew', async (_t, database) => {
  const [store, other] = [await openPostgres(database.url ?? '', { connections: 3 }), await database.open()];
  await other.write((tx) => addQueue(tx, { name: 'A' }));
  const values = ['a', 'b'].map((id) => ({ id, issuer: 'test', subject: id, display_name: id, created_at: 1 }));
  await other.write((tx) => tx.insertInto('owners').values(values).execute());
  const changeType = (type: string) => sql`alter table queues alter created_at type ${sql.raw(type)}`.execute(other.db);
  let runs = 0;
  const write = (n: number, owner?: string) =>
    store.write(
      async (tx) => {
        runs++;
        await countOwner(tx, { id: owner ?? 'a' });
        await addQueue(tx, { name: `of ${n}` });
        return createdAt(tx, { name: 'A' });
      },
      owner === undefined ? {} : { owner },
    );
  const readOnEach = () =>
    Promise.all(
      [1, 2, 3].map(() =>
        store.write(async (tx) => {
          await createdAt(tx, { name: 'A' });
          await sql`select pg_sleep(0.05)`.execute(tx);
        }),
      ),
    );

  await readOnEach();
  await changeType('text');
  const reads = await Promise.all([createdAt(store.db, { name: 'A' }), createdAt(store.db, { name: 'B' })]);
  assert.deepEqual(reads, [[{ created_at: '1' }], []]);

  await readOnEach();
  await changeType('bigint using created_at::bigint');
  assert.deepEqual(await write(1), [{ created_at: 1 }]);
  assert.ok(runs > 1, 'the first was undone');

  await readOnEach();
  await changeType('text');
  const together = await Promise.all([write(2, 'a'), write(3, 'b')]);
  assert.deepEqual(together, [[{ created_at: '1' }], [{ created_at: '1' }]]);
  const names = await namesOf(store);
  assert.deepEqual(names, ['A', 'of 1', 'of 2', 'of 3']);
  const revisions = await store.db.selectFrom('owners').select('revision').orderBy('id').execute();
  assert.deepEqual(revisions, [{ revision: 2 }, { revision: 1 }]);
  await store.close();
});

onPostgres('statements that cannot be written to the connection fail, and no others', async (t, database) => {
  const store = await openPostgres(database.url ?? '', { connections: 1 });
  await store.write((tx) => addQueue(tx, { name: 'A' }));
  const wire = pg.Connection.prototype as unknown as { bind(message: { values: unknown[] }): void };
  const { bind } = wire;
  t.mock.method(wire, 'bind', function (this: typeof wire, message: { values: unknown[] }) {
    if (message.values.includes('broken')) throw new RangeError('too long');
    bind.call(this, message);
  });
  const read = (name: string) => createdAt(store.db, { name });
  const [first, broken, last] = await Promise.allSettled([read('A'), read('broken'), read('B')]);
  assert.deepEqual(first.status === 'fulfilled' && first.value, [{ created_at: 1 }]);
  assert.match(String(broken.status === 'rejected' && broken.reason), /RangeError: too long/);
  assert.deepEqual(last.status === 'fulfilled' && last.value, []);
  const write = store.write(async (tx) => {
    await addQueue(tx, { name: 'B' });
    await addQueue(tx, { name: 'broken' });
  });
  await assert.rejects(write, /too long/);
  assert.deepEqual(await namesOf(store), ['A']);
  await store.close();
});
