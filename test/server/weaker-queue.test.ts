import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { verifyAudit } from '../../src/audit/audit.ts';
import { type Client, createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { checkSecrets } from '../../src/client/task-secrets.ts';
import { acquireJobs } from '../../src/protocol/calls/pilot.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { startServer, type TestServer } from './start.ts';

/** Alice keeps `TOKEN` for the queue `SITE`, and `ANY` for all of them. */
async function setUp(t: TestContext) {
  const server = await startServer(t);
  const operator = clientOf(t, server, await server.operatorToken()).administration;
  await operator.addQueue({ name: 'SITE' });
  await operator.addQueue({ name: 'SITE_2' });
  const alice = clientOf(t, server, await server.userToken('alice'));
  await alice.setSecret(wireName('TOKEN', 'string'), 'a value', { queues: ['SITE'] });
  await alice.setSecret(wireName('ANY', 'string'), 'another value');
  const bob = clientOf(t, server, await server.userToken('bob'));
  await bob.setSecret(wireName('TOKEN', 'string'), "bob's value", { queues: ['SITE_2'] });
  return { server, operator, alice, bob };
}

function clientOf(t: TestContext, { url }: TestServer, token: string): Client {
  const client = createClient({ url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

async function changesTold(client: Client): Promise<[queue: string, weaker: boolean, secrets: (string | null)[]][]> {
  const { changes } = await client.getQueueNotices();
  return changes.map(({ queue, allow_tls_secrets, secrets }) => [queue, allow_tls_secrets, [...secrets]]);
}

async function warnings(client: Client, site?: string): Promise<string[]> {
  const warned: string[] = [];
  await checkSecrets(client, { useSecrets: true, site }, (text) => warned.push(text));
  return warned;
}

test('owners whose secrets name a queue are told when it becomes weaker, and no others', async (t) => {
  const { operator, alice, bob } = await setUp(t);
  assert.equal((await operator.setQueue({ name: 'SITE', allow_tls_secrets: true })).told, 1);
  assert.deepEqual(await changesTold(alice), [['SITE', true, ['TOKEN']]]);
  assert.deepEqual(await changesTold(bob), []);
  const { tls_queues } = await bob.getQueueNotices();
  assert.deepEqual(
    tls_queues.map(({ queue }) => queue),
    ['SITE'],
  );
  assert.match(tls_queues[0]?.since ?? '', /^\d{4}-/);
});

test('a task whose secrets would go to a weaker queue is warned of it', async (t) => {
  const { operator, alice, bob } = await setUp(t);
  assert.deepEqual(await warnings(alice, 'SITE'), []);
  await operator.setQueue({ name: 'SITE', allow_tls_secrets: true });
  assert.match(
    (await warnings(alice, 'SITE')).join(),
    /^jobs run on SITE \(since .*over TLS alone.*in clear into its own log/,
  );
  assert.match((await warnings(alice)).join(), /jobs may run on SITE \(since /);
  assert.doesNotMatch((await warnings(alice, 'default')).join(), /TLS/);
  assert.doesNotMatch((await warnings(bob, 'SITE')).join(), /TLS/, "bob's secret does not go there");
});

test('no way of an operator to a weaker queue is silent', async (t) => {
  const { server, operator, alice } = await setUp(t);
  const weaken = { name: 'SITE', allow_tls_secrets: true };
  await assert.rejects(operator.addQueue(weaken), /already, which gives secrets sealed only: nothing was changed/);
  assert.deepEqual(await changesTold(alice), [], 'nothing was changed');

  // For a moment, so that nobody sees it in the list of queues.
  await operator.setQueue(weaken);
  await operator.setQueue({ name: 'SITE', allow_tls_secrets: false });
  // Removed, and added anew as another one.
  await operator.removeQueue({ name: 'SITE' });
  assert.equal((await operator.addQueue(weaken)).told, 1);

  assert.deepEqual(await changesTold(alice), [
    ['SITE', true, ['TOKEN']],
    ['SITE', false, ['TOKEN']],
    ['SITE', true, ['TOKEN']],
  ]);
  const { store } = server.installation;
  const { id } = await store.db
    .selectFrom('owners')
    .select('id')
    .where('display_name', '=', 'alice')
    .executeTakeFirstOrThrow();
  const { whole } = await verifyAudit(store, id as OwnerId);
  assert.equal(whole, true);
  await store.write((tx) =>
    tx.deleteFrom('audit').where('owner_id', '=', id).where('action', '=', 'queue.tls_secrets').execute(),
  );
  assert.equal((await verifyAudit(store, id as OwnerId)).whole, false, 'a notice that was removed is missed');
});

test('who was let in to a queue that was removed is not let in to a new one of its name', async (t) => {
  let now = Date.now();
  const server = await startServer(t, { clock: () => now });
  const administration = clientOf(t, server, await server.operatorToken()).administration;
  await administration.addQueue({ name: 'SITE' });
  const bearer = await server.pilotToken('SITE');
  const token = await server.joinToken('SITE');
  const { pilot } = await server.joinedPilot('SITE');
  const { pilot: other } = await server.joinedPilot('default');
  const ask = { site_name: 'SITE' };
  assert.match((await server.ask(bearer, acquireJobs, { site_name: 'SITE' })).message, /^No jobs/);
  await pilot.acquireJobs(ask);

  now += (CLOCK_TOLERANCE_SECONDS + 1) * 1000;
  await administration.removeQueue({ name: 'SITE' });
  await administration.addQueue({ name: 'SITE' });
  assert.match(
    (await server.ask(bearer, acquireJobs, { site_name: 'SITE' })).message,
    /queue "SITE" was removed and added again after this pilot's token was made/,
  );
  await assert.rejects(pilot.acquireJobs(ask), /session has ended: the operator ended it/);
  const join = await prepareJoin({ url: server.url, vo: 'panda:pilot' }, { token, queue: 'SITE', node: 'n' });
  await assert.rejects(join(), /unknown/);

  assert.match(
    (await server.ask(await server.pilotToken('SITE'), acquireJobs, { site_name: 'SITE' })).message,
    /^No jobs/,
  );
  await (await server.joinedPilot('SITE')).pilot.acquireJobs(ask);
  await other.acquireJobs({ site_name: 'default' });
});

test('a pilot of a paused queue is told so in words that a pilot of PanDA understands', async (t) => {
  const { server, operator } = await setUp(t);
  await operator.setQueue({ name: 'SITE', state: 'paused' });
  const answer = await server.ask(await server.pilotToken('SITE'), acquireJobs, { site_name: 'SITE' });
  assert.match(answer.message, /^No jobs in PanDA for this pilot: queue "SITE" is paused$/);
});
