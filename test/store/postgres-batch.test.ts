import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import pg from 'pg';
import { NotSent, type Statement, sendBatch } from '../../src/store/postgres-batch.ts';
import { onPostgres, type TestDatabase } from '../stores.ts';

async function connected(t: TestContext, { url = '' }: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  t.after(() => client.end());
  return client;
}

const insert = (name: string): Statement => ({
  sql: 'insert into queues (name, created_at) values ($1, $2)',
  values: [name, 1],
  name: 'insert',
});
const BEGIN: Statement = { sql: 'begin', values: [] };

/** The statements that the connection keeps, and how often each ran. */
async function kept(client: pg.Client) {
  const { rows } = await client.query(
    'select name, (generic_plans + custom_plans)::int as runs from pg_prepared_statements order by name',
  );
  return rows;
}

onPostgres('values arrive as they are: bytes of a part of their memory, nothing as null', async (t, database) => {
  const client = await connected(t, database);
  const memory = Buffer.from('before, bytes \0\xff, after', 'latin1');
  const bytes = new Uint8Array(memory.buffer, memory.byteOffset + 8, 8);
  const values = [bytes, null, undefined, 7, 'text', true];
  const [answer] = await sendBatch(client, [
    { sql: 'select $1::bytea as a, $2::text as b, $3::text as c, $4::int as d, $5::text as e, $6::bool as f', values },
  ]);
  assert.deepEqual(answer?.rows, [{ a: Buffer.from(bytes), b: null, c: null, d: 7, e: 'text', f: true }]);
  const object = { sql: 'select $1::text', values: [{ a: 1 }] };
  assert.throws(() => sendBatch(client, [object]), /text, a number or bytes/);
});

onPostgres('an answer has its own rows, and counts the bytes of them all', async (t, database) => {
  const client = await connected(t, database);
  const many = { sql: "select repeat('x', 1000) as text from generate_series(1, $1)", values: [100], name: 'many' };
  const [begun, first, none, second] = await sendBatch(client, [BEGIN, many, { ...many, values: [0] }, many]);
  assert.deepEqual([begun?.rows, begun?.command, none?.rows, none?.rowCount], [[], 'BEGIN', [], 0]);
  for (const answer of [first, second]) {
    assert.equal(answer?.rows.length, 100);
    assert.deepEqual(answer.rows[99], { text: 'x'.repeat(1000) });
    assert.ok(answer.bytes > 100_000, `${answer.bytes}`);
  }
  assert.ok((none?.bytes ?? 0) < 1000);
});

onPostgres('a statement with a name is prepared once, also where a batch has it twice', async (t, database) => {
  const client = await connected(t, database);
  await sendBatch(client, [BEGIN, insert('A'), insert('B')]);
  await sendBatch(client, [insert('C'), { sql: 'commit', values: [] }]);
  assert.deepEqual(await kept(client), [{ name: 'insert', runs: 3 }]);
});

onPostgres('each of several statements that are kept has its own columns', async (t, database) => {
  const client = await connected(t, database);
  const one = { sql: "select 'x' as one", values: [], name: 'one' };
  const two = { sql: "select 'y' as two, 'z' as three", values: [], name: 'two' };
  for (let times = 0; times < 2; times++) {
    const answers = await sendBatch(client, [BEGIN, one, two, insert(`of ${times}`), { sql: 'commit', values: [] }]);
    assert.deepEqual(
      answers.map(({ rows }) => rows),
      [[], [{ one: 'x' }], [{ two: 'y', three: 'z' }], [], []],
    );
  }
});

onPostgres('the first statement that fails is the last that runs, and may be sent again', async (t, database) => {
  const client = await connected(t, database);
  const divide = (by: number) => ({ sql: 'select 1 / $1::int as result', values: [by], name: 'divide' });
  await assert.rejects(sendBatch(client, [BEGIN, divide(0), insert('A')]), { code: '22012' });
  await sendBatch(client, [{ sql: 'rollback', values: [] }]);
  // PostgreSQL had prepared it when it failed, and the one behind it not.
  for (let times = 0; times < 2; times++) {
    const [answer] = await sendBatch(client, [divide(1)]);
    assert.deepEqual(answer?.rows, [{ result: 1 }]);
  }
  const again = await sendBatch(client, [BEGIN, insert('A'), insert('B'), { sql: 'commit', values: [] }]);
  assert.deepEqual(
    again.map(({ command }) => command),
    ['BEGIN', 'INSERT', 'INSERT', 'COMMIT'],
  );
  const { rows } = await client.query('select name from queues order by name');
  assert.deepEqual(rows, [{ name: 'A' }, { name: 'B' }]);
});

onPostgres('of a batch that cannot be made nothing is sent, and the connection is closed', async (t, database) => {
  const client = await connected(t, database);
  const { connection } = client as unknown as { connection: { bind(message: { values: unknown[] }): void } };
  const bind = connection.bind.bind(connection);
  t.mock.method(connection, 'bind', (message: { values: unknown[] }) => {
    if (message.values.includes('broken')) throw new RangeError('too long');
    bind(message);
  });
  const closed = new Promise((resolve) => client.once('end', resolve));
  const sent = sendBatch(client, [insert('A'), insert('broken')]);
  await assert.rejects(sent, (error) => error instanceof NotSent && error.cause instanceof RangeError);
  await closed;
  const other = await connected(t, database);
  assert.deepEqual((await other.query('select name from queues')).rows, []);
});
