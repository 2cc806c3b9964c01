import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import { addQueue, findQueue, listQueues, setQueue } from '../../src/jobs/queues.ts';
import { migrationProvider } from '../../src/store/migrations.ts';
import { POSTGRES_TYPES } from '../../src/store/postgres.ts';
import { SQLITE_TYPES } from '../../src/store/sqlite.ts';
import { sqliteDialect } from '../../src/store/sqlite-dialect.ts';
import { eachStore, type TestDatabase } from '../stores.ts';

/** As the release that made the first tags wrote them under `TEST_KEY`: known answers, never made anew. */
const QUEUES_OF_BEFORE = [
  { name: 'SITE_A', allow_tls_secrets: 0, tag: '0d0edd0864bc7ec73b0d831e96411c7a558c9a776308ca4be8e1ed784534b70b' },
  { name: 'OLD', allow_tls_secrets: 1, tag: 'db1cb822b613da2ed6f987f78b6b4beda533e0e47d732f0a318766955822f5de' },
];

eachStore('rows with the tags of before the states of queues are believed after the upgrade', async (_t, database) => {
  const before = connect(database);
  const provider = migrationProvider(database.url ? POSTGRES_TYPES : SQLITE_TYPES);
  const { error } = await new Migrator({ db: before, provider }).migrateTo('0010-brought-files');
  assert.equal(error, undefined);
  for (const { name, allow_tls_secrets, tag } of QUEUES_OF_BEFORE) {
    await sql`insert into queues (name, allow_tls_secrets, created_at, tag)
      values (${name}, ${allow_tls_secrets}, 1, ${Buffer.from(tag, 'hex')})`.execute(before);
  }
  await before.destroy();

  const store = await database.open();
  assert.deepEqual(await listQueues(store), [
    { name: 'OLD', allowTlsSecrets: true, state: 'open' },
    { name: 'SITE_A', allowTlsSecrets: false, state: 'open' },
  ]);
  await setQueue(store, Date.now, 'SITE_A', { state: 'draining' });
  assert.equal((await findQueue(store, 'SITE_A'))?.state, 'draining');
  await store.write((tx) => sql`update queues set state = null where name = 'SITE_A'`.execute(tx));
  await assert.rejects(findQueue(store, 'SITE_A'), { code: 'ERR_TAMPERED' }, 'what was added is covered too');
  assert.equal((await addQueue(store, Date.now, 'NEW')).isNew, true);
});

eachStore('the needs of the tasks of before stand beside them after the upgrade', async (_t, database) => {
  const before = connect(database);
  // A run of the tests starts from a database at this release's tables.
  if (database.url)
    await sql`drop schema public cascade`.execute(before).then(() => sql`create schema public`.execute(before));
  const provider = migrationProvider(database.url ? POSTGRES_TYPES : SQLITE_TYPES);
  const { error } = await new Migrator({ db: before, provider }).migrateTo('0014-secret-expiry');
  assert.equal(error, undefined);
  await sql`insert into owners (id, issuer, subject, display_name, created_at) values ('o', 'i', 's', 'n', 1)`.execute(
    before,
  );
  for (const parameters of [
    '{"coreCount":8,"memory":16000,"maxWalltimeSeconds":3600}',
    '{"coreCount":1,"memory":0,"maxWalltimeSeconds":0}',
    '{"coreCount":"x"}',
    'damaged',
  ]) {
    await sql`insert into tasks (owner_id, name, unique_name, state, use_secrets, parameters, job_count, max_attempts, created_at, modified_at)
      values ('o', 't', 0, 'ready', 0, ${parameters}, 1, 1, 1, 1)`.execute(before);
  }
  await before.destroy();
  const { db } = await database.open();
  const rows = await db.selectFrom('tasks').select(['cores', 'memory_mb', 'walltime_seconds']).orderBy('id').execute();
  const none = { cores: 1, memory_mb: 0, walltime_seconds: 0 };
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    [{ cores: 8, memory_mb: 16000, walltime_seconds: 3600 }, none, none, none],
  );
});

function connect({ folder, url }: TestDatabase): Kysely<unknown> {
  const dialect = url
    ? new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) })
    : sqliteDialect(new DatabaseSync(join(folder, 'panda.db')));
  return new Kysely({ dialect });
}
