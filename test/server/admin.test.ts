import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Client, createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { ADMIN_CALLS } from '../../src/protocol/calls/admin.ts';
import type { Call } from '../../src/protocol/calls/call.ts';
import { getUserSecrets } from '../../src/protocol/calls/creds.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { ACCOUNT_RECHECK_SECONDS } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { startServer, type TestServer } from './start.ts';

const PASSWORD = 'correct horse battery';

/** Each call with arguments that an operator's would be answered with. */
const ARGUMENTS: Record<keyof typeof ADMIN_CALLS, Record<string, unknown>> = {
  listUsers: {},
  addUser: { name: 'zoe' },
  disableUser: { name: 'alice' },
  enableUser: { name: 'alice' },
  logOutUser: { name: 'alice' },
  createPasswordLink: { name: 'newcomer' },
  listQueues: {},
  addQueue: { name: 'another' },
  removeQueue: { name: 'another' },
  setQueue: { name: 'default', allow_tls_secrets: true },
  setSiteRecord: { name: 'default', record: 'a.b' },
  getQueueLoad: { queue: 'default' },
  createPilotToken: { queue: 'default' },
  listPilots: {},
  endPilot: { pilot: 'none' },
  addLauncher: { name: 'slurm', queues: ['default'] },
  renewLauncher: { name: 'slurm' },
  removeLauncher: { name: 'slurm' },
  listLaunchers: {},
};
const NAMES = Object.keys(ADMIN_CALLS) as (keyof typeof ADMIN_CALLS)[];
const EVERY_CALL = NAMES.map((name) => [ADMIN_CALLS[name] as Call, ARGUMENTS[name]] as const);

function clientOf(t: TestContext, { url }: TestServer, token: string): Client {
  const client = createClient({ url, token: async () => token, vo: 'panda' });
  t.after(() => client.close());
  return client;
}

/** Chooses a password at a link. */
async function choosePassword(url: string, password = PASSWORD): Promise<string> {
  const headers = { origin: new URL(url).origin, 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await fetch(url, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ password, again: password }),
  });
  return await answer.text();
}

async function seen(server: TestServer, operator: Client): Promise<string> {
  const administration = operator.administration;
  return JSON.stringify([
    await administration.listUsers({}),
    await administration.listQueues({}),
    await administration.listLaunchers({}),
    server.url,
  ]);
}

test("no call of an operator answers a user or a pilot, whatever they are called, or nobody's token", async (t) => {
  const server = await startServer(t);
  const operator = clientOf(t, server, await server.operatorToken('olga'));
  await operator.administration.addUser({ name: 'newcomer' });
  await operator.administration.addUser({ name: 'mallory', display_name: 'olga' });
  const tokens = {
    user: await server.userToken('alice'),
    'a user with the display name of an operator': await server.userToken('mallory'),
    'a pilot with a bearer token': await server.pilotToken(),
    'a launcher': (await operator.administration.addLauncher({ name: 'harvester', queues: ['default'] })).token,
    nobody: 'a.b.c',
  };
  const { pilot } = await server.joinedPilot();
  const before = await seen(server, operator);
  for (const [call, args] of EVERY_CALL) {
    for (const [who, token] of Object.entries(tokens)) {
      const { success, message, data } = await server.ask(token, call, args);
      assert.deepEqual([success, data], [false, null], `${call.path} for ${who}`);
      assert.match(message, /for operators|malformed/, `${call.path} for ${who}`);
    }
  }
  for (const name of NAMES) {
    const act = pilot.administration[name] as (args: object) => Promise<unknown>;
    await assert.rejects(act(ARGUMENTS[name]), /for operators, and the token is a pilot's/, `${name} for a pilot`);
  }
  assert.equal(await seen(server, operator), before, 'nothing has changed');
});

test('an operator who is disabled, or is one no longer, is refused within half a minute', async (t) => {
  const time = { now: Date.now() };
  const server = await startServer(t, { clock: () => time.now });
  const [first, second] = [await server.operatorToken('olga'), await server.operatorToken('otto')];
  const [olga, otto] = [clientOf(t, server, first), clientOf(t, server, second)];
  await olga.administration.listUsers({});
  await otto.administration.disableUser({ name: 'olga' });
  time.now += ACCOUNT_RECHECK_SECONDS * 1000;
  await assert.rejects(olga.administration.listUsers({}), /disabled/);
  await otto.administration.enableUser({ name: 'olga' });
  await olga.administration.listUsers({});
});

test('an operator keeps secrets as a user does, and sees nothing of those of others', async (t) => {
  const server = await startServer(t);
  const token = await server.operatorToken();
  const [operator, alice] = [clientOf(t, server, token), clientOf(t, server, await server.userToken('alice'))];
  await alice.setSecret(wireName('ALICES_NAME'), 'the-value-of-alice');
  await operator.setSecret(wireName('OWN'), 'own');
  const own = await operator.getSecrets();
  assert.deepEqual([...own.keys()], ['OWN']);
  for (const extra of [{}, { owner: 'alice' }, { user: 'alice' }, { subject: 'alice' }]) {
    const { data } = await server.ask(token, getUserSecrets as Call, extra);
    assert.doesNotMatch(JSON.stringify(data), /ALICES_NAME|the-value-of-alice/);
  }
  for (const [call, args] of EVERY_CALL) {
    const answer = JSON.stringify(await server.ask(token, call, args));
    assert.doesNotMatch(answer, /ALICES_NAME|the-value-of-alice/, call.path);
  }
});

test('a link for a password never lets an operator in as somebody who may keep something', async (t) => {
  const server = await startServer(t);
  const { administration } = clientOf(t, server, await server.operatorToken());
  const refusal = { message: /would let you in as .*at the server's machine/ };

  await server.userToken('alice');
  await assert.rejects(administration.createPasswordLink({ name: 'alice' }), refusal, 'a token was made for alice');

  await administration.addUser({ name: 'bob' });
  const [link, kept] = [
    await administration.createPasswordLink({ name: 'bob' }),
    await administration.createPasswordLink({ name: 'Bob' }),
  ];
  assert.match(await choosePassword(link.url), /Your password is set/);
  await assert.rejects(administration.createPasswordLink({ name: 'bob' }), refusal, 'bob chose a password');
  assert.equal((await fetch(kept.url)).status, 404, 'the second link, which the operator kept');

  await administration.addUser({ name: 'carol' });
  const early = await administration.createPasswordLink({ name: 'carol' });
  await server.userToken('carol');
  assert.equal((await fetch(early.url)).status, 404, 'a link from before carol had a token');
  assert.doesNotMatch(await choosePassword(early.url), /Your password is set/);

  await server.operatorToken('otto');
  await assert.rejects(administration.createPasswordLink({ name: 'otto' }), refusal, 'another operator');
});

test('operators and their role are made at the machine alone', async (t) => {
  const server = await startServer(t);
  const token = await server.operatorToken();
  for (const extra of [{ role: 'operator' }, { operator: true }]) {
    await server.ask(token, ADMIN_CALLS.addUser as Call, { name: `eve-${Object.keys(extra)[0]}`, ...extra });
  }
  const users = await clientOf(t, server, token).administration.listUsers({});
  assert.deepEqual(
    users.filter(({ role }) => role === 'operator').map(({ name }) => name),
    ['olga'],
  );
});

test('whatever an operator does is in the audit of the system, under the operator', async (t) => {
  const server = await startServer(t);
  const operator = clientOf(t, server, await server.operatorToken());
  const { administration } = operator;
  await administration.addUser({ name: 'alice' });
  await administration.createPasswordLink({ name: 'alice' });
  await administration.disableUser({ name: 'alice' });
  await administration.enableUser({ name: 'alice' });
  await administration.addQueue({ name: 'NEW' });
  await administration.createPilotToken({ queue: 'NEW' });
  await administration.createPilotToken({ queue: 'NEW', bearer: true });
  await administration.addLauncher({ name: 'slurm', queues: ['NEW'] });
  await administration.renewLauncher({ name: 'slurm' });
  await administration.removeLauncher({ name: 'slurm' });
  const { subject } = await operator.getUserAttributes();
  using database = new DatabaseSync(join(server.folder, 'panda.db'), { readOnly: true });
  const rows = database.prepare("select action from audit where owner_id = 'system' and actor = ? order by seq");
  assert.deepEqual(
    rows.all(`operator:${subject}`).map(({ action }) => action),
    [
      ...['user.add', 'user.password_link', 'user.disable', 'user.enable'],
      ...['queue.add', 'join_token.make', 'pilot.bearer_token'],
      ...['launcher.add', 'launcher.renew', 'launcher.remove'],
    ],
  );
});

test('a launcher sees what waits for a queue, gets a token for it, and a pilot takes the job', async (t) => {
  const server = await startServer(t);
  const { administration } = clientOf(t, server, await server.operatorToken());
  const alice = clientOf(t, server, await server.userToken('alice'));
  const load = () => administration.getQueueLoad({ queue: 'default' });
  assert.deepEqual(await load(), { waiting: 0, running: 0, pilots: 0 });

  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync('not really a tar'));
  const task = {
    exec: 'true',
    outDataset: 'user.alice.x',
    outputs: [],
    jobs: 3,
    useSecrets: false,
    commandLine: 'prun',
  };
  await alice.submitTask(buildTaskParameters(task, 'panda', sandbox));
  assert.deepEqual(await load(), { waiting: 3, running: 0, pilots: 0 });

  const { token, expires_at } = await administration.createPilotToken({ queue: 'default', ttl_seconds: 60 });
  assert.ok(Math.abs(Date.parse(expires_at) - Date.now() - 60_000) < 10_000);
  const connection = { url: server.url, vo: 'panda:pilot' };
  const session = await (
    await prepareJoin(connection, { token: parseJoinToken(token), queue: 'default', node: 'node1' })
  )();
  const pilot = createClient({ ...connection, signer: session });
  t.after(() => pilot.close());
  assert.equal((await pilot.acquireJobs({ site_name: 'default' })).length, 1);
  assert.deepEqual(await load(), { waiting: 2, running: 1, pilots: 1 });

  const [listed] = (await administration.listPilots({})).pilots;
  assert.equal(listed?.id, session.pilotId);
  await administration.endPilot({ pilot: session.pilotId });
  await assert.rejects(pilot.acquireJobs({ site_name: 'default' }), /the operator ended it/);
  assert.equal((await load()).pilots, 0);
  await assert.rejects(administration.getQueueLoad({ queue: 'nowhere' }), /no queue "nowhere"; the queues are default/);
  await assert.rejects(administration.createPilotToken({ queue: 'nowhere' }), /no queue "nowhere"/);
});
