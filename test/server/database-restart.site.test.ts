import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { acquireJobs } from '../../src/protocol/calls/pilot.ts';
import { DATABASE_RETRY_SECONDS } from '../../src/protocol/limits.ts';
import { type EmbeddedPostgres, ownPostgres } from '../embedded-postgres.ts';
import { seenTime } from '../took.ts';
import { startServer, type TestServer } from './start.ts';

/** Users and pilots that ask without a pause, until they are told to end. */
async function load(server: TestServer) {
  const [user, pilot] = [await server.userToken('alice'), await server.pilotToken()];
  const refusals = new Set<string>();
  const kept = new Map<string, string>();
  let ended = false;
  const keepAsking = async (n: number) => {
    const key = `KEY${n}`;
    for (let turn = 0; !ended; turn++) {
      const value = `value ${turn}`;
      const set = await server.ask(user, setUserSecrets, { key, value });
      if (set.success) kept.set(key, value);
      const read = await server.ask(user, getUserSecrets, { keys: [key] });
      const none = await server.ask(pilot, acquireJobs, { site_name: 'default' });
      for (const { success, message } of [set, read, none]) if (!success) refusals.add(message);
    }
  };
  const asking = Promise.all(Array.from({ length: 8 }, (_, n) => keepAsking(n)));
  return {
    /** @returns the writes that were refused, and the value of each secret that was accepted last */
    async end() {
      ended = true;
      await asking;
      refusals.delete('No jobs in PanDA');
      return { refusals: [...refusals], kept };
    },
    stored: async () => {
      const { data } = await server.ask(user, getUserSecrets, {});
      return JSON.parse(String(data)) as Record<string, string>;
    },
  };
}

const AWAY = "the server's database is away at the moment: try again in a minute";

const FAULTS: [name: string, break_: (database: EmbeddedPostgres) => Promise<void>][] = [
  [
    'is restarted',
    async (database) => {
      await database.halt();
      await database.start();
    },
  ],
  [
    'is stopped at once, and starts',
    async (database) => {
      await database.halt('immediate');
      await database.start();
    },
  ],
  [
    'ends its connections',
    async (database) => {
      const client = new pg.Client(database.url);
      await client.connect();
      await client.query('select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()');
      await client.end();
    },
  ],
];

for (const [name, breakIt] of FAULTS) {
  test(`a server under load whose database ${name}, again and again, loses nothing that it accepted`, async (t) => {
    const database = await ownPostgres(t);
    if (!database) return;
    const server = await startServer(t, { settings: { database: database.url } });
    const asking = await load(server);
    for (let times = 0; times < 4; times++) {
      await breakIt(database);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { refusals, kept } = await asking.end();
    assert.deepEqual(
      refusals.filter((message) => message !== AWAY),
      [],
    );
    const stored = await asking.stored();
    assert.ok(kept.size > 0);
    // A refused one may have been kept all the same: it was being committed.
    for (const [key, value] of kept) assert.ok(Number(stored[key]?.slice(6)) >= Number(value.slice(6)), key);
    assert.doesNotMatch(server.logs(), /"level":60|ERR_INTERNAL/);
  });
}

test('while its database is away every call is answered with 503 and the reason, soon, and afterwards as before', async (t) => {
  const database = await ownPostgres(t);
  if (!database) return;
  const server = await startServer(t, { settings: { database: database.url } });
  const token = await server.userToken('alice');
  await server.ask(token, setUserSecrets, { key: 'KEY', value: 'first' });
  await database.halt();
  const get = () =>
    fetch(new URL('/api/v1/creds/get_user_secrets', server.url), { headers: { authorization: `Bearer ${token}` } });
  await get();
  const seen = seenTime();
  const answer = await get();
  assert.ok(seen.seconds() < DATABASE_RETRY_SECONDS - 1, 'the first one has waited for all');
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get('retry-after'), '10');
  assert.deepEqual(await answer.json(), { success: false, message: AWAY, data: null });
  assert.match(server.logs(), /ERR_UNAVAILABLE","cause":"(57P0|ECONN|ENOENT)/);
  await database.start();
  assert.equal((await get()).status, 200);
});

test('a server that starts before its database waits for it, for the time that is set', async (t) => {
  const database = await ownPostgres(t);
  if (!database) return;
  await database.halt();
  const late = startServer(t, { settings: { database: database.url, databaseWaitSeconds: 60 } });
  await assert.rejects(
    startServer(t, { settings: { database: database.url, databaseWaitSeconds: 1 } }),
    /PostgreSQL at \/.* cannot be used \(.*ENOENT.*is it running/,
  );
  await database.start();
  const server = await late;
  assert.match(server.logs(), /PostgreSQL at .* is away \(.*\): waiting for it/);
});
