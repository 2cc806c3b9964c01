import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { dataOf, run } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';

const BYTES = Buffer.from([0, 255, 10, 27]);

test('get_secret prints a value as it is, and a file as its bytes', async () => {
  await using stub = await startSecretsStub({
    TOKEN: 'a\nb\u001b[2J',
    'a/b': 'no name of a file',
    '___file___:key.pem': BYTES.toString('base64'),
  });
  assert.equal((await run('pbook', ['get_secret', 'a/b'], stub.url)).stdout, 'no name of a file');
  assert.equal((await run('pbook', ['get_secret', 'TOKEN'], stub.url)).stdout, 'a\nb\u001b[2J');
  assert.equal((await run('pbook', ['get_secret', 'key.pem'], stub.url)).stdout, BYTES.toString('utf8'));
  assert.deepEqual(dataOf(await run('pbook', ['get_secret', 'key.pem', '--json'], stub.url)), {
    name: 'key.pem',
    kind: 'file',
    value: BYTES.toString('base64'),
  });
});

test('get_secret --output writes a file that its user alone can read, in place of one that was there', async () => {
  await using stub = await startSecretsStub({ '___file___:key.pem': BYTES.toString('base64') });
  using folder = mkdtempDisposableSync(join(tmpdir(), 'get-secret-'));
  const path = join(folder.path, 'key.pem');
  writeFileSync(path, 'before', { mode: 0o644 });
  chmodSync(path, 0o644);
  const { status, stdout } = await run('pbook', ['get_secret', 'key.pem', '--output', path], stub.url);
  assert.deepEqual([status, stdout], [0, `INFO : wrote key.pem to ${path} (4 bytes)\n`]);
  assert.deepEqual(readFileSync(path), BYTES);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder.path), ['key.pem']);
});

test('get_secret --output writes through no link, into no folder, and leaves nothing where it fails', async () => {
  await using stub = await startSecretsStub({ TOKEN: 'correct-horse' });
  using folder = mkdtempDisposableSync(join(tmpdir(), 'get-secret-'));
  mkdirSync(join(folder.path, 'folder'));
  symlinkSync(join(folder.path, 'elsewhere'), join(folder.path, 'link'));
  for (const place of ['folder', 'link', 'none/file']) {
    const { status, stderr } = await run(
      'pbook',
      ['get_secret', 'TOKEN', '--output', join(folder.path, place)],
      stub.url,
    );
    assert.notEqual(status, 0, place);
    assert.doesNotMatch(stderr, /correct-horse|fault/);
  }
  assert.deepEqual(readdirSync(folder.path).sort(), ['folder', 'link']);
});

test('a secret that is not there, and a command line that makes no sense, are refused', async () => {
  await using stub = await startSecretsStub({ A: 'b' });
  const unknown = await run('pbook', ['get_secret', 'TYPO'], stub.url);
  assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /you have no secret named TYPO/);
  for (const args of [[], ['A', 'B'], ['A', '--into', 'x']]) {
    assert.equal((await run('pbook', ['get_secret', ...args], stub.url)).status, 2, args.join(' '));
  }
});

test('list_secrets --names shows no value, and fetches none from a server that tells names alone', async () => {
  const told = { id: 'x', version: 1, size: 4, queues: ['Q1'], mask: null, created_at: '', updated_at: '' };
  await using stub = await startStub({
    'creds/list_user_secrets': () =>
      ok([
        { ...told, name: 'TOKEN', kind: 'string' },
        { ...told, name: 'key.pem', kind: 'file', queues: null },
      ]),
    'creds/get_user_secrets': () => ok('{"TOKEN": "correct-horse"}'),
    'creds/get_queue_notices': () => ok({ tls_queues: [], changes: [] }),
  });
  const shown = [
    '',
    '    Key     : Kind',
    '    ------- : -------------------',
    '    TOKEN   : string (queues Q1)',
    '    key.pem : file',
    '',
  ];
  const { stdout } = await run('pbook', ['list_secrets', '--names'], stub.url);
  assert.deepEqual(
    stdout.split('\n').map((line) => line.replace(/-{8,}$/, '-------------------')),
    shown,
  );
  assert.ok(!stub.seen.some(({ path }) => path === 'creds/get_user_secrets'));
  const setting = await run('pbook', ['list_secrets'], stub.url, { env: { PBOOK_LIST: 'names' } });
  assert.equal(setting.stdout, stdout);
  assert.match(
    (await run('pbook', ['list_secrets', '--full'], stub.url, { env: { PBOOK_LIST: 'names' } })).stdout,
    /correct-horse/,
  );
  assert.equal((await run('pbook', ['list_secrets'], stub.url, { env: { PBOOK_LIST: 'yes' } })).status, 2);
});

test('list_secrets --names shows none of the values of a server that tells names only with them', async () => {
  await using stub = await startSecretsStub({ TOKEN: 'correct-horse' });
  const { status, stdout } = await run('pbook', ['list_secrets', '--names'], stub.url);
  assert.equal(status, 0);
  assert.match(stdout, /TOKEN : string\n/);
  assert.doesNotMatch(stdout, /correct-horse/);
});
