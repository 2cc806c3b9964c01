import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { openPostgres } from '../../src/store/postgres.ts';
import { prepared } from '../../src/store/prepared.ts';
import type { Database, Store } from '../../src/store/store.ts';
import { onPostgres } from '../stores.ts';
import { addQueue, countOwner } from './statements.ts';

const findQueue = prepared<{ name: string }, { name: string }>((db, arg) =>
  db.selectFrom('queues').select('name').where('name', '=', arg('name')),
);

/** The same numbers in each run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Thrown extends Error {}

interface Step {
  name: string;
  run(tx: Database, id: string, n: number): Promise<unknown>;
}

const steps: Step[] = [
  { name: 'count', run: (tx, id) => countOwner(tx, { id }) },
  { name: 'add', run: (tx, _id, n) => addQueue(tx, { name: `extra${n}` }) },
  {
    name: 'read and add together',
    run: (tx, _id, n) =>
      Promise.all([findQueue(tx, { name: 'x' }), addQueue(tx, { name: `beside${n}` }), findQueue(tx, { name: 'y' })]),
  },
  { name: 'read by itself', run: (tx) => tx.selectFrom('owners').select('revision').execute() },
  { name: 'pause', run: (_tx, _id, n) => sleep(n % 5) },
  { name: 'throw', run: () => Promise.reject(new Thrown()) },
  { name: 'fail', run: (tx) => sql`select 1/0`.execute(tx) },
  { name: 'fail later', run: (tx) => addQueue(tx, { name: 'there' }) },
  {
    name: 'throw while others go on',
    run: (tx, id) =>
      Promise.all([
        Promise.reject(new Thrown()),
        findQueue(tx, { name: 'x' }).then(() => countOwner(tx, { id })),
        tx.selectFrom('queues').select('name').execute(),
      ]),
  },
  {
    name: 'fail while others go on',
    run: (tx, id) =>
      Promise.all([
        sql`select 1/0`.execute(tx),
        findQueue(tx, { name: 'x' }).finally(() => countOwner(tx, { id })),
        addQueue(tx, { name: 'left' }),
      ]),
  },
];

onPostgres(
  'of a crowd that writes one row on few connections each ends, and counts or does not',
  async (_t, database) => {
    const reader = await database.open();
    const values = ['a', 'b', 'c'].map((id) => ({ id, issuer: 'test', subject: id, display_name: id, created_at: 1 }));
    await reader.write((tx) => tx.insertInto('owners').values(values).execute());
    await reader.write((tx) => addQueue(tx, { name: 'there' }));
    const url = database.url ?? '';
    const stores = [await openPostgres(url, { connections: 2 }), await openPostgres(url, { connections: 3 })];
    const below = numbersFrom(1);
    const crowd = Array.from({ length: 48 }, () => ({
      store: stores[below(2)] as Store,
      id: ['a', 'a', 'a', 'b', 'c'][below(5)] as string,
      sharesTransaction: below(3) > 0,
      plan: Array.from({ length: below(4) }, () => steps[below(steps.length)] as Step),
    }));

    async function ends(n: number): Promise<boolean> {
      const { store, id, sharesTransaction, plan } = crowd[n] as (typeof crowd)[number];
      try {
        await store.write(
          async (tx) => {
            await countOwner(tx, { id });
            await addQueue(tx, { name: `writer${n}` });
            for (const { run } of plan) await run(tx, id, n);
          },
          sharesTransaction ? { owner: id } : {},
        );
        return true;
      } catch (error) {
        const { code } = error as { code?: string };
        if (error instanceof Thrown || code === '22012' || code === '23505') return false;
        throw error;
      }
    }
    const done = await Promise.all(crowd.map((_, n) => ends(n)));
    for (const store of stores) await store.close();

    const names = await reader.db.selectFrom('queues').select('name').where('name', 'like', 'writer%').execute();
    const expected = crowd.flatMap((_, n) => (done[n] ? [`writer${n}`] : []));
    assert.deepEqual(names.map(({ name }) => name).sort(), expected.sort());
    assert.equal(names.length > 5 && names.length < 43, true, 'some of both');
    const counts = await reader.db.selectFrom('owners').select(['id', 'revision']).orderBy('id').execute();
    for (const { id, revision } of counts) {
      const ofOwner = crowd.filter((one, n) => one.id === id && done[n]);
      const counted = ofOwner.map(({ plan }) => 1 + plan.filter(({ name }) => name === 'count').length);
      assert.equal(
        revision,
        counted.reduce((sum, count) => sum + count, 0),
      );
    }
  },
);
