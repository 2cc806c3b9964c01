import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Handler, no, ok, startStub } from '../client/stub-server.ts';
import { dataOf, run } from './run.ts';

const LISTED = [
  { name: 'TOKEN', kind: 'string', version: 3, size: 5, queues: ['Q1', 'Q2'] },
  { name: 'key.pem', kind: 'file', version: 1, size: 8, queues: null },
];

const delivery = {
  at: '2026-03-01T12:30:45.678Z',
  task_id: 10000001,
  job_id: 7,
  attempt: 2,
  pilot: 'pilot:Q1:abc',
  queue: 'Q1',
  node: 'node\u001b[7m',
  sealed_with: 'MLKEM768-X25519',
  secrets: [
    { name: 'TOKEN', version: 3 },
    { name: '___file___:key.pem', version: 1 },
    { name: null, version: 1 },
  ],
};

function keeping(more: Record<string, Handler> = {}): Record<string, Handler> {
  return {
    'creds/list_user_secrets': () => ok(LISTED),
    'creds/get_user_secrets': () => ok(JSON.stringify({ TOKEN: 'value', '___file___:key.pem': 'AAECAwQF' })),
    'creds/set_user_secrets': () => ok(),
    'creds/get_secret_deliveries': () => ok([delivery]),
    'creds/get_secret_versions': () =>
      ok([
        { version: 3, size: 5, created_at: '2026-03-01T12:00:00.000Z', current: true },
        { version: 2, size: 17, created_at: '2026-02-01T12:00:00.000Z', current: false },
      ]),
    'creds/restore_secret': () => ok({ version: 4 }),
    ...more,
  };
}

test('secret_history shows when, for which job and where secrets were given, with names and versions', async () => {
  await using stub = await startStub(keeping());
  const { status, stdout, stderr } = await run('pbook', ['secret_history'], stub.url);
  assert.deepEqual([status, stderr], [0, '']);
  const [head, rule, row, end] = stdout.split('\n');
  assert.match(head ?? '', /^ Time \(UTC\) +JediTaskID +PandaID +Attempt +Queue +Node +Pilot +Secrets \(version\)$/);
  assert.match(rule ?? '', /^ -+( {2}-+){7}$/);
  assert.match(
    row ?? '',
    /^ 2026-03-01 12:30:45 +10000001 +7 +2 {2}Q1 +node\\x1b\[7m +pilot:Q1:abc +TOKEN \(3\), key\.pem \(1\), \(deleted since\) \(1\)$/,
  );
  assert.equal(end, '');
  assert.deepEqual(dataOf(await run('pbook', ['secret_history', '--json'], stub.url)), [delivery]);
});

test('secret_history of one secret asks for that one, by the name of a file as well', async () => {
  await using stub = await startStub(keeping());
  for (const [key, wire] of [
    ['TOKEN', 'TOKEN'],
    ['key.pem', '___file___:key.pem'],
  ] as const) {
    await run('pbook', ['secret_history', key, 'limit=5'], stub.url);
    const query = stub.seen.findLast(({ path }) => path === 'creds/get_secret_deliveries')?.query;
    assert.deepEqual([query?.get('key'), query?.get('limit')], [wire, '5']);
  }
  const unknown = await run('pbook', ['secret_history', 'NOTHING'], stub.url);
  assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /you have no secret named NOTHING/);
});

test('a history with nothing in it says so', async () => {
  await using stub = await startStub(keeping({ 'creds/get_secret_deliveries': () => ok([]) }));
  assert.equal(
    (await run('pbook', ['secret_history'], stub.url)).stdout,
    'No job has been given any of your secrets so far\n',
  );
});

test('secret_versions lists what is kept, and restore_secret takes one of them again', async () => {
  await using stub = await startStub(keeping());
  const { stdout } = await run('pbook', ['secret_versions', 'TOKEN'], stub.url);
  assert.equal(
    stdout,
    [
      ' Version  Set (UTC)            Bytes  Current',
      ' -------  -------------------  -----  -------',
      '       3  2026-03-01 12:00:00      5  yes',
      '       2  2026-02-01 12:00:00     17',
      '',
    ].join('\n'),
  );
  assert.equal((await run('pbook', ['restore_secret', 'TOKEN', '2'], stub.url)).stdout, 'INFO : OK\n');
  const body = stub.seen.findLast(({ path }) => path === 'creds/restore_secret')?.body;
  assert.deepEqual(JSON.parse(String(body)), { key: 'TOKEN', version: 2 });
  for (const wrong of [
    ['restore_secret', 'TOKEN'],
    ['restore_secret', 'TOKEN', 'two'],
    ['secret_versions'],
    ['secret_history', 'A', 'B'],
  ]) {
    assert.equal((await run('pbook', wrong, stub.url)).status, 2);
  }
});

test('set_secret --queues sends the queues, and without it none', async () => {
  await using stub = await startStub(keeping());
  const sent = async (...more: string[]) => {
    const { status, stderr } = await run('pbook', ['set_secret', 'K', 'long enough', ...more], stub.url);
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(String(stub.seen.findLast(({ path }) => path === 'creds/set_user_secrets')?.body));
  };
  assert.deepEqual(await sent(), { key: 'K', value: 'long enough' });
  assert.deepEqual(await sent('--queues', 'Q2, Q1'), { key: 'K', value: 'long enough', queues: ['Q1', 'Q2'] });
  assert.deepEqual(await sent('--queues=*'), { key: 'K', value: 'long enough', queues: ['*'] });
});

test('queues that are none, or a server that knows none, keep a value from being sent', async () => {
  await using stub = await startStub(keeping());
  for (const [queues, reason] of [
    ['', /name at least one queue/],
    ['*,Q1', /goes with no other/],
    ['a b', /cannot be a queue's name/],
  ] as const) {
    const { status, stderr } = await run('pbook', ['set_secret', 'K', 'long enough', '--queues', queues], stub.url);
    assert.equal(status, 1);
    assert.match(stderr, reason);
  }
  const { 'creds/list_user_secrets': _, ...pandas } = keeping();
  await using panda = await startStub(pandas);
  const { status, stderr } = await run('pbook', ['set_secret', 'K', 'long enough', '--queues', 'Q1'], panda.url);
  assert.equal(status, 1);
  assert.match(stderr, /does not know this call/);
  assert.ok(![...stub.seen, ...panda.seen].some(({ path }) => path === 'creds/set_user_secrets'));
});

test('list_secrets shows the queues of those that have some', async () => {
  await using stub = await startStub(keeping());
  const { stdout } = await run('pbook', ['list_secrets'], stub.url);
  assert.match(stdout, /\n {4}TOKEN {3}: value \(queues Q1, Q2\)\n {4}key\.pem : AAECAwQF \(file, 6 bytes\)\n$/);
  assert.deepEqual(dataOf(await run('pbook', ['list_secrets', '--json'], stub.url)), [
    { name: 'TOKEN', kind: 'string', value: 'value', queues: ['Q1', 'Q2'] },
    { name: 'key.pem', kind: 'file', value: 'AAECAwQF' },
  ]);
});

test('list_secrets is refused rather than shown without queues when the server fails to tell them', async () => {
  await using stub = await startStub(keeping({ 'creds/list_user_secrets': () => no('later') }));
  const { status, stdout, stderr } = await run('pbook', ['list_secrets'], stub.url);
  assert.deepEqual([status, stdout, stderr], [1, '', 'ERROR : later\n']);
});

const NOTICES = {
  tls_queues: [
    { queue: 'Q1', since: '2026-03-02T08:00:00.000Z' },
    { queue: 'Q9', since: null },
  ],
  changes: [
    { at: '2026-03-02T08:00:00.000Z', queue: 'Q1', allow_tls_secrets: true, secrets: ['TOKEN', null] },
    { at: '2026-03-01T08:00:00.000Z', queue: 'Q2', allow_tls_secrets: false, secrets: ['___file___:old.pem'] },
  ],
};

test('list_secrets remarks on a secret that names a queue which gives it over TLS alone', async () => {
  await using stub = await startStub(keeping({ 'creds/get_queue_notices': () => ok(NOTICES) }));
  const { stdout } = await run('pbook', ['list_secrets'], stub.url);
  assert.match(stdout, /TOKEN +: value \(queues Q1, Q2; over TLS alone too on Q1 \(since 2026-03-02\)\)\n/);
  assert.match(stdout, /key\.pem +: \S+ \(file, 6 bytes\)\n/);
  const listed = dataOf(await run('pbook', ['list_secrets', '--json'], stub.url)) as { tls_queues?: string[] }[];
  assert.deepEqual(
    listed.map(({ tls_queues }) => tls_queues),
    [['Q1'], undefined],
  );
});

test('secret_history tells when a queue that the secrets name became weaker, or strong again', async () => {
  await using stub = await startStub(keeping({ 'creds/get_queue_notices': () => ok(NOTICES) }));
  const weaker =
    'WARNING : since 2026-03-02 08:00:00 (UTC) queue Q1 gives secrets over TLS alone too; TOKEN, (deleted since) name it\n';
  const strong =
    'WARNING : since 2026-03-01 08:00:00 (UTC) queue Q2 gives secrets sealed only again; old.pem names it\n';
  assert.equal((await run('pbook', ['secret_history'], stub.url)).stderr, strong + weaker);
  assert.equal((await run('pbook', ['secret_history', 'TOKEN'], stub.url)).stderr, weaker);
  assert.equal((await run('pbook', ['secret_history', 'key.pem'], stub.url)).stderr, '');
});
