import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { type Client, createClient } from '../../src/client/client.ts';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { exampleOf, type Schema } from '../../src/pages/examples.ts';
import type { Call } from '../../src/protocol/calls/call.ts';
import { LAUNCHER_CALLS } from '../../src/protocol/calls/launcher.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import type { Launching } from '../../src/protocol/launching.ts';
import { ACCOUNT_RECHECK_SECONDS, MAX_LAUNCHER_TOKENS } from '../../src/protocol/limits.ts';
import { TOLD_TO_STOP } from '../../src/protocol/states.ts';
import { eachStore, type TestDatabase } from '../stores.ts';
import { allCalls } from './calls.ts';
import { startServer, type TestServer } from './start.ts';

const REASON = 'time limit reached';

/** The calls of launchers: our own, and those of PanDA's Harvester. */
const OWN = /^(launcher|harvester|metaconfig|statistics)\//;

function exampleArguments({ parameters }: Call): Record<string, unknown> {
  const schemas = Object.entries(parameters.properties as Record<string, Schema>);
  return Object.fromEntries(schemas.map(([name, schema]) => [name, exampleOf(schema)]));
}

/** A server with two queues, an operator, a launcher of queue `A` and one of queue `B`. */
async function setUp(t: TestContext, database: TestDatabase, clock = Date.now) {
  const settings = { data: database.folder, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings, clock });
  const client = (token: string): Client => {
    const made = createClient({ url: server.url, token: async () => token, vo: 'panda' });
    t.after(() => made.close());
    return made;
  };
  const operator = client(await server.operatorToken()).administration;
  for (const name of ['A', 'B']) await operator.addQueue({ name });
  const add = async (name: string, queues: string[]) => {
    const { token } = await operator.addLauncher({ name, queues });
    return { token, launching: client(token).launching };
  };
  const [a, b] = [await add('of-a', ['A']), await add('of-b', ['B'])];
  return { server, client, operator, add, a, b, alice: client(await server.userToken('alice')) };
}

/** Joins with a token as `panda-pilot` does. */
async function join(t: TestContext, { url }: TestServer, token: string, queue: string) {
  const connection = { url, vo: 'panda:pilot' };
  const joining = { token: parseJoinToken(token), queue, node: 'node1' };
  const session = await (await prepareJoin(connection, joining))();
  const pilot = createClient({ ...connection, signer: session });
  t.after(() => pilot.close());
  return pilot;
}

async function submit(user: Client, site: string, more: Record<string, unknown> = {}): Promise<number> {
  const sandbox = await user.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(`no tar, ${randomUUID()}`));
  const task = {
    exec: 'true',
    outDataset: `user.x.${randomUUID().slice(0, 8)}`,
    outputs: [],
    jobs: 2,
    useSecrets: false,
    commandLine: 'prun',
    site,
  };
  return (await user.submitTask({ ...buildTaskParameters(task, 'panda', sandbox), ...more })).taskId;
}

const jobsOf = async (user: Client, taskId: number) => user.getJobDescription(await user.getJobIds(taskId));

eachStore('a launcher is answered the calls of a launcher, and refused every other one', async (t, database) => {
  const { server, a } = await setUp(t, database);
  const told = ['system/is_alive', 'system/get_attributes', 'system/get_user_attributes'];
  const refused = (await allCalls()).filter(({ path }) => !OWN.test(path) && !told.includes(path));
  assert.ok(refused.length > 40, `${refused.length} calls`);
  for (const call of refused.filter(({ path }) => path !== 'pilot/join')) {
    const { success, message, data } = await server.ask(a.token, call, exampleArguments(call));
    assert.deepEqual([success, data], [false, null], call.path);
    assert.match(
      message,
      /this call is for (users|operators|pilots), and the token is (a launcher's|not one)/,
      call.path,
    );
  }
  for (const path of ['/server/panda/getJob', '/server/panda/updateJob', '/server/panda/get_user_secrets']) {
    const answer = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${a.token}` },
    });
    assert.match(await answer.text(), /"StatusCode":\d\d, *"errorDialog"|production or pilot role required/, path);
  }
});

eachStore(
  "the calls of a launcher answer no user, operator or pilot, and no launcher on another queue's",
  async (t, database) => {
    const { server, a, b, operator } = await setUp(t, database);
    const made = await b.launching.createJoinToken({ queue: 'B', batch_id: '1' });
    const args = (queue: string): Record<keyof Launching, Record<string, unknown>> => ({
      getLoad: { queue },
      createJoinToken: { queue, batch_id: '1' },
      withdrawJoinToken: { queue, token_id: made.token_id },
      reportEnd: { queue, batch_id: '1', reason: REASON },
      listBatchJobs: { queue },
    });
    const { pilot } = await server.joinedPilot('B');
    const others = [await server.userToken('alice'), await server.operatorToken(), await server.pilotToken('B')];
    for (const call of (await allCalls()).filter(({ path }) => OWN.test(path))) {
      for (const token of others) {
        const { message, data } = await server.ask(token, call, exampleArguments(call));
        assert.deepEqual([data, /for launchers of pilots/.test(message)], [null, true], `${call.path}: ${message}`);
      }
    }
    for (const name of Object.keys(LAUNCHER_CALLS) as (keyof Launching)[]) {
      for (const token of others) {
        const answer = await server.ask(token, LAUNCHER_CALLS[name] as Call, args('B')[name]);
        assert.match(answer.message, /for launchers of pilots/, name);
        assert.equal(answer.data, null);
      }
      await assert.rejects(
        (pilot.launching[name] as (a: object) => Promise<unknown>)(args('B')[name]),
        /for launchers/,
      );
      const [there, nowhere] = [
        await server.ask(a.token, LAUNCHER_CALLS[name] as Call, args('B')[name]),
        await server.ask(a.token, LAUNCHER_CALLS[name] as Call, args('C')[name]),
      ];
      assert.match(there.message, /not for a queue "B": its queues are A$/, name);
      assert.equal(
        there.message.replace('"B"', ''),
        nowhere.message.replace('"C"', ''),
        'which queues are there is not told',
      );
      assert.deepEqual([there.data, nowhere.data], [null, null]);
    }
    await join(t, server, made.token, 'B');
    assert.equal((await operator.listPilots({})).pilots.length, 2, 'the token of B is still good');
  },
);

eachStore('two launchers of one queue have nothing to do with the batch jobs of each other', async (t, database) => {
  const { server, a, add, alice } = await setUp(t, database);
  const other = await add('second', ['A']);
  const [unused, used] = [
    await other.launching.createJoinToken({ queue: 'A', batch_id: '1' }),
    await other.launching.createJoinToken({ queue: 'A', batch_id: '2' }),
  ];
  const pilot = await join(t, server, used.token, 'A');
  await submit(alice, 'A');
  await pilot.acquireJobs({ site_name: 'A' });
  const { withdrawn } = await a.launching.withdrawJoinToken({ queue: 'A', token_id: unused.token_id });
  const ended = await a.launching.reportEnd({ queue: 'A', batch_id: '2', reason: REASON });
  assert.deepEqual([withdrawn, ended], [false, { pilots: 0, jobs: 0 }]);
  await a.launching.createJoinToken({ queue: 'A', batch_id: '1' });
  await join(t, server, unused.token, 'A');
  assert.equal((await a.launching.getLoad({ queue: 'A' })).running, 1);
});

eachStore('a token of a launcher lets one pilot of one batch job in, until it is withdrawn', async (t, database) => {
  const { server, a } = await setUp(t, database);
  const make = (batch_id: string) => a.launching.createJoinToken({ queue: 'A', batch_id });
  const withdraw = (token_id: string) => a.launching.withdrawJoinToken({ queue: 'A', token_id });
  const refused = /unknown to this server/;

  const first = await make('1');
  assert.deepEqual(await withdraw(first.token_id), { withdrawn: true });
  await assert.rejects(join(t, server, first.token, 'A'), refused, 'a withdrawn token');
  assert.deepEqual(await withdraw(first.token_id), { withdrawn: false });

  const [second, third] = [await make('1'), await make('1')];
  await assert.rejects(join(t, server, second.token, 'A'), refused, 'one that another took the place of');
  await assert.rejects(join(t, server, third.token, 'B'), /for queue "A"/, 'another queue');
  await join(t, server, third.token, 'A');
  await assert.rejects(join(t, server, third.token, 'A'), /used already/, 'a second time');
  assert.deepEqual(await withdraw(third.token_id), { withdrawn: false });
  await assert.rejects(make('1'), /joined from batch job 1 and is active/);
  await make('2');

  await a.launching.reportEnd({ queue: 'A', batch_id: '1', reason: 'requeued' });
  await join(t, server, (await make('1')).token, 'A');
});

eachStore("the end of a batch job ends its pilot, and its job's owner reads why at once", async (t, database) => {
  const { server, a, alice, operator } = await setUp(t, database);
  const taskId = await submit(alice, 'A', {
    maxAttempt: 2,
    ramCount: 3000,
    ramCountUnit: 'MB',
    coreCount: 4,
    maxWalltime: 2,
  });
  const other = await submit(alice, 'A');
  const load = await a.launching.getLoad({ queue: 'A' });
  const needs = [
    { cores: 1, memory_mb: 0, walltime_seconds: 0, jobs: 2 },
    { cores: 4, memory_mb: 3000, walltime_seconds: 7200, jobs: 2 },
  ];
  assert.deepEqual(load, { state: 'open', waiting: 4, needs, running: 0, pilots: 0 });
  await alice.killTask(other);

  for (const [attempt, state] of [
    [1, 'activated'],
    [2, 'failed'],
  ] as const) {
    const { token } = await a.launching.createJoinToken({ queue: 'A', batch_id: `11${attempt}` });
    const pilot = await join(t, server, token, 'A');
    assert.equal((await pilot.acquireJobs({ site_name: 'A', n_jobs: 2 })).length, 2);
    const end = { queue: 'A', batch_id: `11${attempt}`, reason: `${REASON}\u001b[31m` };
    assert.deepEqual(await a.launching.reportEnd(end), { pilots: 1, jobs: 2 });
    assert.deepEqual(await a.launching.reportEnd(end), { pilots: 1, jobs: 0 }, 'said again');
    const [job] = await jobsOf(alice, taskId);
    assert.equal(job?.jobStatus, state);
    assert.match(job?.pilotErrorDiag ?? '', new RegExp(`its pilot's batch job 11${attempt} ended: ${REASON} \\[31m`));
    await assert.rejects(pilot.acquireJobs({ site_name: 'A' }), /its launcher found that its batch job had ended/);
  }
  const { pilots } = await operator.listPilots({});
  assert.deepEqual(
    pilots.map((pilot) => pilot.state),
    ['ended by launcher', 'ended by launcher'],
  );
});

eachStore('a pilot that was told to stop cannot know why: the owners of its jobs read both', async (t, database) => {
  const { server, a, alice } = await setUp(t, database);
  const taskId = await submit(alice, 'A', { maxAttempt: 1 });
  const invited = await a.launching.createJoinToken({ queue: 'A', batch_id: '1' });
  await a.launching.createJoinToken({ queue: 'A', batch_id: '2' });
  const pilot = await join(t, server, invited.token, 'A');
  const [stopped, failed] = await pilot.acquireJobs({ site_name: 'A', n_jobs: 2 });
  assert.ok(stopped && failed);
  for (const [job, code, diag] of [
    [stopped, TOLD_TO_STOP, 'the pilot was told to stop (SIGTERM)'],
    [failed, 1305, 'exit status 1'],
  ] as const) {
    const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
    await pilot.updateJob({ ...attempt, job_status: 'failed', pilot_error_code: code, pilot_error_diag: diag });
  }
  await pilot.leave();
  const open = await a.launching.listBatchJobs({ queue: 'A' });
  assert.deepEqual(
    open.toSorted((x, y) => x.batch_id.localeCompare(y.batch_id)),
    [
      { batch_id: '1', joined: true },
      { batch_id: '2', joined: false },
    ],
  );
  const end = { queue: 'A', batch_id: '1', reason: REASON };
  for (const _ of [1, 2]) assert.deepEqual(await a.launching.reportEnd(end), { pilots: 1, jobs: 0 });
  const both = `the pilot was told to stop (SIGTERM); its pilot's batch job 1 ended: ${REASON}`;
  assert.deepEqual(
    (await jobsOf(alice, taskId)).map((job) => job?.pilotErrorDiag),
    [both, 'exit status 1'],
  );
  const [task] = await alice.listTasks();
  assert.match(task?.errorDialog ?? '', /^2 of 2 jobs failed; job \d+: /);
  assert.deepEqual(await a.launching.listBatchJobs({ queue: 'A' }), [{ batch_id: '2', joined: false }]);
});

eachStore(
  'a launcher that was removed makes nothing from then on, and one that was renewed has one token',
  async (t, database) => {
    const time = { now: Date.now() };
    const { server, client, a, b, operator } = await setUp(t, database, () => time.now);
    const { token } = await a.launching.createJoinToken({ queue: 'A', batch_id: '1' });
    await operator.removeLauncher({ name: 'of-a' });
    for (const act of [
      () => a.launching.getLoad({ queue: 'A' }),
      () => a.launching.createJoinToken({ queue: 'A', batch_id: '2' }),
      () => a.launching.reportEnd({ queue: 'A', batch_id: '1', reason: REASON }),
    ]) {
      await assert.rejects(act, /the token is void/, 'also at a server that remembers the token');
    }
    await assert.rejects(join(t, server, token, 'A'), /unknown to this server/);
    await operator.addLauncher({ name: 'of-a', queues: ['A'] });
    await assert.rejects(a.launching.getLoad({ queue: 'A' }), /void/, 'another one of its name');

    await b.launching.getLoad({ queue: 'B' });
    const unused = await b.launching.createJoinToken({ queue: 'B', batch_id: '1' });
    time.now += 1000;
    const renewed = client((await operator.renewLauncher({ name: 'of-b' })).token).launching;
    await assert.rejects(join(t, server, unused.token, 'B'), /unknown to this server/, 'made with the token of before');
    const made = () => b.launching.createJoinToken({ queue: 'B', batch_id: '2' });
    await assert.rejects(made, /the token is void/, 'also at a server that remembers the token');
    await join(t, server, (await renewed.createJoinToken({ queue: 'B', batch_id: '1' })).token, 'B');
    time.now += ACCOUNT_RECHECK_SECONDS * 1000;
    await assert.rejects(b.launching.getLoad({ queue: 'B' }), /the token is void/);
    await renewed.getLoad({ queue: 'B' });
    const { expires_at } = await operator.renewLauncher({ name: 'of-b', ttl_seconds: 60 });
    assert.equal(Date.parse(expires_at), time.now + 60_000);
  },
);

eachStore('a queue that gets the name of a removed one has no launcher', async (t, database) => {
  const time = { now: Date.now() };
  const { a, operator } = await setUp(t, database, () => time.now);
  await operator.removeQueue({ name: 'A' });
  await assert.rejects(a.launching.getLoad({ queue: 'A' }), /not for a queue "A"/);
  time.now += 60_000;
  await operator.addQueue({ name: 'A' });
  await assert.rejects(a.launching.createJoinToken({ queue: 'A', batch_id: '1' }), /not for a queue "A"/);
});

eachStore('a flood of tokens of one launcher ends, and others go on', async (t, database) => {
  const { server, a, b } = await setUp(t, database);
  const { store } = server.installation;
  await a.launching.createJoinToken({ queue: 'A', batch_id: '1' });
  await store.write((tx) =>
    sql`update launchers set window_count = ${MAX_LAUNCHER_TOKENS - 1} where name = 'of-a'`.execute(tx),
  );
  await a.launching.createJoinToken({ queue: 'A', batch_id: '1' });
  await assert.rejects(a.launching.createJoinToken({ queue: 'A', batch_id: '2' }), {
    code: 'ERR_REFUSED',
    message: /at most 3000 join tokens/,
  });
  await b.launching.createJoinToken({ queue: 'B', batch_id: '1' });
});

eachStore('a row of a launcher that somebody changed in the database opens no other queue', async (t, database) => {
  const { server, a, b } = await setUp(t, database);
  const { store } = server.installation;
  const made = await b.launching.createJoinToken({ queue: 'B', batch_id: '1' });
  await store.write((tx) => sql`update launchers set queues = '["A","B"]' where name = 'of-a'`.execute(tx));
  await assert.rejects(
    a.launching.getLoad({ queue: 'B' }),
    /changed by something else than panda-secrets \(launchers, row/,
  );
  await store.write((tx) => sql`update join_tokens set batch_id = '2'`.execute(tx));
  await assert.rejects(join(t, server, made.token, 'B'));
});

test('a batch id that is none is refused, and so is a token that lasts for longer', async (t) => {
  const server = await startServer(t);
  const operator = createClient({ url: server.url, token: async () => server.operatorToken(), vo: 'panda' });
  t.after(() => operator.close());
  const { token } = await operator.administration.addLauncher({ name: 'slurm', queues: ['default'] });
  const ask = (args: object) =>
    server.ask(token, LAUNCHER_CALLS.createJoinToken as Call, { queue: 'default', ...args });
  for (const batch_id of ['', 'a b', 'x'.repeat(200), '4711\n', '../etc', '$(id)'].filter((id) => id !== '../etc')) {
    assert.match((await ask({ batch_id })).message, /batch_id/);
  }
  assert.match((await ask({ batch_id: '1', ttl_seconds: 3600 })).message, /ttl_seconds/);
  await assert.rejects(
    operator.administration.addLauncher({ name: 'x y', queues: ['default'] }),
    /cannot be a launcher's/,
  );
  await assert.rejects(operator.administration.addLauncher({ name: 'x', queues: ['nowhere'] }), /no queue "nowhere"/);
  await assert.rejects(operator.administration.addLauncher({ name: 'Slurm', queues: ['default'] }), /already/);
});
