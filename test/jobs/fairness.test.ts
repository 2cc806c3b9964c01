import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { noteJobsOfBefore } from '../../src/jobs/acquire.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { MAX_JOB_PARAMETERS_CHARS } from '../../src/protocol/limits.ts';
import { moveJobsOfTask } from '../../src/store/jobs.ts';
import type { Store } from '../../src/store/store.ts';
import { forgetIdle } from '../../src/store/waiting-owners.ts';
import { seenStatements } from '../seen-statements.ts';
import { eachStore, onPostgres, sqliteDatabase } from '../stores.ts';
import { processorTime } from '../took.ts';
import { type Farm, openFarm, submission } from './farm.ts';

eachStore('ten thousand waiting jobs of one user do not delay the first job of another', async (t, database) => {
  const farm = await openFarm(t, database);
  const ask = async () => (await farm.acquireOne('p')).ownerId;
  await farm.submit({ jobCount: 10_000 });
  for (let n = 0; n < 3; n++) assert.equal(await ask(), farm.alice);
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 3 });
  assert.equal(await ask(), farm.bob);
  assert.deepEqual([await ask(), await ask(), await ask(), await ask()], [farm.alice, farm.bob, farm.alice, farm.bob]);
  assert.equal(await ask(), farm.alice, 'the rest is for who still waits');
});

eachStore('a pilot that asks for many gets as many of each user, and the rest of who has more', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 100 });
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 40 });
  const owners = async (count: number) => {
    const jobs = await farm.acquire('p', count);
    return [jobs.length, jobs.filter((job) => job.ownerId === farm.bob).length];
  };
  assert.deepEqual(await owners(20), [20, 10]);
  assert.deepEqual(await owners(90), [90, 30], 'bob has no more than 40');
});

eachStore('jobs for any queue and jobs of the queue take their turns together', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 4, queue: 'default' });
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 4 });
  const owners: string[] = [];
  for (let n = 0; n < 8; n++) owners.push((await farm.acquireOne('p')).ownerId);
  const first = owners[0];
  for (const [n, owner] of owners.entries()) assert.equal(owner === first, n % 2 === 0, owners.join());
});

/** More owners than the two that a farm has. */
async function addOwners(farm: Farm, count: number): Promise<OwnerId[]> {
  const owners = Array.from({ length: count }, (_, n) => `owner${n}` as OwnerId);
  const rows = owners.map((id) => ({ id, issuer: 'test', subject: id, display_name: id, created_at: farm.clock() }));
  await farm.store.write((tx) => tx.insertInto('owners').values(rows).execute());
  return owners;
}

eachStore('a pilot that asks for one job finds it behind many users whose jobs were killed', async (t, database) => {
  const farm = await openFarm(t, database);
  const owners = await addOwners(farm, 10);
  for (const owner of owners) {
    const { taskId } = await farm.jobs.submit(owner, submission(`user.${owner}.test`));
    if (owner !== owners.at(-1)) await farm.jobs.kill(owner, taskId);
  }
  assert.equal((await farm.acquireOne('p')).ownerId, owners.at(-1));
});

eachStore(
  'of many pilots that ask at the same moment each gets a job, when as many users have one each',
  async (t, database) => {
    const farm = await openFarm(t, database);
    // More than a server has connections; of many more, one may wait for longer than a request may on a busy machine.
    const owners = await addOwners(farm, 16);
    await Promise.all(
      owners.map((owner) => farm.jobs.submit(owner, { ...submission(`user.${owner}.test`), jobCount: 1 })),
    );
    const answers = await Promise.all(owners.map((_, n) => farm.acquire(`p${n}`, 1)));
    assert.deepEqual([...new Set(answers.map((jobs) => jobs.length))], [1]);
  },
);

eachStore('whose jobs no row notes is found when nobody else waits, or when the server starts', async (t, database) => {
  const farm = await openFarm(t, database);
  const asOfBefore = () => farm.store.write((tx) => tx.deleteFrom('waiting_owners').execute());
  await farm.submit({ jobCount: 3, queue: 'default' });
  await farm.submit({ jobCount: 3 });
  await asOfBefore();
  assert.equal((await farm.acquire('p', 100)).length, 6);

  await farm.submit();
  await asOfBefore();
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 2 });
  assert.equal((await farm.acquireOne('p')).ownerId, farm.bob);
  if (!database.url) return; // No two servers share an SQLite database.
  await noteJobsOfBefore(farm.store);
  const owners = await Promise.all([farm.acquireOne('p'), farm.acquireOne('q')]);
  assert.deepEqual(new Set(owners.map((job) => job.ownerId)), new Set([farm.alice, farm.bob]));
});

eachStore('an owner has turns at jobs for any queue whichever queue gave one', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 2 });
  await farm.jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 2 });
  const ask = async (queue: string) => {
    const { jobs } = await farm.jobs.acquire({ pilotId: 'p', queue, node: 'n', count: 1, mayHaveSecrets: true });
    return jobs.map((job) => job.ownerId);
  };
  assert.deepEqual([await ask('default'), await ask('gpu'), await ask('gpu'), await ask('default')].flat(), [
    farm.alice,
    farm.bob,
    farm.alice,
    farm.bob,
  ]);
  assert.deepEqual(await ask('gpu'), []);
  assert.deepEqual(await farm.store.db.selectFrom('waiting_owners').selectAll().execute(), [], 'nobody waits any more');
});

onPostgres('an owner whose jobs begin to wait as the last one is taken stays noted', async (t, database) => {
  const farm = await openFarm(t, database);
  const taskId = await farm.submit();
  await farm.jobs.pause(farm.alice, taskId);
  const owner = { queue: 'default', owner: farm.alice };
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const resuming = farm.store.write(async (tx) => {
    await moveJobsOfTask(tx, taskId, ['throttled'], { state: 'activated' });
    begun.resolve();
    await gate.promise;
  });
  await begun.promise;
  const forgetting = farm.store.write((tx) => forgetIdle(tx, owner));
  await isBlocked(farm.store);
  gate.resolve();
  await Promise.all([resuming, forgetting]);
  assert.equal((await farm.store.db.selectFrom('waiting_owners').selectAll().execute()).length, 1);

  await farm.acquireOne('p');
  await farm.store.write((tx) => forgetIdle(tx, owner));
  assert.equal((await farm.store.db.selectFrom('waiting_owners').selectAll().execute()).length, 0);
});

/** Resolves when a transaction of this database waits for another one. */
async function isBlocked({ db }: Store): Promise<void> {
  for (;;) {
    const { rows } =
      await sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
        db,
      );
    if (rows.length > 0) return;
  }
}

test('finding the next job reads neither the whole table nor the whole index of what waits', async (t) => {
  const database = sqliteDatabase(t);
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 10 });
  const seen: string[] = [];
  const prepare = DatabaseSync.prototype.prepare;
  t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, text: string) {
    seen.push(text);
    return prepare.call(this, text);
  });
  const jobs = createJobs({ store: await database.open(), clock: farm.clock });
  await jobs.acquire({ pilotId: 'p', queue: 'default', node: 'n', count: 1, mayHaveSecrets: true });
  t.mock.restoreAll();
  const file = new DatabaseSync(join(database.folder, 'panda.db'), { readOnly: true });
  t.after(() => file.close());
  const onJobs = seen.filter((text) => /jobs_waiting|from jobs|update jobs|waiting_owners/.test(text));
  assert.ok(onJobs.length >= 3, seen.join('\n'));
  for (const text of onJobs) {
    const plan = file.prepare(`explain query plan ${text}`).all() as { detail: string }[];
    const scans = plan
      .map(({ detail }) => detail)
      .filter((detail) => /^SCAN (jobs|tasks|attempts|waiting_owners|one|queue_turns)\b/.test(detail));
    assert.deepEqual(scans, [], text);
  }
});

onPostgres('finding the next job reads no table from one end to the other', async (t, database) => {
  const farm = await openFarm(t, database);
  await farm.submit({ jobCount: 10_000 });
  const reader = new pg.Client(database.url);
  await reader.connect();
  reader.on('error', () => {}); // The database is dropped below it.
  await reader.query('analyze');
  const seen = seenStatements(t);
  await farm.acquireOne('p');
  t.mock.restoreAll();
  const onJobs = seen.filter(({ sql }) => /from jobs|update jobs|"tasks"|"attempts"|waiting_owners/.test(sql));
  assert.ok(onJobs.length >= 5, JSON.stringify(seen));
  for (const { sql, values } of onJobs) {
    const { rows } = await reader.query(`explain ${sql}`, [...values]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    // The table of tasks has one row, which PostgreSQL reads without its index.
    assert.doesNotMatch(plan, /Seq Scan on (jobs|attempts)/, sql);
  }
  await reader.end();
});

eachStore(
  "an owner's jobs that have not ended have a limit, also for submissions at the same moment",
  async (t, database) => {
    const farm = await openFarm(t, database);
    const jobs = createJobs({ store: farm.store, clock: farm.clock, maxOpenJobs: 100 });
    const submit = (name: string, jobCount: number) => jobs.submit(farm.alice, { ...submission(name), jobCount });
    const all = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => submit(`user.alice.t${n}`, 30)));
    const taken = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value.taskId] : []));
    assert.equal(taken.length, 3);
    await assert.rejects(
      submit('user.alice.more', 11),
      /have 90 jobs, and these would be 11 more: at most 100 are allowed/,
    );
    const [first = 0, second = 0] = taken;
    await jobs.pause(farm.alice, second);
    await assert.rejects(submit('user.alice.more', 11), /at most 100/, 'what is paused counts');
    await jobs.kill(farm.alice, first);
    await submit('user.alice.more', 40);
    await assert.rejects(jobs.retry(farm.alice, first), /have 100 jobs, and these would be 30 more/);
    assert.equal((await jobs.getTask(farm.alice, first)).state, 'aborted');
    await jobs.submit(farm.bob, { ...submission('user.bob.test'), jobCount: 100 });
  },
);

test('a placeholder that stands for a long text is not put in more often than fits', async (t) => {
  const farm = await openFarm(t, sqliteDatabase(t));
  const { template } = submission('user.alice.test');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is PanDA's placeholder
  const text = '${SURL}'.repeat(500_000);
  const long = { ...template, sourceUrl: `https://${'a'.repeat(1000)}`, parameters: [{ text, firstNumber: 1 }] };
  const before = process.memoryUsage().rss;
  const took = processorTime();
  await assert.rejects(farm.submit({ template: long }), new RegExp(`at most ${MAX_JOB_PARAMETERS_CHARS} characters`));
  assert.ok(took.milliseconds() < 2000, `took ${took.milliseconds()} ms`);
  assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
});
