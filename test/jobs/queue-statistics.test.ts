import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { activeJobs, findQueue, queueLoad, waitingNeeds } from '../../src/jobs/queues.ts';
import type { Store } from '../../src/store/store.ts';
import { seenStatements } from '../seen-statements.ts';
import { onPostgres, sqliteDatabase } from '../stores.ts';
import { type Farm, openFarm } from './farm.ts';

/** Everything that is counted of a queue for a launcher. */
async function count(store: Store): Promise<{ waiting: number; running: number }> {
  const queue = await findQueue(store, 'default');
  assert.ok(queue);
  const [load, needs, active] = [
    await queueLoad(store, queue),
    await waitingNeeds(store, queue),
    await activeJobs(store, queue),
  ];
  const sum = (rows: readonly { jobs: number }[]) => rows.reduce((all, { jobs }) => all + jobs, 0);
  assert.deepEqual([sum(needs), sum(active)], [load.waiting, load.waiting + load.running]);
  return load;
}

/** Jobs of one task that ended long ago, straight into the tables. */
async function addEnded(farm: Farm, jobs: number): Promise<void> {
  const taskId = await farm.submit({ jobCount: 1 });
  const numbers = sql`with recursive numbers (n) as (select 2 union all select n + 1 from numbers where n < ${jobs})`;
  await farm.store.write(async (tx) => {
    await sql`insert into jobs (task_id, owner_id, serial, state, queue, use_secrets, attempt, max_attempts, created_at, modified_at)
      ${numbers} select ${taskId}, ${farm.alice}, n, 'finished', 'default', 0, 1, 1, 1, 1 from numbers`.execute(tx);
    await sql`insert into attempts (job_id, attempt, state, queue, pilot_id, node, lease_seconds, lease_until, created_at, ended_at, task_id, owner_id)
      select id, 1, 'finished', 'default', 'p', 'n', 1, 1, 1, 1, ${taskId}, ${farm.alice} from jobs where state = 'finished'`.execute(
      tx,
    );
  });
}

test('counting what is active in a queue reads no table and no whole index of jobs', async (t) => {
  const database = sqliteDatabase(t);
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 10 });
  await farm.acquire('p', 3);
  const seen: string[] = [];
  const prepare = DatabaseSync.prototype.prepare;
  t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, text: string) {
    seen.push(text);
    return prepare.call(this, text);
  });
  assert.deepEqual(await count(await database.open()), { waiting: 7, running: 3 });
  t.mock.restoreAll();
  const file = new DatabaseSync(join(database.folder, 'panda.db'), { readOnly: true });
  t.after(() => file.close());
  const counting = seen.filter((text) => /jobs|attempts/.test(text) && /count\(\*\)/.test(text));
  assert.ok(counting.length >= 4, seen.join('\n'));
  for (const text of counting) {
    const plan = file.prepare(`explain query plan ${text}`).all() as { detail: string }[];
    const scans = plan.map(({ detail }) => detail).filter((detail) => /^SCAN (jobs|tasks|attempts)\b/.test(detail));
    assert.deepEqual(scans, [], text);
  }
});

onPostgres('counting what is active in a queue leaves alone what has ended', async (t, database) => {
  const farm = await openFarm(t, database);
  await addEnded(farm, 20_000);
  await farm.acquire('p', 100);
  await farm.submit({ jobCount: 10 });
  await farm.acquire('p', 3);
  const reader = new pg.Client(database.url);
  await reader.connect();
  reader.on('error', () => {}); // The database is dropped below it.
  await reader.query('analyze');
  const seen = seenStatements(t);
  assert.deepEqual(await count(farm.store), { waiting: 7, running: 4 });
  t.mock.restoreAll();
  const counting = seen.filter(({ sql }) => /jobs|attempts/.test(sql) && /count\(\*\)/.test(sql));
  assert.ok(counting.length >= 4, JSON.stringify(seen));
  for (const { sql, values } of counting) {
    const { rows } = await reader.query(`explain ${sql}`, [...values]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    assert.doesNotMatch(plan, /Seq Scan on (jobs|attempts)/, sql);
  }
  await reader.end();
});
