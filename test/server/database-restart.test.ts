import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { acquireJobs } from '../../src/protocol/calls/pilot.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres.ts';
import { startServer } from './start.ts';

async function postgres(t: TestContext): Promise<EmbeddedPostgres | undefined> {
  try {
    const database = await startEmbeddedPostgres();
    t.after(() => database.stop());
    return database;
  } catch (error) {
    t.skip(`PostgreSQL cannot be started here: ${(error as Error).message}`);
    return undefined;
  }
}

test('a server outlives a restart of its database under load, and says meanwhile that it is away', async (t) => {
  const database = await postgres(t);
  if (!database) return;
  const server = await startServer(t, { settings: { database: database.url } });
  const [user, pilot] = [await server.userToken('alice'), await server.pilotToken()];
  await server.ask(user, setUserSecrets, { key: 'KEY', value: 'first' });

  let restarted = false;
  const refusals = new Set<string>();
  const keepAsking = async (n: number) => {
    for (let turn = 0; !restarted; turn++) {
      for (const answer of [
        await server.ask(user, setUserSecrets, { key: `KEY${n}`, value: `value ${turn}` }),
        await server.ask(user, getUserSecrets, { keys: [`KEY${n}`] }),
        await server.ask(pilot, acquireJobs, { site_name: 'default' }),
      ]) {
        if (!answer.success) refusals.add(answer.message);
      }
    }
  };
  const asking = Promise.all(Array.from({ length: 12 }, (_, n) => keepAsking(n)));
  await database.restart();
  restarted = true;
  await asking;

  refusals.delete('No jobs in PanDA');
  assert.deepEqual([...refusals], ["the server's database is away at the moment: try again in a minute"]);
  const { data } = await server.ask(user, getUserSecrets, { keys: ['KEY'] });
  assert.deepEqual(JSON.parse(String(data)), { KEY: 'first' });
  assert.match(server.logs(), /ERR_UNAVAILABLE","cause":"(57P0|ECONN|ENOENT)/);
});
