import assert from 'node:assert/strict';
import { pipeline, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Client, createClient } from '../../src/client/client.ts';
import { InvalidValue, Misconfigured, Refused, Unauthenticated, Unavailable } from '../../src/protocol/errors.ts';
import { wireName } from '../../src/protocol/names.ts';
import { no, ok, startStub } from './stub-server.ts';

const NAME = wireName('MY_SECRET');

test('a call carries the token, the VO and a JSON body', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok() });
  using client = connect(stub.url);
  assert.equal(await client.setSecret(NAME, 'a=b'), 'OK');
  const [request] = stub.seen;
  assert.equal(request?.method, 'POST');
  assert.equal(request?.headers.authorization, 'Bearer the-token');
  assert.equal(request?.headers.origin, 'panda:user');
  assert.deepEqual(JSON.parse(String(request?.body)), { key: 'MY_SECRET', value: 'a=b' });
});

test('calls share a connection', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': ({ headers }) => ok(null, headers.connection) });
  using client = connect(stub.url);
  assert.equal(await client.setSecret(NAME, 'one'), 'keep-alive');
});

test('every value arrives and comes back as it was', async () => {
  let kept: unknown;
  await using stub = await startStub({
    'creds/set_user_secrets': ({ body }) => {
      const { key, value } = JSON.parse(String(body));
      kept = { [key]: value };
      return ok();
    },
    'creds/get_user_secrets': () => ok(JSON.stringify(kept)),
  });
  using client = connect(stub.url);
  const property = fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async (value) => {
    await client.setSecret(NAME, value);
    assert.equal((await client.getSecrets()).get(NAME)?.reveal(), value);
  });
  await fc.assert(property, { numRuns: 50, examples: [['\0"\\\n$(x)`'], ['__proto__']] });
});

test('secrets that a server answers print as [secret] until they are revealed', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{"MY_SECRET":"hidden","__proto__":"x"}') });
  using client = connect(stub.url);
  const secrets = await client.getSecrets();
  assert.equal(JSON.stringify([...secrets]), '[["MY_SECRET","[secret]"],["__proto__","[secret]"]]');
});

for (const data of [null, '', '{}']) {
  test(`no secrets, answered as ${JSON.stringify(data)}, are none`, async () => {
    await using stub = await startStub({ 'creds/get_user_secrets': () => ok(data) });
    using client = connect(stub.url);
    assert.equal((await client.getSecrets()).size, 0);
  });
}

test('secrets in a form that is not known are an error that quotes nothing of them', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{"A": "hidden') });
  using client = connect(stub.url);
  await assert.rejects(client.getSecrets(), (error: Error) => {
    assert.ok(error instanceof Unavailable);
    assert.doesNotMatch(String(error.stack), /hidden/);
    return true;
  });
});

test('names to get are the repeated key of the query', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok('{}') });
  using client = connect(stub.url);
  await client.getSecrets([NAME, wireName('a&b', 'file')]);
  assert.deepEqual(stub.seen[0]?.query.getAll('keys'), ['MY_SECRET', '___file___:a&b']);
});

test('a value that is too large is refused before anything is sent', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok() });
  using client = connect(stub.url);
  await client.setSecret(NAME, 'x'.repeat(1_024_000));
  await assert.rejects(client.setSecret(NAME, 'x'.repeat(1_024_001)), InvalidValue);
  assert.equal(stub.seen.length, 1);
});

test('a refusal carries the message and data of the server', async () => {
  await using stub = await startStub({ 'task/submit': () => no('duplicate task name', 1) });
  using client = connect(stub.url);
  await assert.rejects(client.submitTask({}), (error: unknown) => {
    assert.ok(error instanceof Refused);
    assert.equal(error.message, 'duplicate task name');
    assert.equal(error.data, 1);
    return true;
  });
});

test('the id of a new task is found in the data or the message', async () => {
  const answers = [ok(10000001, 'succeeded'), ok(null, 'succeeded. new jediTaskID=10000002')];
  await using stub = await startStub({ 'task/submit': () => answers.shift() });
  using client = connect(stub.url);
  assert.equal((await client.submitTask({})).taskId, 10000001);
  assert.equal((await client.submitTask({})).taskId, 10000002);
});

test('dates of tasks are text, however the server writes them', async () => {
  const task = { jediTaskID: 10000000, creationDate: { __datetime__: '2026-01-02T03:04:05.678' } };
  await using stub = await startStub({ 'task/get_tasks_detailed_info_since': () => ok([task]) });
  using client = connect(stub.url);
  const since = new Date(Date.UTC(2026, 0, 1));
  const [listed] = await client.listTasks({ since, filters: { status: 'running' }, limit: 5 });
  assert.equal(listed?.creationDate, '2026-01-02 03:04:05');
  assert.deepEqual(Object.fromEntries(stub.seen[0]?.query ?? []), {
    since: '2026-01-01 00:00:00',
    filters: '{"status":"running"}',
    n_tasks: '5',
  });
});

test('a pilot that finds no job gets an empty list, and one that is refused an error', async () => {
  const answers = [
    no('No jobs in PanDA'),
    no('this call is for pilots'),
    ok({ StatusCode: 0, jobs: [{ PandaID: 7 }] }),
  ];
  await using stub = await startStub({ 'pilot/acquire_jobs': () => answers.shift() });
  using client = connect(stub.url);
  assert.deepEqual(await client.acquireJobs({ site_name: 'q' }), []);
  await assert.rejects(client.acquireJobs({ site_name: 'q' }), Refused);
  assert.equal((await client.acquireJobs({ site_name: 'q' }))[0]?.PandaID, 7);
});

test('a log is streamed to the server, and its arguments stand in the query', async () => {
  await using stub = await startStub({ 'pilot/upload_job_file': () => ok() });
  using client = connect(stub.url);
  const file = { job_id: 7, attempt_nr: 2, kind: 'log', name: 'a b.log.tgz' } as const;
  await client.uploadJobFile(file, Readable.from([Buffer.from('some '), Buffer.from('bytes')]));
  assert.equal(String(stub.seen[0]?.body), 'some bytes');
  assert.equal(stub.seen[0]?.query.get('name'), 'a b.log.tgz');
});

test('a file that cannot be read fails its upload', async () => {
  await using stub = await startStub({ 'pilot/upload_job_file': () => ok() });
  using client = connect(stub.url);
  const file = { job_id: 7, attempt_nr: 2, kind: 'log', name: 'x' } as const;
  await assert.rejects(client.uploadJobFile(file, '/nowhere/at/all'));
});

test('the content of a job file is a stream, and a refusal an error', async () => {
  const answers: ((response: import('node:http').ServerResponse) => unknown)[] = [
    (response) => response.setHeader('Content-Type', 'application/octet-stream').end('{"success": "bytes"}'),
    () => no('there is no such file'),
  ];
  await using stub = await startStub({ 'job/get_file': (_request, response) => answers.shift()?.(response) });
  using client = connect(stub.url);
  const file = { job_id: 7, attempt: 1, name: 'out.txt' };
  assert.equal(await text(await client.getJobFile(file)), '{"success": "bytes"}');
  await assert.rejects(client.getJobFile(file), Refused);
});

test('a sandbox is fetched from another server without the token', async () => {
  const serve = (_request: unknown, response: import('node:http').ServerResponse) =>
    response.setHeader('Content-Type', 'application/gzip').end('archive');
  await using home = await startStub({ '/cache/jobO.x.tar.gz': serve });
  await using foreign = await startStub({ '/cache/jobO.x.tar.gz': serve });
  using client = connect(home.url);
  assert.equal(await text(await client.downloadSandbox(`${foreign.url}/cache/jobO.x.tar.gz`)), 'archive');
  assert.equal(foreign.seen[0]?.headers.authorization, undefined);
  await text(await client.downloadSandbox(`${home.url}/cache/jobO.x.tar.gz`));
  assert.equal(home.seen[0]?.headers.authorization, 'Bearer the-token');
});

test('a sandbox that the server has is found, whichever way the server writes it', async () => {
  const answers = [
    ok(null, 'FOUND:https://panda.example.org:25443:jobO.a.tar.gz'),
    no('FOUND:cache.example.org:jobO.a.tar.gz'),
    ok(null, 'FOUND:cache.example.org:../../etc/passwd'),
    no('NOTFOUND'),
  ];
  await using stub = await startStub({ 'file_server/validate_cache_file': () => answers.shift() });
  using client = connect(stub.url);
  const port = new URL(stub.url).port;
  assert.deepEqual(await client.findSandbox(10, 1), {
    origin: 'https://panda.example.org:25443',
    fileName: 'jobO.a.tar.gz',
  });
  assert.deepEqual(await client.findSandbox(10, 1), {
    origin: `http://cache.example.org:${port}`,
    fileName: 'jobO.a.tar.gz',
  });
  assert.equal(await client.findSandbox(10, 1), undefined);
  assert.equal(await client.findSandbox(10, 1), undefined);
});

test('a sandbox goes to the cache server as the file of a form', async () => {
  await using stub = await startStub({});
  await using cache = await startStub({ 'file_server/upload_cache_file': () => ok(null, 'OK') });
  using client = connect(stub.url, { cacheUrl: cache.url });
  const stored = await client.uploadSandbox('jobO.a.tar.gz', Buffer.from('\r\n--bytes'));
  assert.deepEqual(stored, { origin: cache.url, fileName: 'jobO.a.tar.gz' });
  const [request] = cache.seen;
  const form = await new Response(new Uint8Array(request?.body ?? []), {
    headers: { 'Content-Type': request?.headers['content-type'] ?? '' },
  }).formData();
  const file = form.get('file') as File;
  assert.equal(file.name, 'jobO.a.tar.gz');
  assert.equal(await file.text(), '\r\n--bytes');
});

test('a token is never sent over plain http to another machine', async () => {
  for (const url of ['http://panda.example.org:25080', 'http://127.0.0.1.example.org', 'http://10.0.0.1']) {
    using client = connect(url);
    await assert.rejects(client.setSecret(NAME, 'hidden'), (error: unknown) => {
      assert.ok(error instanceof Misconfigured);
      assert.match(error.message, /plain http.*https:/);
      return true;
    });
  }
});

test("an answer that is not PanDA's is named as such, and nothing of it is shown", async () => {
  const bodies: [status: number, body: string, message: RegExp][] = [
    [200, '<html>log in here</html>', /did not answer as a PanDA server does/],
    [200, '[1]', /did not answer as a PanDA server does/],
    [200, 'null', /did not answer as a PanDA server does/],
    [502, 'bad gateway', /HTTP 502: it has a problem/],
    [403, 'no', /HTTP 403/],
  ];
  for (const [status, body, message] of bodies) {
    await using stub = await startStub({
      'creds/set_user_secrets': (_r, response) => response.writeHead(status).end(body),
    });
    using client = connect(stub.url);
    await assert.rejects(client.setSecret(NAME, 'v'), (error: unknown) => {
      assert.ok(error instanceof Unavailable);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /log in here/);
      return true;
    });
  }
});

test('a redirection is not followed', async () => {
  await using other = await startStub({ 'creds/get_user_secrets': () => ok('{}') });
  await using stub = await startStub({
    'creds/get_user_secrets': (_r, response) =>
      response.writeHead(302, { Location: `${other.url}/api/v1/creds/get_user_secrets` }).end(),
  });
  using client = connect(stub.url);
  await assert.rejects(client.getSecrets(), /redirect to another address/);
  assert.equal(other.seen.length, 0);
});

test('a server that does not know a call, or the token, says so', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': (_r, response) => response.writeHead(401).end() });
  using client = connect(stub.url);
  await assert.rejects(client.listSecrets(), /does not know this call/);
  await assert.rejects(client.getSecrets(), Unauthenticated);
});

test('where nothing listens, the message says what to do', async () => {
  const { url } = await closedStub();
  using client = connect(url);
  await assert.rejects(client.getSecrets(), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.match(error.message, /nothing listens there.*PANDA_URL_SSL/);
    return true;
  });
});

test('http to an https port and https to an http port are told apart', async () => {
  await using plain = await startStub({});
  using client = connect(plain.url.replace('http:', 'https:'));
  await assert.rejects(client.getSecrets(), /does not speak https there/);
});

test('a connection that breaks in the middle of an answer is an error', async () => {
  await using stub = await startStub({
    'creds/get_user_secrets': (_r, response) => {
      response.writeHead(200, { 'Content-Length': 100 }).write('{"success"');
      setImmediate(() => response.destroy());
    },
  });
  using client = connect(stub.url);
  await assert.rejects(client.getSecrets(), Unavailable);
});

test('an answer without end is not read to the end of memory', async () => {
  const endless = function* () {
    for (;;) yield Buffer.alloc(1024 * 1024, ' ');
  };
  await using stub = await startStub({
    'creds/get_user_secrets': (_r, response) => void pipeline(Readable.from(endless()), response, () => {}),
  });
  using client = connect(stub.url);
  await assert.rejects(client.getSecrets(), /did not answer as a PanDA server does/);
});

test('a kept connection that was closed meanwhile is made anew for a read, and for nothing that changes something', async () => {
  const breakOnce = () => {
    let asked = 0;
    return (_request: unknown, response: import('node:http').ServerResponse) => {
      asked += 1;
      return asked === 2 ? void response.destroy() : ok('{}');
    };
  };
  await using stub = await startStub({ 'creds/get_user_secrets': breakOnce(), 'task/kill': breakOnce() });
  using client = connect(stub.url);
  await client.getSecrets();
  await client.getSecrets();
  assert.equal(stub.seen.length, 3);
  await client.killTask(10000000);
  await assert.rejects(client.killTask(10000000), Unavailable);
  assert.equal(stub.seen.length, 5);
});

test('a question that is under way when its client closes ends, and is not asked again', async () => {
  let asked = 0;
  const { promise: isAsked, resolve: tell } = Promise.withResolvers<void>();
  await using stub = await startStub({
    'task/get_job_ids': () => ok([1]),
    'job/get_log': async () => {
      asked += 1;
      tell();
      return new Promise<never>(() => {});
    },
  });
  const client = connect(stub.url);
  await client.getJobIds(1); // On the connection of this one.
  const waiting = assert.rejects(client.getJobLog({ job_id: 1 }), Unavailable);
  await isAsked;
  client.close();
  await waiting;
  assert.equal(asked, 1);
});

async function closedStub(): Promise<{ url: string }> {
  await using stub = await startStub({});
  return { url: stub.url };
}

function connect(url: string, more: { cacheUrl?: string } = {}): Client & Disposable {
  const client = createClient({ url, token: async () => 'the-token', vo: 'panda:user', ...more });
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}
