import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type Client, createClient } from '../../src/client/client.ts';
import { type PilotSession, prepareJoin } from '../../src/client/pilot-session.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import type { PilotJob } from '../../src/protocol/calls/pilot.ts';
import { DecryptionFailed, Refused, Unauthenticated, Unavailable } from '../../src/protocol/errors.ts';
import { answerKeyOf, formatJoinToken, type JoinToken, joinKeyOf } from '../../src/protocol/join.ts';
import { wireName } from '../../src/protocol/names.ts';
import { digestOf } from '../../src/protocol/request-proof.ts';
import { newRecipient } from '../../src/sealing/delivery.ts';
import { archive } from '../pilot/archives.ts';
import { temporaryFolder, until } from '../pilot/folders.ts';
import { programPath } from '../programs.ts';
import { type Exchange, type Middle, type Request, startMiddle } from './middle.ts';
import { startServer, type TestServer } from './start.ts';

// A proxy between pilot and server that ends TLS: it sees, keeps, repeats and changes what it likes.

const VALUE = 'random-string-of-alice';
const PILOT = programPath('panda-pilot');
const TO_DEFAULT = { site_name: 'default', node: 'node1' };

async function setUp(t: TestContext) {
  const server = await startServer(t, { settings: { trustedProxies: ['127.0.0.1'] } });
  const middle = await startMiddle(t, server.url);
  const connection = { url: server.url, vo: 'panda' };
  const aliceToken = await server.userToken('alice');
  const alice = createClient({ ...connection, token: async () => aliceToken });
  t.after(() => alice.close());
  await alice.setSecret(wireName('MY_SECRET'), VALUE);
  return { server, middle, alice };
}

/** A pilot that reaches the server by way of the proxy. */
async function pilotBehind(t: TestContext, middle: Middle, server: TestServer) {
  const token = await server.joinToken();
  const session = await (await joining(middle, token))();
  return { token, session, pilot: clientOf(t, middle, session) };
}

function joining(middle: Middle, token: JoinToken, node = 'node1') {
  return prepareJoin({ url: middle.url, ca: [middle.ca], vo: 'panda:pilot' }, { token, queue: 'default', node });
}

function clientOf(t: TestContext, middle: Middle, signer: PilotSession): Client {
  const client = createClient({ url: middle.url, ca: [middle.ca], vo: 'panda:pilot', signer });
  t.after(() => client.close());
  return client;
}

async function submit(alice: Client, sandboxOrigin?: string): Promise<number> {
  const content = archive(
    { path: './', type: 'Directory', mode: 0o755 },
    { path: './run.sh', content: 'wc -c < panda_secrets.json > out.txt; echo "$MY_SECRET"' },
  );
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, content);
  const task = {
    exec: 'sh run.sh',
    outDataset: `user.alice.${randomUUID().slice(0, 8)}`,
    outputs: ['out.txt'],
    jobs: 1,
    useSecrets: true,
    commandLine: 'prun',
  };
  const from = { ...sandbox, origin: sandboxOrigin ?? sandbox.origin };
  return (await alice.submitTask(buildTaskParameters(task, 'panda', from))).taskId;
}

/** Runs `panda-pilot` as a process until it ran one job. */
async function runPilot(
  t: TestContext,
  middle: Middle,
  token: JoinToken,
): Promise<{ status: number | null; said: string }> {
  const folder = await temporaryFolder(t);
  const ca = join(await temporaryFolder(t), 'ca.pem');
  writeFileSync(ca, middle.ca);
  const args = [
    '--queue',
    'default',
    '--token-file',
    '-',
    '--server',
    middle.url,
    '--workdir',
    folder,
    '--jobs',
    '1',
    '--allow-root',
  ];
  const env = { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: ca };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PILOT, ...args], { env });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.end(formatJoinToken(token));
  child.stdout.resume();
  const said = text(child.stderr);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, said: await said };
}

/** Every byte that passed, also as text in which escapes and base64 can be looked for. */
function allThatPassed({ exchanges }: Middle): string {
  const parts = ({ path, headers, body, answer }: Exchange) =>
    [path, JSON.stringify(headers), body, JSON.stringify(answer.headers), answer.body].map((part) =>
      typeof part === 'string' ? part : part.toString('latin1'),
    );
  return exchanges.flatMap(parts).join('\n');
}

function changeJson(target: { body: Buffer }, change: (content: Record<string, never>) => object): void {
  target.body = Buffer.from(JSON.stringify(change(JSON.parse(target.body.toString()))));
}

test('a pilot does its work through such a proxy, which learns neither the secret nor a key', async (t) => {
  const { server, middle, alice } = await setUp(t);
  const taskId = await submit(alice, middle.url);
  const token = await server.joinToken();
  const { status, said } = await runPilot(t, middle, token);
  assert.equal(status, 0, said);
  assert.equal(await alice.getTaskStatus(taskId), 'done', said);

  const passed = allThatPassed(middle);
  const { pilot_id: pilotId } = JSON.parse(middle.last('pilot/join').answer.body.toString()).data;
  const { mac } = JSON.parse(middle.last('pilot/join').body.toString());
  const joinKey = joinKeyOf(token);
  const bytes = [Buffer.from(VALUE), token.secret, joinKey, answerKeyOf(joinKey, mac, pilotId)].map(Buffer.from);
  for (const secret of bytes) {
    for (const encoding of ['latin1', 'base64', 'base64url', 'hex'] as const) {
      assert.ok(!passed.includes(secret.toString(encoding).replace(/=+$/, '')));
    }
  }
  assert.ok(passed.includes('sealedSecrets'), 'the proxy did see the delivery');
});

test("a proxy's own sealing key in place of the pilot's is refused before a job is given", async (t) => {
  const { server, middle, alice } = await setUp(t);
  await submit(alice);
  const { pilot } = await pilotBehind(t, middle, server);
  const [mine, pilots] = [await newRecipient(), await newRecipient()];
  const offer = () => pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: pilots.offers.map((one) => ({ ...one })) });
  for (const change of [
    (args: object) => ({ ...args, sealing_keys: mine.offers }),
    (args: object) => ({ ...args, sealing_keys: pilots.offers.slice(1) }),
    (args: object) => ({ ...args, sealing_keys: undefined }),
  ]) {
    middle.onRequest = (request) => changeJson(request, change);
    await assert.rejects(offer(), (error) => error instanceof Unavailable && /body was changed/.test(error.message));
  }
  middle.onRequest = (request) => {
    request.body = Buffer.alloc(0);
  };
  await assert.rejects(offer(), Unavailable);

  middle.onRequest = () => {};
  assert.equal((await offer()).length, 1, 'the job is still there');
  assert.deepEqual((await alice.getSecretDeliveries()).length, 1);
});

test("a refusal of a body that the proxy spoilt is not taken for the server's word about the pilot's own request", async (t) => {
  const { server, middle, alice } = await setUp(t);
  await submit(alice);
  const { pilot } = await pilotBehind(t, middle, server);
  const { offers } = await newRecipient();
  const ask = () => pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: offers.map((one) => ({ ...one })) });
  for (const [change, reason] of [
    [({ headers }: Request) => Object.assign(headers, { 'content-encoding': 'br' }), /compressed with gzip/],
    [(request: Request) => Object.assign(request, { body: Buffer.alloc(70_000, ' ') }), /larger than/],
  ] as const) {
    middle.onRequest = change;
    await assert.rejects(ask(), (error) => error instanceof Unavailable && reason.test(error.message));
  }
  middle.onRequest = ({ headers }) => void Object.assign(headers, { 'content-type': 'text/plain' });
  assert.equal((await ask()).length, 1, 'the job is still there');
});

test('a join that is replayed, or made by who copied the token, is refused, logged and shown to the operator', async (t) => {
  const { server, middle } = await setUp(t);
  const { token, session } = await pilotBehind(t, middle, server);
  const replayed = await middle.send(middle.last('pilot/join'));
  assert.equal(replayed.success, false);
  assert.match(replayed.message, /used already, by a pilot on "node1"/);
  const [shown] = await server.refusedUses();
  assert.deepEqual(
    [shown?.tokenId, shown?.pilotId, shown?.times, shown?.sameKey],
    [token.id, session.pilotId, 1, true],
  );

  await assert.rejects((await joining(middle, token, 'elsewhere'))(), /used already/);
  const [again] = await server.refusedUses();
  assert.deepEqual([again?.times, again?.node, again?.sameKey], [2, 'elsewhere', false]);
  assert.equal(server.logs().match(/"part":"join","joinToken":"[^"]+","refused":"ERR_CONFLICT"/g)?.length, 2);
  assert.ok(!server.logs().includes(formatJoinToken(token).split('.')[1] ?? ''));
});

test("a proxy's own key in a join is refused, and the token stays good for its pilot", async (t) => {
  const { server, middle } = await setUp(t);
  const token = await server.joinToken();
  const send = await joining(middle, token);
  for (const change of ['public_key', 'nonce', 'mac', 'node', 'queue'] as const) {
    middle.onRequest = (request) =>
      changeJson(request, (args) => ({ ...args, [change]: Buffer.alloc(32, 1).toString('base64url') }));
    await assert.rejects(send(), (error) => error instanceof Refused && /unknown to this server/.test(error.message));
  }
  middle.onRequest = () => {};
  assert.match((await send()).pilotId, /^pilot-/);
  assert.deepEqual(await server.refusedUses(), []);
});

test('an answer to a join that the server did not make is refused by the pilot', async (t) => {
  const { server, middle } = await setUp(t);
  for (const forged of [
    { pilot_id: 'pilot-of-the-proxy' },
    { expires_at: 1 },
    { server_time: 0 },
    { queue: 'other' },
    { mac: Buffer.alloc(32).toString('base64url') },
    { mac: undefined },
  ]) {
    const send = await joining(middle, await server.joinToken());
    middle.onAnswer = (answer) =>
      changeJson(answer, ({ data, ...rest }) => ({ ...rest, data: Object.assign({}, data, forged) }));
    await assert.rejects(send(), (error) => error instanceof Unauthenticated && /in its place/.test(error.message));
  }
});

test('an acquisition that is replayed is refused and takes no job', async (t) => {
  const { server, middle, alice } = await setUp(t);
  await submit(alice);
  const second = await submit(alice);
  const { pilot } = await pilotBehind(t, middle, server);
  const recipient = await newRecipient();
  const [job] = await pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: recipient.offers });
  assert.ok(job?.sealedSecrets);
  const replayed = await middle.send(middle.last('pilot/acquire_jobs'));
  assert.deepEqual([replayed.success, replayed.data], [false, null]);
  assert.match(replayed.message, /used already: a request is taken once/);
  assert.equal(await alice.getTaskStatus(second), 'ready', 'nobody has its job');
});

test('a delivery that is sent to another pilot is not taken by it, and does not open', async (t) => {
  const { server, middle, alice } = await setUp(t);
  await submit(alice);
  const [one, two] = [await pilotBehind(t, middle, server), await pilotBehind(t, middle, server)];
  const recipients = [await newRecipient(), await newRecipient()] as const;
  await one.pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: recipients[0].offers });
  const { answer } = middle.last('pilot/acquire_jobs');
  middle.onAnswer = (other) => void Object.assign(other, answer);
  await assert.rejects(two.pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: recipients[1].offers }), Unavailable);

  const [job] = JSON.parse(answer.body.toString()).data.jobs as PilotJob[];
  assert.ok(job?.sealedSecrets);
  const context = { jobId: job.PandaID, attempt: job.attemptNr, ownerId: job.sealedSecrets.owner };
  const [right, wrong] = [one, two].map(({ session }) => ({ ...context, pilotId: session.pilotId }));
  assert.ok(right && wrong);
  await assert.rejects(recipients[1].open(job.sealedSecrets, wrong), DecryptionFailed);
  await assert.rejects(recipients[0].open(job.sealedSecrets, wrong), DecryptionFailed);
  assert.match(Buffer.from(await recipients[0].open(job.sealedSecrets, right)).toString(), /random-string/);
});

test('a command that the proxy puts into a job is not taken by the pilot', async (t) => {
  const { server, middle, alice } = await setUp(t);
  await submit(alice);
  const { pilot } = await pilotBehind(t, middle, server);
  middle.onAnswer = (answer) => {
    answer.body = Buffer.from(answer.body.toString().replace('run.sh', 'steal.sh'));
  };
  const { offers } = await newRecipient();
  await assert.rejects(
    pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: offers }),
    (error) => error instanceof Unavailable && /without the proof that it is the server/.test(error.message),
  );
  middle.onAnswer = (answer) => {
    answer.headers = { ...answer.headers, 'panda-answer-proof': '1.AAAA' };
  };
  await assert.rejects(pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: offers }), Unavailable);
});

test('a sandbox that the proxy changed is not run', async (t) => {
  const { server, middle, alice } = await setUp(t);
  const taskId = await submit(alice, middle.url);
  const stolen = archive(
    { path: './', type: 'Directory', mode: 0o755 },
    { path: './run.sh', content: 'cat panda_secrets.json' },
  );
  middle.onAnswer = (answer, { path }) => {
    if (path.startsWith('/cache/')) answer.body = stolen;
  };
  const { said } = await runPilot(t, middle, await server.joinToken());
  assert.match(said, /not the sandbox that the task was submitted with/);
  assert.ok(!allThatPassed(middle).includes(VALUE));
  const outputs = (await alice.getJobFiles(taskId)).filter(({ kind }) => kind === 'output');
  assert.deepEqual(outputs, []);
});

test('a report or an upload that was changed, or repeated, is refused without harm', async (t) => {
  const { server, middle, alice } = await setUp(t);
  const taskId = await submit(alice);
  const { pilot } = await pilotBehind(t, middle, server);
  const [job] = await pilot.acquireJobs({ ...TO_DEFAULT, sealing_keys: (await newRecipient()).offers });
  assert.ok(job);
  const attempt = { job_id: job.PandaID, attempt_nr: job.attemptNr };
  middle.onRequest = (request) => changeJson(request, (args) => ({ ...args, job_status: 'failed' }));
  await assert.rejects(pilot.updateJob({ ...attempt, job_status: 'running' }), Unavailable);
  middle.onRequest = () => {};
  assert.equal((await pilot.updateJob({ ...attempt, job_status: 'running' })).command, 'NULL');
  assert.equal((await middle.send(middle.last('pilot/update_job'))).success, false);

  const part = { ...attempt, offset: 0 };
  assert.equal((await pilot.appendJobLog(part, Buffer.from('a line\n'))).size, 7);
  const appended = middle.last('pilot/append_job_log');
  for (const body of [appended.body, Buffer.from('the lie')]) {
    const again = Object.assign({}, appended, { body });
    assert.match((await middle.send(again)).message, /used already/);
  }
  middle.onRequest = (request) => {
    request.body = Buffer.from('the lie');
  };
  await assert.rejects(
    pilot.appendJobLog(part, Buffer.from('a line\n')),
    (error) => error instanceof Unavailable && /body was changed/.test(error.message),
  );

  const file = join(await temporaryFolder(t), 'log');
  writeFileSync(file, 'the log');
  const upload = () => pilot.uploadJobFile({ ...attempt, kind: 'log', name: job.logFile }, file);
  middle.onRequest = (request) => {
    request.body = Buffer.from('the lie');
  };
  await assert.rejects(upload(), (error) => error instanceof Unavailable && /body was changed/.test(error.message));
  middle.onRequest = (request) => {
    request.path = request.path.replace('kind=log', 'kind=output');
  };
  await assert.rejects(upload(), (error) => error instanceof Unavailable && /query string/.test(error.message));
  assert.deepEqual(await alice.getJobFiles(taskId), []);
  // It is answered before the last of it is removed.
  await until(
    () => readdirSync(join(server.folder, 'blobs', 'incoming')),
    (kept) => kept.length === 0,
  );
  middle.onRequest = () => {};
  await upload();
  assert.deepEqual(
    (await alice.getJobFiles(taskId)).map(({ size }) => size),
    [7],
  );
});

test('a proof is good for the call that it was made for, in its session, and no other', async (t) => {
  const { server, middle } = await setUp(t);
  const [one, two] = [await pilotBehind(t, middle, server), await pilotBehind(t, middle, server)];
  const kept: Exchange[] = [];
  middle.onRequest = (request) => {
    kept.push({
      ...request,
      headers: { ...request.headers },
      answer: { status: 0, headers: {}, body: Buffer.alloc(0) },
    });
    request.headers = { ...request.headers, dpop: 'e30.e30.e30' };
  };
  const ask = (client: Client) => assert.rejects(client.acquireJobs({ ...TO_DEFAULT, task_id: 1 }), Unavailable);
  const take = async (client: Client) => {
    await ask(client);
    const exchange = kept.pop();
    assert.ok(exchange);
    return exchange;
  };
  const refusals: [change: (request: Exchange) => Exchange | Promise<Exchange>, reason: RegExp][] = [
    [(request) => ({ ...request, path: '/api/v1/pilot/update_job' }), /for another call/],
    [(request) => ({ ...request, path: `${request.path}?x=1` }), /query string/],
    [
      (request) => ({ ...request, headers: { ...request.headers, authorization: `DPoP ${two.session.pilotId}` } }),
      /not signed by the session's key/,
    ],
    [
      async (request) => ({
        ...request,
        headers: { ...request.headers, dpop: (await take(two.pilot)).headers['dpop'] },
      }),
      /not signed by the session's key/,
    ],
    [(request) => ({ ...request, headers: { ...request.headers, dpop: undefined } }), /header "DPoP" is missing/],
    [
      (request) => ({ ...request, headers: { ...request.headers, authorization: `Bearer ${one.session.pilotId}` } }),
      /malformed/,
    ],
    [
      (request) => ({ ...request, headers: { ...request.headers, authorization: 'DPoP pilot-nobody' } }),
      /no such pilot/,
    ],
  ];
  for (const [change, reason] of refusals) {
    const { success, message } = await middle.send(await change(await take(one.pilot)));
    assert.equal(success, false);
    assert.match(message, reason);
  }
  assert.match((await middle.send(await take(one.pilot))).message, /No jobs in PanDA/, 'unchanged, it is good');
});

test('a body that is added to a request without one is not taken, whatever says that there is one', async (t) => {
  const { server, middle } = await setUp(t);
  const { session } = await pilotBehind(t, middle, server);
  for (const call of ['pilot/update_job', 'pilot/append_job_log']) {
    for (const body of ['a lie', new Blob(['a lie']).stream()]) {
      const url = new URL(`${server.url}/api/v1/${call}`);
      const { headers } = await session.sign({ method: 'POST', url, bodyDigest: digestOf('') });
      const sent = {
        method: 'POST',
        headers: { ...headers, 'x-forwarded-proto': 'https' },
        body,
        duplex: 'half',
      } as const;
      const answer = await fetch(url, sent);
      assert.match(await answer.text(), /body was changed/);
    }
  }
});
