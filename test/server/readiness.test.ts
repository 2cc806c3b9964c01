import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { READINESS_SECONDS } from '../../src/protocol/limits.ts';
import { type EmbeddedPostgres, ownPostgres } from '../embedded-postgres.ts';
import { freePort } from '../free-port.ts';
import { untilAnswer } from '../patience.ts';
import { eachStore } from '../stores.ts';
import { startServer } from './start.ts';

const OWN = { host: '127.0.0.1', port: 0 };

/** Its status, and why it is not ready. */
async function readiness(url: string): Promise<string> {
  const answer = await fetch(`${url}/readyz`);
  const { reason } = (await answer.json()) as { reason?: string };
  return reason === undefined ? String(answer.status) : `${answer.status} ${reason}`;
}

eachStore('a server that works is healthy and ready, at both of its addresses', async (t, { url }) => {
  const server = await startServer(t, { settings: { metricsListen: OWN, ...(url && { database: url }) } });
  for (const at of [server.url, server.metricsUrl]) {
    const health = await fetch(`${at}/healthz`);
    assert.deepEqual([health.status, await health.text()], [200, '{"status":"ok"}']);
    assert.equal(await readiness(at), '200');
  }
  assert.equal((await fetch(`${server.url}/metrics`)).status, 404, 'users do not see metrics');
  assert.equal((await fetch(`${server.metricsUrl}/metrics`)).status, 200);
  assert.equal((await fetch(`${server.metricsUrl}/api/v1/system/is_alive`)).status, 404);
  assert.equal((await fetch(`${server.url}/api/v1/system/is_alive`)).status, 200);
  await server.stop();
  const lines = server
    .logs()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; path?: string });
  const logged = lines.filter(({ path, level }) => path !== undefined || level >= 50).map(({ path }) => path);
  assert.deepEqual(logged, ['(unknown)', '/api/v1/system/is_alive'], 'who watches is not logged, and counts nothing');
});

test('metrics are nowhere unless a setting says where', async (t) => {
  const [none, open] = [await startServer(t), await startServer(t, { settings: { metricsListen: 'public' } })];
  assert.equal((await fetch(`${none.url}/metrics`)).status, 404);
  assert.equal((await fetch(`${open.url}/metrics`)).status, 200);
});

for (const [name, change, reason] of [
  ['lacks tables of this release', sql`delete from kysely_migration where name = '0001-start'`, 'schema'],
  ['lacks all tables', sql`drop table kysely_migration`, 'schema'],
  ['belongs to another installation', sql`update installation_keys set id = 'another'`, 'schema'],
  ['names a root key that is not there', sql`update installation_keys set root_key_id = 'another'`, 'root key'],
] as const) {
  eachStore(`a server whose database ${name} is not ready`, async (t, { url }) => {
    const server = await startServer(t, { settings: url ? { database: url } : {} });
    await untilAnswer(() => readiness(server.url), '200');
    await server.installation.store.write((tx) => change.execute(tx));
    await untilAnswer(() => readiness(server.url), `503 ${reason}`);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });
}

eachStore('tables of a newer release keep no server from its work', async (t, { url }) => {
  const server = await startServer(t, { settings: url ? { database: url } : {} });
  await server.installation.store.write((tx) =>
    sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2030-01-01')`.execute(tx),
  );
  await untilAnswer(() => readiness(server.url), '200');
});

test('a server that waits for its database says that it starts, and nothing listens when it gave up', async (t) => {
  const [port, nobody] = [await freePort(), await freePort()];
  const database = `postgres://panda@127.0.0.1:${nobody}/panda`;
  const metricsListen = { host: '127.0.0.1', port };
  const started = startServer(t, { settings: { metricsListen, database, databaseWaitSeconds: 2 } });
  const refused = assert.rejects(started, { code: 'ERR_MISCONFIGURED' });
  const at = `http://127.0.0.1:${port}`;
  await untilAnswer(() => readiness(at).catch(() => ''), '503 starting');
  const metrics = await (await fetch(`${at}/metrics`)).text();
  assert.match(metrics, /^panda_secrets_ready 0$/m);
  await refused;
  await assert.rejects(fetch(`${at}/healthz`));
});

test('a server that drains is not ready', async (t) => {
  const server = await startServer(t, { settings: { metricsListen: OWN } });
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  const token = await server.userToken('alice');
  socket.write(
    `POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
      'Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n',
  );
  await once(socket, 'data');
  const stopped = server.stop();
  await untilAnswer(() => readiness(server.metricsUrl), '503 draining');
  socket.destroy();
  await stopped;
});

test('a server whose PostgreSQL is down is not ready until it is back', async (t) => {
  const database = await ownPostgres(t);
  if (!database) return;
  const server = await startServer(t, { settings: { database: database.url, metricsListen: OWN } });
  await untilAnswer(() => readiness(server.url), '200');
  await database.halt();
  await untilAnswer(() => readiness(server.url), '503 database');
  const metrics = await (await fetch(`${server.metricsUrl}/metrics`)).text();
  assert.match(metrics, /^panda_secrets_database_up 0$/m);
  assert.doesNotMatch(metrics, /^panda_secrets_waiting_jobs /m, 'what cannot be read is not told');
  const alive = await fetch(`${server.url}/api/v1/system/is_alive`);
  assert.equal(((await alive.json()) as { success: boolean }).success, true, 'it is alive all the same');
  await database.start();
  await untilAnswer(() => readiness(server.url), '200');
});

/** A line to PostgreSQL that stands still when it is told to: nothing is refused, and nothing answered. */
async function frozenLine(t: TestContext, { url }: EmbeddedPostgres) {
  const folder = new URLSearchParams(url.split('?')[1]).get('host') ?? '';
  let isFrozen = false;
  const sockets = new Set<Socket>();
  const line = createServer((near) => {
    sockets.add(near.on('error', () => {}));
    if (isFrozen) return;
    const far = connect(join(folder, '.s.PGSQL.5432')).on('error', () => {});
    sockets.add(far);
    near.on('close', () => far.destroy());
    near.on('data', (data) => isFrozen || far.write(data));
    far.on('data', (data) => isFrozen || near.write(data));
  }).listen(0, '127.0.0.1');
  await once(line, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    line.close();
  });
  return {
    url: `postgres://postgres@127.0.0.1:${(line.address() as AddressInfo).port}/postgres`,
    freeze: () => (isFrozen = true),
    thaw: () => (isFrozen = false),
  };
}

test('a PostgreSQL that stands still makes its server not ready in bounded time, and few ask it', async (t) => {
  const database = await ownPostgres(t);
  if (!database) return;
  const line = await frozenLine(t, database);
  const server = await startServer(t, { settings: { database: line.url } });
  await untilAnswer(() => readiness(server.url), '200');
  line.freeze();
  await untilAnswer(() => readiness(server.url), '503 database');
  const since = performance.now();
  const answers = await Promise.all(Array.from({ length: 200 }, () => readiness(server.url)));
  // Two hundred looks one after the other would take many times as long, on a machine with much else to do as well.
  assert.ok(performance.now() - since < 20 * READINESS_SECONDS * 1000);
  assert.deepEqual(new Set(answers), new Set(['503 database']));
  line.thaw();
  await untilAnswer(() => readiness(server.url), '200');
});

test('however many ask, the database is asked once at a time', async (t) => {
  const database = await ownPostgres(t);
  if (!database) return;
  const server = await startServer(t, { settings: { database: database.url } });
  const [locking, looking] = [new pg.Client(database.url), new pg.Client(database.url)];
  await locking.connect();
  await looking.connect();
  await locking.query('begin; lock table installation_keys in access exclusive mode');
  let most = 0;
  let done = false;
  const asking = Promise.all(
    Array.from({ length: 50 }, async () => {
      while (!done) assert.equal(await readiness(server.url), '503 database');
    }),
  );
  while (most === 0) {
    const { rows } = await looking.query(
      "select count(*)::int as count from pg_stat_activity where query like '%installation_keys%' and wait_event_type = 'Lock'",
    );
    most = rows[0].count;
  }
  done = true;
  await asking;
  assert.equal(most, 1);
  await locking.query('rollback');
  await untilAnswer(() => readiness(server.url), '200');
  await locking.end();
  await looking.end();
});
