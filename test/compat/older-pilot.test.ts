import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createClient } from '../../src/client/client.ts';
import { buildTaskParameters } from '../../src/client/task-parameters.ts';
import { wireName } from '../../src/protocol/names.ts';
import { startServer, type TestServer } from '../server/start.ts';

type Answer = Record<string, unknown>;

/** A user with a secret, and a task of one job that uses it. */
async function submitJob(t: TestContext, server: TestServer) {
  const token = await server.userToken('alice');
  const alice = createClient({ url: server.url, token: async () => token, vo: 'panda' });
  t.after(() => alice.close());
  await alice.setSecret(wireName('MY_SECRET'), 'random_string');
  const sandbox = await alice.uploadSandbox(`jobO.${randomUUID()}.tar.gz`, gzipSync(randomUUID()));
  const task = { exec: 'true', outDataset: 'user.alice.old', outputs: ['out.txt'], jobs: 1, useSecrets: true };
  const { taskId } = await alice.submitTask(buildTaskParameters({ ...task, commandLine: 'prun' }, 'panda', sandbox));
  return { alice, taskId };
}

/** Speaks as PanDA's Python pilot does: gzip without saying so, or a form when it falls back on curl. */
function olderPilot(server: TestServer, token: string, { asForm = false } = {}) {
  return async (call: string, args: Record<string, string | number>): Promise<Answer> => {
    const body = asForm
      ? new URLSearchParams(Object.entries(args).map(([name, value]) => [name, String(value)]))
      : new Uint8Array(gzipSync(JSON.stringify(args)));
    const headers = {
      authorization: `Bearer ${token}`,
      origin: 'panda.pilot',
      ...(!asForm && { 'content-type': 'application/json' }),
    };
    const response = await fetch(`${server.url}/server/panda/${call}`, { method: 'POST', headers, body });
    assert.equal(response.status, 200);
    return (await response.json()) as Answer;
  };
}

for (const asForm of [false, true]) {
  test(`a pilot that knows PanDA's older calls alone runs a job to its end (${asForm ? 'form' : 'gzip'})`, async (t) => {
    const server = await startServer(t);
    const { alice, taskId } = await submitJob(t, server);
    const pilot = olderPilot(server, await server.pilotToken('tls', { allowTlsSecrets: true }), { asForm });
    const job = await pilot('getJob', { siteName: 'tls', node: 'node1', prodSourceLabel: 'user', taskID: 'None' });
    assert.equal(job['StatusCode'], 0);
    assert.equal(job['secrets'], '{"MY_SECRET":"random_string"}');
    assert.equal(job['transformation'], `${server.url}/trf/user/runPandaSecrets`);

    const report = { jobId: String(job['PandaID']), attemptNr: 1, node: 'node1', siteName: 'tls' };
    for (const state of ['starting', 'running', 'running']) {
      assert.deepEqual(await pilot('updateJob', { ...report, state }), { StatusCode: 0, command: 'NULL' });
    }
    const [output = '', log = ''] = String(job['outFiles']).split(',');
    const place = (name: string) => ({ fsize: 7, adler32: '0af3038f', surl: `file:///out/${name}`, endpoint: 'LOCAL' });
    const xml = JSON.stringify({ [output]: place(output), [log]: place(log) });
    const odd = JSON.stringify({ '../log': place('log'), 'a,b': place('a') });
    const final = { ...report, state: 'finished', transExitCode: 0, pilotErrorCode: 0 };
    await pilot('updateJob', { ...report, state: 'holding', xml: odd });
    for (const repeated of [xml, xml]) {
      assert.deepEqual(await pilot('updateJob', { ...final, xml: repeated }), { StatusCode: 0, command: 'NULL' });
    }

    assert.equal(await alice.getTaskStatus(taskId), 'done');
    const files = await alice.getJobFiles(taskId);
    assert.deepEqual(
      files.map(({ name, kind, size, location }) => [name, kind, size, location]).sort(),
      [
        [output, 'output', 7, `file:///out/${output}`],
        [log, 'log', 7, `file:///out/${log}`],
      ].sort(),
    );
    await assert.rejects(alice.getJobFile(files[0] as (typeof files)[0]), /not kept here.*file:\/\/\/out/);
  });
}

test('on a queue that does not allow TLS alone, such a pilot gets no job with secrets, and reads why', async (t) => {
  const server = await startServer(t);
  await submitJob(t, server);
  const pilot = olderPilot(server, await server.pilotToken());
  const { StatusCode, errorDialog, ...rest } = await pilot('getJob', { siteName: 'default' });
  assert.deepEqual([StatusCode, rest], [20, {}]);
  assert.match(String(errorDialog), /1 waiting need secrets.*"default" does not give secrets over TLS alone/);
});

test('a killed job tells the pilot so, and so does one that it has lost', async (t) => {
  const server = await startServer(t);
  const { alice, taskId } = await submitJob(t, server);
  const token = await server.pilotToken('tls', { allowTlsSecrets: true });
  const pilot = olderPilot(server, token);
  const job = await pilot('getJob', { siteName: 'tls' });
  const report = { jobId: Number(job['PandaID']), attemptNr: 1, state: 'running' };
  const thief = olderPilot(server, await server.pilotToken('tls'));
  assert.deepEqual(await thief('updateJob', report), { StatusCode: 0, command: 'tobekilled' });
  assert.equal((await thief('updateJob', { ...report, state: 'finished' }))['StatusCode'], 30);
  await alice.killTask(taskId);
  assert.deepEqual(await pilot('updateJob', report), { StatusCode: 0, command: 'tobekilled' });
});

test('why a job failed is told with its exit status, which that pilot reads causes of its own into', async (t) => {
  const server = await startServer(t);
  const { alice } = await submitJob(t, server);
  const pilot = olderPilot(server, await server.pilotToken('tls', { allowTlsSecrets: true }));
  const job = await pilot('getJob', { siteName: 'tls' });
  const codes = { transExitCode: 3, pilotErrorCode: 1368, pilotErrorDiag: 'Remote file open timed out' };
  await pilot('updateJob', { jobId: Number(job['PandaID']), attemptNr: 1, state: 'failed', ...codes });
  const [described] = await alice.getJobDescription([Number(job['PandaID'])]);
  assert.deepEqual(
    [
      described?.['jobStatus'],
      described?.['transExitCode'],
      described?.['pilotErrorCode'],
      described?.['pilotErrorDiag'],
    ],
    ['activated', 3, 1368, 'Remote file open timed out (exit status 3)'],
  );
});

test('what is wrong with an older call is said in its own form', async (t) => {
  const server = await startServer(t);
  const pilot = olderPilot(server, await server.pilotToken());
  const user = olderPilot(server, await server.userToken('alice'));
  const cases: [Promise<Answer>, number, RegExp][] = [
    [pilot('getJob', {}), 50, /'siteName'/],
    [pilot('getJob', { siteName: 'other' }), 60, /token is for default, not for "other"/],
    [pilot('updateJob', { jobId: 'x', attemptNr: 1, state: 'running' }), 50, /'jobId' must be a whole number/],
    [pilot('updateJob', { jobId: 7, attemptNr: 1, state: 'running' }), 30, /no attempt 1 of job 7/],
    [pilot('updateJob', { jobId: 7, attemptNr: 1, state: 'odd' }), 50, /"odd"/],
    [pilot('getStatus', { ids: '1,x' }), 50, /'ids'/],
    [user('getJob', { siteName: 'default' }), 60, /for pilots/],
  ];
  for (const [asked, status, message] of cases) {
    const { StatusCode, errorDialog } = await asked;
    assert.equal(StatusCode, status);
    assert.match(String(errorDialog), message);
  }
  const headers = { authorization: 'Bearer no.good.token', 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/server/panda/getJob`, { method: 'POST', headers, body: '{}' });
  // No object: this pilot takes every object for success, and tries again at anything else.
  assert.deepEqual([response.status, response.headers.get('content-type')], [401, 'text/plain']);
});

test('what else that pilot asks for is answered in a way that it goes on from', async (t) => {
  const server = await startServer(t);
  const token = await server.pilotToken();
  const pilot = olderPilot(server, token);
  const types = await pilot('getResourceTypes', {});
  assert.deepEqual(
    JSON.parse(String(types['ResourceTypes'])).map((type: { resource_name: string }) => type.resource_name),
    ['SCORE', 'MCORE'],
  );
  assert.deepEqual(await pilot('getStatus', { ids: '1,2' }), {
    StatusCode: 0,
    status: 'notfound,notfound',
    attemptNr: '0,0',
  });
  assert.equal((await pilot('updateWorkerPilotStatus', { workerID: '1' }))['StatusCode'], 0);
  assert.equal((await pilot('getProxy', { role: 'x' }))['StatusCode'], 30);
  assert.equal((await pilot('get_access_token', {}))['StatusCode'], 30);
  assert.deepEqual((await pilot('get_user_secrets', { keys: 'A' }))[0], false);
  const headers = { authorization: `Bearer ${token}` };
  const debug = await fetch(`${server.url}/server/panda/setDebugMode`, { method: 'POST', headers, body: '{}' });
  assert.equal(await debug.text(), 'Succeeded');
});

test('an older call refuses plain http from elsewhere and bodies that are none, and never fails itself', async (t) => {
  const server = await startServer(t);
  const authorization = `Bearer ${await server.pilotToken()}`;
  const ask = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
    const init = { method: 'POST', headers: { authorization, ...headers }, body };
    const response = await fetch(`${server.url}/server/panda/updateJob`, init);
    assert.equal(response.status, 200);
    return (await response.json()) as Answer;
  };
  const forwarded = await ask('{}', { 'x-forwarded-for': '192.0.2.1' });
  assert.deepEqual(forwarded, { StatusCode: 40, errorDialog: 'SSL secure connection is required' });
  const gzip = new Uint8Array(gzipSync('{"jobId": 1}'));
  const odd = ['', '[1]', '{', 'jobId=1&jobId=2', '{"jobId": {}}', '{"__proto__": {"jobId": 1}}', gzip.slice(0, 15)];
  for (const body of odd) assert.equal((await ask(body))['StatusCode'], 50, String(body));
  const report = { jobId: 1, attemptNr: 1, state: 'finished' };
  for (const xml of ['<xml/>', '[]', '{"a": null}', '{"a": {"surl": 7}}', '{"../a": {"surl": "file:///x"}}']) {
    const { StatusCode } = await ask(JSON.stringify({ ...report, xml }));
    assert.ok(StatusCode === 30 || StatusCode === 50, 'there is no such job');
  }
});
