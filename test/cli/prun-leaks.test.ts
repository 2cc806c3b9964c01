import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { checkCommandLine } from '../../src/cli/prun/command-check.ts';
import { findLeaks } from '../../src/cli/prun/leaked-secrets.ts';
import { createFinder } from '../../src/masking/finder.ts';
import { MAX_ARCHIVES_DEPTH } from '../../src/protocol/limits.ts';
import { type WireName, wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';
import { type Handler, no, ok, startStub } from '../client/stub-server.ts';
import { run } from './run.ts';
import { noTerminal, openTerminal } from './terminal.ts';

const VALUE = 'p@ss "wörd"/42+x';
const KEY = `-----BEGIN KEY-----\n${'MIIBVgIBADANBgkqhkiG9w0B\n'.repeat(20)}-----END KEY-----\n`;
const KEY_LINES = [
  'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj',
  'MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu',
];

async function leaksIn(secrets: Record<string, string>, files: Record<string, string | Uint8Array>) {
  return (await search(secrets, files)).leaks;
}

async function search(secrets: Record<string, string>, files: Record<string, string | Uint8Array>) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'leaks-test-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder.path, name), content);
  const named = Object.entries(secrets).map(([name, value]) => [name as WireName, new Plaintext(value)] as const);
  const finder = createFinder(named.map(([name, value]) => ({ name, value })));
  return await findLeaks({ names: named.map(([name]) => name), finder }, folder.path, Object.keys(files));
}

test('a value is found as it is and in the forms that it is often written in, with its file, line and name', async () => {
  const forms = {
    plain: VALUE,
    json: JSON.stringify({ password: VALUE }),
    url: `https://host/?p=${encodeURIComponent(VALUE)}`,
    base64: Buffer.from(`user:${VALUE}\n`).toString('base64'),
    base64url: Buffer.from(`me:${VALUE}`).toString('base64url'),
    hex: Buffer.from(VALUE).toString('hex'),
  };
  for (const [form, text] of Object.entries(forms)) {
    const found = await leaksIn(
      { TOKEN: VALUE, OTHER: 'not-to-be-found' },
      { clean: 'nothing', bad: `#\n\nx = ${text}\n` },
    );
    assert.deepEqual(found, [{ path: 'bad', line: 3, names: ['TOKEN'] }], form);
  }
});

test('a value is found in the name of a file, and in a file that is packed', async () => {
  const secrets = { TOKEN: 'hunter2hunter2' };
  const files = {
    'log-of-hunter2hunter2.txt': 'nothing',
    'a.gz': gzipSync('text\nx = hunter2hunter2\n'),
    'install.sh': Buffer.concat([Buffer.from('#!/bin/sh\n'), gzipSync('x = hunter2hunter2')]),
    'clean.gz': gzipSync('nothing'),
  };
  assert.deepEqual(await leaksIn(secrets, files), [
    { path: 'log-of-hunter2hunter2.txt', line: 'name', names: ['TOKEN'] },
    { path: 'a.gz', line: 'packed', names: ['TOKEN'] },
    { path: 'install.sh', line: 'packed', names: ['TOKEN'] },
  ]);
});

test('a value that a shell puts together from quoted pieces is found in a command', () => {
  const secrets = [{ name: wireName('T'), value: new Plaintext('correct-horse') }];
  const own = { names: [wireName('T')], finder: createFinder(secrets) };
  for (const command of ['run "cor"rect-horse', "run cor'rect'-horse", 'run cor\\rect-horse', `run ''correct"-"horse`])
    assert.throws(
      () => checkCommandLine({ exec: command, outDS: 'user.a.b', nJobs: 1 }, own, { allow: false }),
      /secret T/,
      command,
    );
  checkCommandLine({ exec: 'run "cor" rect-horse', outDS: 'user.a.b', nJobs: 1 }, own, { allow: false });
});

test('a file secret is found by its content, text or not, whole or encoded', async () => {
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 7919) % 251));
  const secrets = {
    [wireName('key.pem', 'file')]: Buffer.from(KEY).toString('base64'),
    [wireName('key.bin', 'file')]: bytes.toString('base64'),
  };
  assert.deepEqual(
    await leaksIn(secrets, {
      'a.pem': KEY,
      'b.bin': bytes,
      'c.b64': bytes.toString('base64'),
      d: 'MIIBVgIBADANBgkqhkiG9w0B',
    }),
    [
      { path: 'a.pem', line: 1, names: ['___file___:key.pem'] },
      { path: 'b.bin', line: 1, names: ['___file___:key.bin'] },
      { path: 'c.b64', line: 1, names: ['___file___:key.bin'] },
      { path: 'd', line: 1, names: ['___file___:key.pem'] },
    ],
  );
});

test('a file that is packed too deeply to be searched to its end is told', async () => {
  let packed: Uint8Array = Buffer.from(VALUE);
  for (let depth = 0; depth <= MAX_ARCHIVES_DEPTH; depth++) packed = gzipSync(packed);
  assert.deepEqual(await search({ TOKEN: VALUE }, { deep: packed, plain: 'nothing' }), { leaks: [], cut: ['deep'] });
});

test('a value that was stored with its line end is found without it', async () => {
  assert.equal((await leaksIn({ T: 'stored-by-echo\n' }, { f: 'x = "stored-by-echo"' })).length, 1);
});

test('what is too short or too common to be a secret raises no alarm', async () => {
  const secrets = {
    A: 'true',
    B: 'abc',
    C: '------',
    D: '',
  };
  assert.deepEqual(await leaksIn(secrets, { f: 'true abc ------' }), []);
  assert.deepEqual(await leaksIn({}, { f: 'x' }), []);
});

test('a program that names the kind of a Google key and its addresses holds no value of it, one with a line of the private key does', async () => {
  const [first = '', second = ''] = KEY_LINES;
  const secrets = {
    GOOGLE: JSON.stringify({
      type: 'service_account',
      project_id: 'my-project-123456',
      private_key_id: '0123456789abcdef0123456789abcdef01234567',
      private_key: `-----BEGIN PRIVATE KEY-----\n${first}\n${second}\n-----END PRIVATE KEY-----\n`,
      client_email: 'runner@my-project-123456.iam.gserviceaccount.com',
      auth_uri: 'https://accounts.google.com/o/oauth2/auth',
      token_uri: 'https://oauth2.googleapis.com/token',
      universe_domain: 'googleapis.com',
    }),
  };
  const program = `kind = "service_account"
project = "my-project-123456"
token_uri = "https://oauth2.googleapis.com/token"
auth = get("https://accounts.google.com/o/oauth2/auth", "googleapis.com")
`;
  const found = await leaksIn(secrets, {
    'clean.py': program,
    'line.py': `${program}key = "${second}"\n`,
    'id.py': `${program}id = "0123456789abcdef0123456789abcdef01234567"\n`,
    'whole.json': JSON.stringify({ credentials: secrets.GOOGLE }),
  });
  assert.deepEqual(found, [
    { path: 'line.py', line: 5, names: ['GOOGLE'] },
    { path: 'id.py', line: 5, names: ['GOOGLE'] },
    { path: 'whole.json', line: 1, names: ['GOOGLE'] },
  ]);
});

test('of many secrets those in a file are named, wherever they stand in it', async () => {
  const value = (n: number) => `value-number-${n}-of-many`;
  const secrets = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`S${n}`, value(n)]));
  const filler = 'x\n'.repeat(1_500_000);
  const [leak, ...more] = await leaksIn(secrets, { f: `${filler}${value(7)}${filler}${value(42)}`, empty: '' });
  assert.deepEqual([leak, more], [{ path: 'f', line: 1_500_001, names: ['S7', 'S42'] }, []]);
});

test('any value that can be masked is found in any text around it', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 40 });
  const value = fc
    .string({ unit: 'grapheme', minLength: 8, maxLength: 5000 })
    .filter((v) => /^\w{8}/.test(v) && v.isWellFormed());
  await fc.assert(
    fc.asyncProperty(value, text, text, async (secret, before, after) => {
      fc.pre(before.isWellFormed() && after.isWellFormed());
      assert.equal((await leaksIn({ S: secret }, { f: before + secret + after })).length, 1);
    }),
    { numRuns: 50 },
  );
});

const TIME = '2026-01-01T00:00:00Z';
const LISTED = {
  name: 'MY_TOKEN',
  kind: 'string',
  version: 1,
  size: 16,
  queues: null,
  created_at: TIME,
  updated_at: TIME,
};
const LINE = ['--exec', 'python3 my.py', '--outDS', 'user.adoe.test1', '--noBuild'];

test('prun names file and secret before it submits, never the value, and submits where nobody can be asked', async () => {
  await using stub = await startStub(
    accepting({ 'creds/get_user_secrets': () => ok(JSON.stringify({ MY_TOKEN: VALUE })) }),
  );
  for (const more of [[], ['--yes']]) {
    const { status, stdout, stderr } = await inFolder([...LINE, '--useSecrets', ...more], stub.url);
    assert.equal(status, 0);
    assert.match(stderr, /^WARNING : my\.py holds the value of your secret MY_TOKEN \(line 2\)\n.*--excludeFile/);
    assert.ok(!(stdout + stderr).includes('p@ss'));
    assert.ok(stub.seen.some(({ path }) => path === 'task/submit'));
  }
});

test('at a terminal prun asks, and a no keeps everything here', { skip: noTerminal }, async () => {
  await using stub = await startStub(
    accepting({ 'creds/get_user_secrets': () => ok(JSON.stringify({ MY_TOKEN: VALUE })) }),
  );
  using folder = folderWithValue();
  for (const [answer, status] of [
    ['n', 1],
    ['y', 0],
  ] as const) {
    await using terminal = openTerminal([...LINE, '--useSecrets'], stub.url, { program: 'prun', cwd: folder.path });
    await terminal.sees(/Submit all the same\?/);
    assert.ok(!stub.seen.some(({ path }) => path.startsWith('file_server/')), 'nothing is sent before the answer');
    terminal.type(`${answer}\r`);
    await terminal.sees(status === 1 ? /nothing was submitted/ : /new jediTaskID=10000001/);
    assert.equal(await terminal.status(), status);
  }
});

test('the files are searched without --useSecrets too, and a server that keeps no secrets is not asked in vain', async () => {
  await using stub = await startStub(
    accepting({ 'creds/get_user_secrets': () => ok(JSON.stringify({ MY_TOKEN: VALUE })) }),
  );
  assert.match((await inFolder(LINE, stub.url)).stderr, /my\.py holds the value of your secret MY_TOKEN/);
  await using without = await startStub(accepting({}));
  assert.deepEqual((await inFolder(LINE, without.url)).stderr, '');
});

test('a server that does not tell the values gets the task all the same, with a warning', async () => {
  await using stub = await startStub(accepting({ 'creds/get_user_secrets': () => no('not today') }));
  const { status, stderr } = await inFolder([...LINE, '--useSecrets'], stub.url);
  assert.deepEqual(
    [status, stderr],
    [0, 'WARNING : the command and the files were not searched for values of your secrets: not today\n'],
  );
});

test('a value of a secret in an option is refused before anything is sent, naming option and secret, never the value', async () => {
  const secrets = { MY_TOKEN: 'hunter2hunter2', CONFIG: '{"password": "inner-passw0rd-1", "user": "adoe"}' };
  await using stub = await startStub(accepting({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) }));
  const plain = ['--outDS', 'user.adoe.test1'];
  const cases: [option: string, secret: string, args: string[]][] = [
    ['exec', 'MY_TOKEN', ['--exec', 'sh j.sh --token hunter2hunter2', ...plain]],
    ['exec', 'MY_TOKEN', ['--exec=echo aHVudGVyMmh1bnRlcjI= | base64 -d', ...plain]],
    ['exec', 'CONFIG', ['--exec', 'login inner-passw0rd-1', ...plain]],
    ['outDS', 'MY_TOKEN', ['--exec', 'ls', '--outDS', 'user.adoe.hunter2hunter2']],
    ['outputs', 'MY_TOKEN', ['--exec', 'ls', ...plain, '--outputs', 'a.txt,hunter2hunter2.txt']],
    ['site', 'MY_TOKEN', ['--exec', 'ls', ...plain, '--site', 'hunter2hunter2']],
    ['excludeFile', 'MY_TOKEN', ['--exec', 'ls', ...plain, '--excludeFile', 'hunter2hunter2']],
  ];
  for (const [option, secret, args] of cases) {
    const { status, stdout, stderr } = await inFolder(args, stub.url);
    assert.equal(status, 1, args.join(' '));
    assert.match(
      stderr,
      new RegExp(`^ERROR : --${option} has the value of your secret ${secret}, .*--allowSecretInCommand`),
    );
    assert.doesNotMatch(stdout + stderr, /hunter2|aHVudGVy|inner-passw0rd/);
  }
  assert.ok(stub.seen.every(({ path }) => path === 'creds/get_user_secrets'));

  stub.seen.length = 0;
  const allowed = await inFolder([...(cases[0]?.[2] ?? []), '--allowSecretInCommand'], stub.url);
  assert.equal(allowed.status, 0);
  assert.match(allowed.stderr, /^WARNING : --exec has the value of your secret MY_TOKEN/);
  assert.equal(stub.seen.filter(({ path }) => path === 'creds/get_user_secrets').length, 1, 'one look at the secrets');
});

test('a secret that is the name of its user does not keep the user from naming a task', async () => {
  const name = wireName('LOGIN', 'string');
  const secrets = { names: [name], finder: createFinder([{ name, value: new Plaintext('longname') }]) };
  const check = (outDS: string) => checkCommandLine({ exec: 'ls', outDS, nJobs: 1 }, secrets, { allow: false });
  check('user.longname.test1');
  assert.throws(() => check('user.longname.longname'), /--outDS has the value of your secret LOGIN/);
});

async function inFolder(args: readonly string[], url: string) {
  using folder = folderWithValue();
  return await run('prun', args, url, { cwd: folder.path });
}

function folderWithValue() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'leaks-test-'));
  writeFileSync(join(folder.path, 'my.py'), `import os\ntoken = '${VALUE}'\n`);
  return folder;
}

function accepting(more: Record<string, Handler>): Record<string, Handler> {
  return {
    'creds/list_user_secrets': () => ok([LISTED]),
    'file_server/validate_cache_file': () => no('not found'),
    'file_server/upload_cache_file': () => ok(),
    'task/submit': () => ok(10000001, 'succeeded. new jediTaskID=10000001'),
    ...more,
  };
}
