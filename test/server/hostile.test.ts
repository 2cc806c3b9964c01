import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { getUserSecrets, setUserSecrets } from '../../src/protocol/calls/creds.ts';
import { BODY_SECONDS, MAX_FAILED_REQUESTS_PER_MINUTE, MAX_JSON_BODY_BYTES } from '../../src/protocol/limits.ts';
import { answerBadHttp, type RefusedHttp } from '../../src/server/plugins/unrouted.ts';
import { taskParameters } from '../jobs/farm.ts';
import { eachStore } from '../stores.ts';
import { samplesAt, valueAt } from './metrics.ts';
import { startServer, type TestServer } from './start.ts';

interface RawAnswer {
  status: number;
  body: string;
}

/** Sends bytes over a socket of its own and reads until the server closes, or the first answer is whole. */
function sendRaw(server: TestServer, bytes: string | Buffer): Promise<RawAnswer | undefined> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      if (answerIn(received)) socket.destroy();
    });
    socket.on('close', () => resolve(answerIn(received)));
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? undefined : reject(error)));
  });
}

function answerIn(text: string): RawAnswer | undefined {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN);
  const body = rest.join('\r\n\r\n');
  return Buffer.byteLength(body) >= length ? { status, body } : undefined;
}

function assertRefused(answer: RawAnswer | undefined): void {
  assert.ok(answer, 'an answer');
  assert.ok(answer.status < 500, `status ${answer.status}`);
  const { success, message, data } = JSON.parse(answer.body);
  assert.equal(success, false);
  assert.equal(typeof message, 'string');
  assert.doesNotMatch(message, /internal error/);
  assert.equal(data, null);
}

const CALLS = [
  'creds/set_user_secrets',
  'creds/get_user_secrets',
  'creds/restore_secret',
  'task/submit',
  'task/get_tasks_detailed_info_since',
  'task/kill',
  'job/get_file',
  'file_server/validate_cache_file',
  'file_server/upload_cache_file',
  'pilot/acquire_jobs',
  'pilot/update_job',
  'pilot/upload_job_file',
];

const anyJson = fc.oneof(
  fc.json(),
  fc
    .dictionary(fc.constantFrom('key', 'value', 'task_id', 'job_id', 'task_parameters', '__proto__'), fc.jsonValue())
    .map((v) => JSON.stringify(v)),
  fc.string({ unit: 'binary' }),
);

test('whatever a known caller sends, the answer is an envelope and the server goes on', async (t) => {
  const server = await startServer(t, { logLevel: 'error' });
  const tokens = [await server.userToken('alice'), await server.pilotToken()];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...tokens),
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
      fc.constantFrom(...CALLS),
      fc.webQueryParameters({ size: 'small' }),
      anyJson,
      fc.constantFrom(
        '',
        'Content-Type: application/json\r\n',
        'Content-Type: multipart/form-data; boundary=x\r\n',
        'Content-Encoding: gzip\r\n',
      ),
      async (token, method, call, query, body, header) => {
        const length = Buffer.byteLength(body);
        const answer = await sendRaw(
          server,
          `${method} /api/v1/${call}?${query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${header}Content-Length: ${length}\r\n\r\n${body}`,
        );
        assert.ok(answer);
        assert.ok(answer.status === 200, `${answer.status} ${answer.body}`);
        const { success, message } = JSON.parse(answer.body);
        assert.equal(typeof success, 'boolean');
        assert.doesNotMatch(message, /internal error/);
      },
    ),
    { numRuns: 400 },
  );
  assert.equal(server.logs(), '', 'nothing was a fault of the server');
});

eachStore('text and numbers that a database cannot keep are refused or cleaned, never a fault', async (t, { url }) => {
  const server = await startServer(t, { settings: url === undefined ? {} : { database: url }, logLevel: 'error' });
  const [user, pilot] = [await server.userToken('alice'), await server.pilotToken()];
  const call = async (token: string, path: string, body?: object) => {
    const init = body && { method: 'POST', body: JSON.stringify(body) };
    const answer = await fetch(`${server.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    assert.ok(answer.status < 500, `${path}: ${answer.status}`);
    assert.doesNotMatch(text, /internal error/, path);
    return text;
  };
  const submitted = await call(user, '/api/v1/task/submit', { task_parameters: taskParameters('user.alice.test') });
  const taskId = Number(JSON.parse(submitted).data);
  const acquired = JSON.parse(
    await call(pilot, '/api/v1/pilot/acquire_jobs', { site_name: 'default', node: 'n\u0000\u001b[2J'.repeat(500) }),
  );
  const jobId = acquired.data.jobs[0].PandaID;

  const huge = '1e30';
  for (const [token, path, body] of [
    [user, `/api/v1/task/get_status?task_id=${huge}`],
    [user, `/api/v1/task/kill`, { task_id: 1e30 }],
    [user, `/api/v1/job/get_status?job_ids=${huge}`],
    [user, `/api/v1/job/get_log?job_id=${jobId}&offset=${huge}`],
    [user, `/api/v1/job/get_file?job_id=${jobId}&attempt=1&name=a%00b`],
    [user, `/api/v1/job/get_file?job_id=${jobId}&attempt=${huge}&name=b`],
    [user, `/api/v1/task/get_tasks_detailed_info_since?filters=${encodeURIComponent('{"site":"a\\u0000b"}')}`],
    [user, `/api/v1/task/get_tasks_detailed_info_since?n_tasks=${huge}`],
    [user, `/api/v1/task/submit`, { task_parameters: { ...taskParameters('user.alice.test2'), site: 'a\0b' } }],
    [user, `/api/v1/creds/restore_secret`, { key: 'A', version: 1e30 }],
    [user, `/api/v1/file_server/validate_cache_file`, { file_size: 1e30, checksum: 1e30 }],
    [user, `/cache/a%00b`],
    [pilot, `/api/v1/pilot/get_job_status?job_ids=${huge}`],
    [pilot, `/api/v1/pilot/acquire_jobs`, { site_name: 'default', task_id: 1e30 }],
    [pilot, `/api/v1/pilot/join`, joinWith('join-\0')],
    [pilot, `/server/panda/getStatus`, { ids: Array(100_000).fill(1).join() }],
  ] as const) {
    await call(token, path, body);
  }

  const report = { job_id: jobId, attempt_nr: 1, job_status: 'failed', trans_exit_code: 1e30 };
  assert.match(await call(pilot, '/api/v1/pilot/update_job', report), /'trans_exit_code' must be/);
  await call(pilot, '/api/v1/pilot/update_job', {
    ...report,
    trans_exit_code: 7,
    node: 'n\0',
    pilot_error_diag: 'stderr:\0 \u001b]0;you are root\u0007 gone',
  });
  const described = await call(user, `/api/v1/job/get_description?job_ids=${jobId}`);
  const [job] = JSON.parse(described).data;
  assert.equal(job.pilotErrorDiag, 'stderr:   ]0;you are root  gone', 'nothing that a terminal acts on');
  assert.equal(job.modificationHost, 'n');
  assert.ok(taskId > 0);
  assert.equal(server.logs(), '', 'nothing was a fault of the server');
});

function joinWith(tokenId: string) {
  const bytes = 'A'.repeat(43);
  return { token_id: tokenId, queue: 'a\0', node: 'a\0', public_key: bytes, nonce: bytes, mac: bytes };
}

test('a form that is cut or no form is refused', async (t) => {
  const server = await startServer(t, { logLevel: 'error' });
  const authorization = `Bearer ${await server.userToken('alice')}`;
  const part =
    'Content-Disposition: form-data; name="file"; filename="jobO.00000000-0000-4000-8000-000000000000.tar.gz"';
  for (const [type, body] of [
    ['multipart/form-data; boundary=x', `--x\r\n${part}\r\n\r\n\x1f`],
    ['multipart/form-data; boundary=x', `--x\r\n${part}\r\n\r\n\x1f\r\n`],
    ['multipart/form-data; boundary=x', '--x\r\nnonsense\r\n\r\nabc\r\n--x--\r\n'],
    ['multipart/form-data; boundary=x', ''],
    ['multipart/form-data', 'abc'],
  ] as const) {
    const headers = { authorization, 'content-type': type };
    const url = `${server.url}/api/v1/file_server/upload_cache_file`;
    const answer = await fetch(url, { method: 'POST', headers, body });
    const { success, message } = (await answer.json()) as { success: boolean; message: string };
    assert.equal(success, false);
    assert.doesNotMatch(message, /internal error/, body);
  }
  assert.equal(server.logs(), '', 'nothing was a fault of the server');
});

test('bytes that are no request get a last word, and the server goes on', async (t) => {
  const server = await startServer(t);
  const requests = [
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /none HTTP/1.1\r\n\r\n',
    'GET /api/v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /api/v1/creds/get_user_secrets HTTP/1.1\r\nHost: x\r\nHost: y\r\nAuthorization: Bearer \x01\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    `GET /${'x'.repeat(80_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    'POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'FROB /api/v1/creds/get_user_secrets HTTP/1.1\r\nHost: x\r\n\r\n',
    'PROPFIND /api/v1/creds/get_user_secrets HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  for (const request of requests) assertRefused(await sendRaw(server, request));
  assert.equal((await fetch(`${server.url}/api/v1/system/is_alive`)).status, 200);
});

test('a request that gets no route has a line and a count, with nothing of what was sent', async (t) => {
  const server = await startServer(t, { settings: { metricsListen: 'public' } });
  const mark = 'MARK7f3a';
  const sent = [
    [`GET /%zz${mark} HTTP/1.1\r\nHost: x\r\n\r\n`, '404 ERR_UNKNOWN_CALL'],
    [`GET /cache/${mark.repeat(20)} HTTP/1.1\r\nHost: x\r\n\r\n`, '404 ERR_UNKNOWN_CALL'],
    [`${mark} /${mark} HTTP/1.1\r\nHost: x\r\n\r\n`, '400 ERR_BAD_HTTP HPE_INVALID_METHOD'],
    [`GET /${mark.repeat(10_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, '431 ERR_BAD_HTTP HPE_HEADER_OVERFLOW'],
    [`CONNECT ${mark}:80 HTTP/1.1\r\nHost: x\r\n\r\n`, '405 ERR_BAD_HTTP ERR_CONNECT'],
    [`GET / HTTP/1.1\r\nHost: x\r\nExpect: ${mark}\r\n\r\n`, '417 ERR_BAD_HTTP ERR_EXPECT'],
  ] as const;
  for (const [bytes] of sent) assertRefused(await sendRaw(server, bytes));
  const { samples } = await samplesAt(server);
  const counted = (outcome: string) =>
    valueAt({ text: '', samples }, 'panda_secrets_requests_total', { call: 'other', outcome });
  assert.deepEqual([counted('ERR_UNKNOWN_CALL'), counted('ERR_BAD_HTTP')], [2, 4]);
  await server.stop();

  const lines = server
    .logs()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const noted = lines.map(({ status, outcome, reason }) => [status, outcome, reason].filter(Boolean).join(' '));
  assert.deepEqual(
    noted,
    sent.map(([, line]) => line),
  );
  for (const { path } of lines) assert.equal(path, '(unknown)');
  assert.doesNotMatch(server.logs(), new RegExp(mark, 'i'));
});

test('a connection on which nothing came until its time was over makes no line and no count', async (t) => {
  const noted: RefusedHttp[] = [];
  const answer = answerBadHttp((refused) => noted.push(refused));
  const server = createServer({ allowHalfOpen: true }).on('connection', async (socket) => {
    await Promise.race([once(socket, 'data'), once(socket.resume(), 'end')]);
    answer({ code: 'ERR_HTTP_REQUEST_TIMEOUT' }, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const say = async (bytes: string) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(bytes).resume();
    await once(socket, 'close');
  };
  await say('');
  assert.deepEqual(noted, []);
  await say('GET /');
  assert.deepEqual(noted, [{ status: 408, reason: 'ERR_HTTP_REQUEST_TIMEOUT' }]);
});

test('a body that came in pieces is read to its end, also where all were there at once', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  const head = (length: string) =>
    `POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${length}\r\n\r\n`;
  const chunked = (...pieces: string[]) =>
    `${head('Transfer-Encoding: chunked')}${[...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}`;
  const kept = async () => JSON.parse((await server.ask(token, getUserSecrets, {})).data as string);

  const whole = JSON.stringify({ key: 'A', value: 'in pieces' });
  const answer = await sendRaw(server, chunked(...whole));
  assert.match(answer?.body ?? '', /"success":true/);
  // More than one reading of the socket brings.
  const large = JSON.stringify({ key: 'B', value: 'x'.repeat(100_000) });
  assert.match((await sendRaw(server, head(`Content-Length: ${large.length}`) + large))?.body ?? '', /"success":true/);
  assert.deepEqual(await kept(), { A: 'in pieces', B: 'x'.repeat(100_000) });

  const other = JSON.stringify({ key: 'A', value: 'a part' });
  for (const rest of ['}', ',', other]) assertRefused(await sendRaw(server, chunked(other, rest)));
  assert.equal((await kept()).A, 'in pieces', 'nothing is taken of which the beginning alone is a body');
});

test('a client that goes away in the middle of its body harms nobody', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  const { hostname, port } = new URL(server.url);
  await Promise.all(
    Array.from(
      { length: 20 },
      () =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), hostname, () => {
            socket.write(
              `POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{"key`,
              () => socket.destroy(),
            );
          });
          socket.on('close', () => resolve());
        }),
    ),
  );
  const answer = await fetch(`${server.url}/api/v1/creds/get_user_secrets`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(((await answer.json()) as { data: string }).data, '{}');
  assert.doesNotMatch(server.logs(), /ERR_INTERNAL/);
});

test('a body that stops arriving is given up after its time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const server = await startServer(t);
  const token = await server.userToken('alice');
  const head = `POST /api/v1/creds/set_user_secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{"key`;
  const answered = sendRaw(server, head);
  const ticking = setInterval(() => t.mock.timers.tick(10_000), 10);
  try {
    const answer = await answered;
    assert.match(answer?.body ?? '', /did not arrive within 60 seconds/);
  } finally {
    clearInterval(ticking);
    t.mock.timers.reset();
  }
});

/** A body of five kB that is six MB of lists inside each other. */
function bomb(): Buffer {
  const half = MAX_JSON_BODY_BYTES / 2 - 1;
  return gzipSync(`${'['.repeat(half)}${']'.repeat(half)}`, { level: 9 });
}

function post(path: string, body: Buffer, headers = ''): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

test('a small body that unpacks to a large one is not unpacked for callers who proved nothing, nor parsed for anybody', async (t) => {
  const server = await startServer(t, { logLevel: 'error' });
  const token = await server.userToken('alice');
  const body = bomb();
  assert.ok(body.length < 8000);
  const before = process.cpuUsage();
  for (let n = 0; n < 20; n++) {
    assert.equal((await sendRaw(server, post('/no/such/path', body)))?.status, 404);
    assert.match(
      (await sendRaw(server, post('/api/v1/pilot/join', body)))?.body ?? '',
      /not valid UTF-8|not valid JSON/,
    );
    assert.match((await sendRaw(server, post('/api/v1/task/submit', body)))?.body ?? '', /no token/);
    assert.match((await sendRaw(server, post('/api/v1/system/is_alive', body)))?.body ?? '', /wrong HTTP method/);
  }
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 80 < 100_000, `${(user + system) / 80} microseconds for each`);

  const own = `Authorization: Bearer ${token}\r\n`;
  assert.match(
    (await sendRaw(server, post('/api/v1/task/kill', body, own)))?.body ?? '',
    /larger than the 65536 bytes/,
  );
  const submitted = await sendRaw(server, post('/api/v1/task/submit', body, own));
  assert.match(submitted?.body ?? '', /more than 32 objects and lists inside each other/);
  const wide = gzipSync(`{"task_parameters":{"a":[${'{},'.repeat(200_000)}{}]}}`);
  assert.match(
    (await sendRaw(server, post('/api/v1/task/submit', wide, own)))?.body ?? '',
    /more than 100000 elements/,
  );
});

test('quotes and brackets inside a value are not counted', async (t) => {
  const server = await startServer(t);
  const token = await server.userToken('alice');
  for (const value of [
    '['.repeat(1000),
    '"[{'.repeat(1000),
    '\\"[,'.repeat(50_000),
    `${'\\'.repeat(7)}"${'['.repeat(99)}`,
  ]) {
    const set = await server.ask(token, setUserSecrets, { key: 'A', value });
    assert.equal(set.success, true, set.message);
    const { data } = await server.ask(token, getUserSecrets, {});
    assert.equal(JSON.parse(data as string).A, value);
  }
});

test('an address that sends nothing but failures is refused for a minute, and good tokens from there are still taken', async (t) => {
  // It stands still, for as many failures as that takes. A pilot that takes this for another clock follows it.
  let now = Date.now();
  const server = await startServer(t, { clock: () => now });
  const token = await server.userToken('alice');
  const { pilot: joined } = await server.joinedPilot();
  const ask = async (path: string, authorization?: string, dpop?: string) => {
    const headers = { ...(authorization && { authorization }), ...(dpop && { dpop }) };
    const answer = await fetch(`${server.url}${path}`, { headers });
    return (await answer.json()) as { success: boolean; message: string };
  };
  const secrets = '/api/v1/creds/get_user_secrets';
  assert.equal((await ask(secrets, `Bearer ${token}`)).success, true);
  for (let n = 0; n < MAX_FAILED_REQUESTS_PER_MINUTE; n += 2)
    await Promise.all([ask('/nothing'), ask(secrets, 'Bearer x')]);
  for (const path of ['/nothing', secrets, '/api/v1/task/get_job_ids?task_id=1']) {
    assert.match(
      (await ask(path, 'Bearer y')).message,
      /too many requests without a good token.*try again in \d+ seconds/,
    );
  }
  for (const authorization of ['Bearer y', 'DPoP y', undefined]) {
    const { message } = await ask(secrets, authorization, 'x');
    assert.match(message, /too many requests without a good token/, 'a header of a pilot is no proof');
  }
  const { pilot } = await server.joinedPilot().catch((error) => ({ pilot: String(error) }));
  assert.match(String(pilot), /too many requests|HTTP 429/);
  const asked = () => joined.acquireJobs({ site_name: 'default' });
  assert.deepEqual(await asked().catch(asked), [], 'a pilot that joined before goes on');
  assert.equal((await ask(secrets, `Bearer ${token}`)).success, true);
  assert.equal(
    (await fetch(`${server.url}/.well-known/openid-configuration`)).status,
    200,
    'logging in has limits of its own',
  );
  now += 61_000;
  assert.match((await ask(secrets, 'Bearer y')).message, /malformed/);
});

test('a form and a body that nobody asked for are ended after their time, however steadily they drip', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const server = await startServer(t);
  const { hostname, port } = new URL(server.url);
  const open = new Set<string>();
  const bodies = ['POST /password/abc', 'POST /oidc/token', 'POST /nothing', 'GET /api/v1/system/is_alive'].map(
    (line) => {
      const head = `${line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n`;
      // The server says that it goes on as it looks at the head, and so as the time begins.
      let drip: NodeJS.Timeout | undefined;
      const socket = connect(Number(port), hostname, () => {
        socket.write(`${head}Expect: 100-continue\r\n\r\na`);
        // Not before: what is written to a socket that is not connected yet goes before the head.
        drip = setInterval(() => socket.write('a'), 50);
      });
      open.add(line);
      const begun = new Promise<void>((resolve) => socket.once('data', () => resolve()));
      socket.on('error', () => {});
      const ended = new Promise<void>((resolve) =>
        socket.on('close', () => {
          clearInterval(drip);
          open.delete(line);
          resolve();
        }),
      );
      t.after(() => socket.destroy());
      return { begun, ended };
    },
  );
  await Promise.all(bodies.map(({ begun }) => begun));
  t.mock.timers.tick((BODY_SECONDS - 1) * 1000);
  await sendRaw(server, 'GET /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(open.size, 4, 'none is ended before its time');
  t.mock.timers.tick(2000);
  await Promise.all(bodies.map(({ ended }) => ended));
});
