import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sql } from 'kysely';
import { verifyAudits } from '../../src/audit/audit.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { moveStore, type StorePlace } from '../../src/site/move-store.ts';
import { showServer } from '../../src/site/servers.ts';
import { pandaSecrets } from '../cli/panda-secrets.ts';
import { startServer } from '../server/start.ts';
import { type DataSet, insertDataSet, makeDataSet, type Row } from '../store/data-set.ts';
import {
  checkSecrets,
  checkTags,
  connect,
  emptySchema,
  MIGRATIONS,
  migrateTo,
  NEWEST,
  rowsOf,
} from '../store/raw-database.ts';
import { onPostgres, type TestDatabase } from '../stores.ts';

const QUIET = { clock: Date.now, onProgress: () => {} };

/** An installation on SQLite with rows in every table, and an empty PostgreSQL beside it. */
async function installationToMove(t: TestContext, database: TestDatabase) {
  const data = join(database.folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const sqlite: TestDatabase = { folder: database.folder, open: database.open };
  const source = connect(sqlite, data);
  await migrateTo(source, sqlite, NEWEST);
  const made = await makeDataSet(data, NEWEST, MIGRATIONS);
  await insertDataSet(source, made);
  await source.destroy();
  const target = connect(database, data);
  await emptySchema(target, database);
  t.after(() => target.destroy());
  return { data, made, target, url: database.url as StorePlace, tables: Object.keys(made.rows), sqlite };
}

let checks = 0;

/** What a server finds there: tags, secrets, chains, and ids that were never given. */
async function checkInstallation(settings: { data: string; database?: string }, made: DataSet): Promise<void> {
  const installation = await openInstallation(settings, { create: false, clock: Date.now });
  try {
    await checkTags(installation.store.db);
    await checkSecrets(installation, made);
    for (const { chain, check } of await verifyAudits(installation.store)) assert.ok(check.whole, chain);
    const task = made.rows['tasks']?.[0] as Row;
    const { id: _id, ...values } = { ...task, id: 0, name: `next ${++checks}/` };
    const { id } = await installation.store.write((tx) =>
      tx
        .insertInto('tasks')
        .values(values as never)
        .returning('id')
        .executeTakeFirstOrThrow(),
    );
    await installation.store.write((tx) => tx.deleteFrom('tasks').where('id', '=', id).execute());
    assert.ok(id > (given.get(made) ?? (task['id'] as number) + 50), `${id} was given before`);
    given.set(made, id);
  } finally {
    await installation.close();
  }
}

/** The last id of a task that was given in an installation. */
const given = new WeakMap<DataSet, number>();

onPostgres('an installation moves to PostgreSQL and back with every row', async (t, database) => {
  const { data, made, target, url, tables, sqlite } = await installationToMove(t, database);
  const source = connect(sqlite, data);
  // The move notes itself in the audit first.
  const unchanged = tables.filter((table) => table !== 'audit' && table !== 'audit_heads');
  const rows = await rowsOf(source, unchanged);
  await source.destroy();

  const counts = { copied: 0, checked: 0 };
  const onProgress = (phase: keyof typeof counts, count: number) => {
    counts[phase] += count;
  };
  const moved = await moveStore({ data }, { from: 'sqlite', to: url }, { ...QUIET, onProgress });
  const total = moved.tables.reduce((sum, table) => sum + table.rows, 0);
  assert.deepEqual(counts, { copied: total, checked: total }, 'every row is read back');
  assert.deepEqual(moved.tables.map(({ table }) => table).sort(), tables.toSorted());
  for (const { table, rows: count, untrusted } of moved.tables) {
    assert.ok(count > 0, `test/store/data-set.ts has no row of ${table}: add one there`);
    assert.equal(untrusted, 0);
  }
  assert.deepEqual(await rowsOf(target, unchanged), rows);
  await assert.rejects(openInstallation({ data }, { create: false, clock: Date.now }), {
    message: /the contents of this database were moved to another one/,
  });
  await checkInstallation({ data, database: url }, made);
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), { message: /were moved before/ });

  await assert.rejects(moveStore({ data }, { from: url, to: 'sqlite' }, QUIET), { message: /the target is not empty/ });
  renameSync(join(data, 'panda.db'), join(database.folder, 'moved.db'));
  await moveStore({ data }, { from: url, to: 'sqlite' }, QUIET);
  const back = connect(sqlite, data);
  assert.deepEqual(await rowsOf(back, unchanged), rows);
  await back.destroy();
  await checkInstallation({ data }, made);
  await assert.rejects(openInstallation({ data, database: url }, { create: false, clock: Date.now }), {
    message: /were moved to another one/,
  });
});

onPostgres('a move is refused while a server runs, and into a database in use', async (t, database) => {
  const { data, target, url } = await installationToMove(t, database);
  const server = await startServer(t, { settings: { data } });
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), {
    code: 'ERR_CONFLICT',
    message: /a server runs on the data folder .*: stop it first/,
  });
  // One that was suspended is silent, and would go on with the source.
  await server.installation.store.write((tx) => tx.deleteFrom('servers').execute());
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), { code: 'ERR_CONFLICT' });
  await server.stop();
  await migrateTo(target, database, NEWEST);
  await sql`insert into sign_in_failures (name, failures, expires_at) values ('x', 1, 1)`.execute(target);
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), {
    message: /the target is not empty \(sign_in_failures has 1 rows\)/,
  });
  await sql`delete from sign_in_failures`.execute(target);
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: 'sqlite' }, QUIET), { message: /one of the two/ });
  // Nothing was changed: the server starts as before.
  const again = await startServer(t, { settings: { data } });
  await again.stop();
  assert.equal((await moveStore({ data }, { from: 'sqlite', to: url }, QUIET)).brokenChains, 0);
});

onPostgres('a row that the target does not take stops a move, and is named', async (t, database) => {
  const { data, sqlite, target, url } = await installationToMove(t, database);
  const source = connect(sqlite, data);
  await sql`insert into sign_in_failures (name, failures, expires_at) values (${'with \0'}, 1, 1)`.execute(source);
  await source.destroy();
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), {
    message:
      /PostgreSQL does not take row with \0 of sign_in_failures \(a text of it has a NUL character\): nothing was moved/,
  });
  assert.deepEqual((await rowsOf(target, ['owners']))['owners'], []);
});

onPostgres('rows that are not believed are told, and are in the target as they were', async (t, database) => {
  const { data, sqlite, url } = await installationToMove(t, database);
  const source = connect(sqlite, data);
  await sql`update queues set allow_tls_secrets = 0`.execute(source);
  await sql`update audit set detail = '{}' where action = 'queue.add'`.execute(source);
  await source.destroy();
  const { tables, brokenChains } = await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
  assert.deepEqual(
    tables.filter(({ untrusted }) => untrusted > 0).map(({ table, untrusted }) => [table, untrusted]),
    [['queues', 1]],
  );
  assert.equal(brokenChains, 1);
});

onPostgres('a target that has something else than was written is found out', async (t, database) => {
  const { data, made, target, url } = await installationToMove(t, database);
  await migrateTo(target, database, NEWEST);
  await sql`create function other() returns trigger language plpgsql as 'begin new.diagnosis = ''other''; return new; end'`.execute(
    target,
  );
  await sql`create trigger other before insert on tasks for each row execute function other()`.execute(target);
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), {
    message: /tasks is not in the target as it was written \(1 rows of 1\): the move is not finished/,
  });
  await assert.rejects(openInstallation({ data, database: url }, { create: false, clock: Date.now }), {
    message: /a move into this database is under way or was broken off/,
  });
  await checkInstallation({ data }, made);
  await sql`drop trigger other on tasks`.execute(target);
  await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
  await checkInstallation({ data, database: url }, made);
});

for (const moment of ['copied', 'checked'] as const) {
  onPostgres(`a move that is killed while rows are ${moment} is begun again`, async (t, database) => {
    const { data, made, url } = await installationToMove(t, database);
    for (const [from, to] of [
      ['sqlite', url],
      [url, 'sqlite'],
    ] as const) {
      await killAt(moment, data, from, to);
      await checkInstallation(from === 'sqlite' ? { data } : { data, database: from }, made);
      await moveStore({ data }, { from, to }, QUIET);
      await checkInstallation(to === 'sqlite' ? { data } : { data, database: to }, made);
      if (existsSync(join(data, 'panda.db'))) renameSync(join(data, 'panda.db'), join(database.folder, 'aside.db'));
    }
  });
}

onPostgres('a move that is killed before its last step is begun again', async (t, database) => {
  const { data, made, target, url, sqlite } = await installationToMove(t, database);
  await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
  const source = connect(sqlite, data);
  const marks = await sql<{ name: string }>`select name from kysely_migration where name like '9999-%'`.execute(source);
  await source.destroy();
  const moving = String(marks.rows[0]?.name).replace('moved', 'moving');
  await markAs(target, moving);
  for (const settings of [{ data }, { data, database: url }]) {
    await assert.rejects(openInstallation(settings, { create: false, clock: Date.now }), { code: 'ERR_MISCONFIGURED' });
  }
  await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
  await checkInstallation({ data, database: url }, made);
});

onPostgres('a target of an earlier try gets nothing once the contents went to another one', async (t, database) => {
  const { data, target, url } = await installationToMove(t, database);
  const { installation } = await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
  await markAs(target, `9999-moving-${installation}-0123456789abcdef`);
  await assert.rejects(moveStore({ data }, { from: 'sqlite', to: url }, QUIET), { message: /were moved before/ });
});

onPostgres(
  'a server on PostgreSQL refuses a move, and one that a move did not see is not ready',
  async (t, database) => {
    const { data, url } = await installationToMove(t, database);
    await moveStore({ data }, { from: 'sqlite', to: url }, QUIET);
    renameSync(join(data, 'panda.db'), join(database.folder, 'moved.db'));
    const server = await startServer(t, { settings: { data, database: url } });
    await assert.rejects(moveStore({ data }, { from: url, to: 'sqlite' }, QUIET), {
      code: 'ERR_CONFLICT',
      message: /a server runs on the database \(.*\): stop it first/,
    });
    const { store } = server.installation;
    await store.write((tx) => tx.deleteFrom('servers').execute());
    await moveStore({ data }, { from: url, to: 'sqlite' }, QUIET);
    assert.deepEqual(await (await fetch(`${server.url}/readyz`)).json(), { ready: false, reason: 'schema' });
    const refused = showServer({ store, rootKeys: server.installation.rootKeys, clock: Date.now });
    await assert.rejects(refused, { message: /were moved to another one/ });
  },
);

async function markAs(database: Parameters<typeof rowsOf>[0], name: string): Promise<void> {
  await sql`insert into kysely_migration (name, timestamp) values (${name}, ${new Date().toISOString()})`.execute(
    database,
  );
}

onPostgres('panda-secrets migrate-store moves, and a server works on the target', async (t, database) => {
  const { target, url } = await installationToMove(t, database);
  const command = pandaSecrets(t);
  const server = await command.serve();
  assert.equal((await command.run(['user', 'add', 'alice'])).status, 0);
  server.process.kill('SIGTERM');
  await server.ended;
  const unnamed = await command.run(['migrate-store', '--from', 'sqlite', '--to', 'postgresql']);
  assert.match(unnamed.stderr, /PANDA_SECRETS_DATABASE names none/);
  assert.equal(unnamed.status, 2);
  const environment = { PANDA_SECRETS_DATABASE: url };
  const { status, stdout, stderr } = await command.run(
    ['migrate-store', '--from', 'sqlite', '--to', 'postgresql'],
    environment,
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^\d+ rows of \d+ tables are moved, and were read back and compared \(/);
  assert.match(stdout, /start the servers with PANDA_SECRETS_DATABASE naming it/);
  const again = await command.serve([], environment);
  assert.match((await command.run(['user', 'list'], environment)).stdout, /alice/);
  again.process.kill('SIGTERM');
  await again.ended;
  assert.match((await command.run(['user', 'list'])).stderr, /were moved to another one/);
  assert.equal((await rowsOf(target, ['accounts']))['accounts']?.length, 1);
});

/** Runs a move in a process of its own, and kills it at the first word of a part. */
async function killAt(moment: string, data: string, from: string, to: string): Promise<void> {
  const code = `
    import { moveStore } from ${JSON.stringify(new URL('../../src/site/move-store.ts', import.meta.url).href)};
    import { writeSync } from 'node:fs';
    await moveStore({ data: ${JSON.stringify(data)} }, ${JSON.stringify({ from, to })}, { clock: Date.now, onProgress(what) {
      if (what !== ${JSON.stringify(moment)}) return;
      writeSync(1, 'now');
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    } });`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), ended]);
  child.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
}
