import assert from 'node:assert/strict';
import { prepared } from '../../src/store/prepared.ts';
import { eachStore } from '../stores.ts';

type QueueRow = { name: string; allow_tls_secrets: number; created_at: number };

/** A statement with a list of rows, which counts how often it is built. */
function insertOf() {
  const built: number[] = [];
  const insert = prepared<{ rows: readonly QueueRow[] }, { name: string }>((db, arg) => {
    built.push(arg('rows').length);
    return db.insertInto('queues').values(arg('rows')).returning('name');
  });
  return { insert, built };
}

const row = (name: string): QueueRow => ({ name, allow_tls_secrets: 0, created_at: 1 });
const namesOf = (rows: readonly { name: string }[]) => rows.map(({ name }) => name);

eachStore(
  'a prepared statement takes the values of each call, compiled once for each length of a list',
  async (_t, database) => {
    const store = await database.open();
    const { insert, built } = insertOf();
    assert.deepEqual(namesOf(await store.write((tx) => insert(tx, { rows: [row('A')] }))), ['A']);
    assert.deepEqual(namesOf(await store.write((tx) => insert(tx, { rows: [row('B'), row('C')] }))), ['B', 'C']);
    assert.deepEqual(namesOf(await store.write((tx) => insert(tx, { rows: [row('D'), row('E')] }))), ['D', 'E']);
    assert.deepEqual(built, [1, 2]);

    const find = prepared<{ names: readonly string[] }, { name: string }>((db, arg) =>
      db.selectFrom('queues').select('name').where('name', 'in', arg('names')).orderBy('name'),
    );
    assert.deepEqual(namesOf(await find(store.db, { names: ['A', 'E', 'X'] })), ['A', 'E']);
    assert.deepEqual(namesOf(await find(store.db, { names: ['B', 'C', 'D'] })), ['B', 'C', 'D']);
  },
);

eachStore('a prepared statement has one shape with an argument and one without', async (_t, database) => {
  const store = await database.open();
  await store.write((tx) => insertOf().insert(tx, { rows: [row('A'), row('B')] }));
  const find = prepared<{ name: string | undefined; limit: number }, { name: string }>((db, arg) => {
    const name = arg('name');
    return db
      .selectFrom('queues')
      .select('name')
      .$if(name !== undefined, (query) => query.where('name', '=', name as string))
      .orderBy('name')
      .limit(arg('limit'));
  });
  assert.deepEqual(namesOf(await find(store.db, { name: undefined, limit: 5 })), ['A', 'B']);
  assert.deepEqual(namesOf(await find(store.db, { name: 'B', limit: 5 })), ['B']);
  assert.deepEqual(namesOf(await find(store.db, { name: undefined, limit: 1 })), ['A']);
});

eachStore('which arguments are given is told by their names, not by their order', async (_t, database) => {
  const store = await database.open();
  await store.write((tx) => insertOf().insert(tx, { rows: [row('A'), row('B')] }));
  const find = prepared<{ name: string | undefined; besides: string | undefined }, { name: string }>((db, arg) => {
    const [name, besides] = [arg('name'), arg('besides')];
    return db
      .selectFrom('queues')
      .select('name')
      .$if(name !== undefined, (query) => query.where('name', '=', name as string))
      .$if(besides !== undefined, (query) => query.where('name', '!=', besides as string));
  });
  assert.deepEqual(namesOf(await find(store.db, { name: 'A', besides: undefined })), ['A']);
  assert.deepEqual(namesOf(await find(store.db, { besides: 'A', name: undefined })), ['B']);
});
