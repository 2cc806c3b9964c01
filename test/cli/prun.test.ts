import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Handler, no, ok, type StubServer, startStub, unsignedToken } from '../client/stub-server.ts';
import { dataOf, type RunOptions, run } from './run.ts';

const LINE = ['--exec', 'python3 my.py %RNDM:5', '--outDS', 'user.adoe.test1'];

test("prun packs, uploads and submits, and says what PanDA's prun says", async () => {
  await using stub = await startStub(accepting());
  const { status, stdout, stderr } = await prun(
    [...LINE, '--noBuild', '--nJobs', '3', '--outputs', 'a.txt,b.txt'],
    stub,
  );
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /^INFO : gathering files .*\nINFO : upload sandbox .*\nINFO : submit user\.adoe\.test1\/\n/);
  assert.ok(stdout.endsWith('\nINFO : succeeded. new jediTaskID=10000001\n'));
  assert.deepEqual(
    stub.seen.map(({ path }) => path),
    ['creds/get_user_secrets', 'file_server/validate_cache_file', 'file_server/upload_cache_file', 'task/submit'],
  );
  const task = submitted(stub);
  assert.equal(task['nEvents'], 3);
  assert.equal(task['sourceURL'], stub.url);
  assert.equal(task['vo'], 'panda');
  assert.match(JSON.stringify(task['jobParameters']), /"offset":5/);
  assert.match(String(stub.seen[2]?.body.subarray(0, 300)), /filename="jobO\.[0-9a-f-]{36}\.tar\.gz"/);
  assert.match(String(task['cliParams']), /^prun --exec "python3 my\.py %RNDM:5" --outDS user\.adoe\.test1/);
});

test('a secret that --secretsAs leaves out in every form is named, and a task of such alone is not submitted', async () => {
  const secrets = [
    { name: 'db-password', kind: 'string', size: 20 },
    { name: 'PATH', kind: 'string', size: 20 },
    { name: 'LARGE', kind: 'string', size: 200_000 },
    { name: 'TOKEN', kind: 'string', size: 20 },
    { name: 'key.pem', kind: 'file', size: 20 },
    { name: 'a/key.pem', kind: 'file', size: 20 },
  ];
  await using stub = await startStub({ ...accepting(), 'creds/list_user_secrets': () => ok(secrets) });
  const warnings = async (...more: string[]) => {
    const { status, stderr } = await prun([...LINE, '--yes', ...more], stub);
    return { status, stderr: stderr.split('\n').filter((line) => line !== '' && !line.includes('searched')) };
  };
  const lost = (name: string, forms: string, add: string) =>
    `WARNING : ${name} does not reach the jobs with --secretsAs ${forms}: add ${add}`;

  assert.deepEqual((await warnings('--useSecrets')).stderr, [], 'all are in panda_secrets.json');
  const all = await warnings('--useSecrets', '--secretsAs', 'env');
  assert.deepEqual(all.stderr, [
    lost('db-password', 'env', 'json'),
    lost('PATH', 'env', 'json'),
    lost('LARGE', 'env', 'json'),
    lost('key.pem', 'env', 'json or files'),
    lost('a/key.pem', 'env', 'json'),
  ]);
  const some = await warnings('--useSecrets=TOKEN,key.pem,a/key.pem', '--secretsAs', 'files');
  assert.deepEqual(
    [some.status, some.stderr],
    [0, [lost('TOKEN', 'files', 'json or env'), lost('a/key.pem', 'files', 'json')]],
  );

  const before = stub.seen.length;
  const none = await warnings('--useSecrets=db-password,key.pem', '--secretsAs', 'env');
  assert.equal(none.status, 1);
  assert.match(
    none.stderr.join(),
    /^ERROR : none of the secrets .*: db-password does .* add json; key\.pem does .* json or files$/,
  );
  const calls = stub.seen.slice(before).map(({ path }) => path);
  assert.deepEqual(calls, ['creds/get_user_secrets', 'creds/list_user_secrets'], 'nothing was sent');
});

test('--useSecrets without any secret says so', async () => {
  await using stub = await startStub({ ...accepting(), 'creds/list_user_secrets': () => ok([]) });
  const { status, stderr } = await prun([...LINE, '--useSecrets'], stub);
  assert.equal(status, 0);
  assert.match(stderr, /^WARNING : you have no secrets: jobs find \{\} in panda_secrets\.json$/m);
  assert.match(
    (await prun([...LINE, '--useSecrets', '--secretsAs', 'env'], stub)).stderr,
    /no secrets: jobs get none$/m,
  );
});

test('a sandbox that the server has is not uploaded again', async () => {
  await using stub = await startStub({
    ...accepting(),
    'file_server/validate_cache_file': () => ok(null, 'FOUND:https://cache.example.org:jobO.known.tar.gz'),
  });
  assert.equal((await prun(LINE, stub)).status, 0);
  assert.ok(!stub.seen.some(({ path }) => path.includes('upload')));
  assert.match(JSON.stringify(submitted(stub)), /-a jobO\.known\.tar\.gz/);
  assert.equal(submitted(stub)['sourceURL'], 'https://cache.example.org');
});

test('--useSecrets gives all secrets, =NAMES some, and no name stands in the command line that is kept', async () => {
  const secrets = [
    { name: 'TOKEN_A', kind: 'string' },
    { name: 'KEY_B', kind: 'file' },
    { name: 'OTHER', kind: 'string' },
  ];
  await using stub = await startStub({ ...accepting(), 'creds/list_user_secrets': () => ok(secrets) });
  await prun([...LINE, '--useSecrets'], stub);
  assert.equal(submitted(stub)['useSecrets'], true);
  assert.ok(!('secretNames' in submitted(stub)));
  for (const named of [['--useSecrets=TOKEN_A,KEY_B'], ['--useSecrets', 'TOKEN_A,KEY_B']]) {
    await prun([...LINE, ...named, '--noBuild'], stub);
    const { secretNames, useSecrets, cliParams } = submitted(stub);
    assert.deepEqual([useSecrets, secretNames], [true, ['TOKEN_A', '___file___:KEY_B']]);
    assert.match(String(cliParams), /--useSecrets --noBuild$/);
  }
});

test('a secret that does not exist is refused before anything is uploaded', async () => {
  await using stub = await startStub({ ...accepting(), 'creds/list_user_secrets': () => ok([]) });
  const { status, stderr } = await prun([...LINE, '--useSecrets=NONE'], stub);
  assert.equal(status, 1);
  assert.match(stderr, /no secret named NONE/);
  assert.deepEqual(
    stub.seen.map(({ path }) => path),
    ['creds/get_user_secrets', 'creds/list_user_secrets'],
  );
});

test('a server without the list of secrets refuses --useSecrets=NAMES instead of giving all', async () => {
  await using stub = await startStub(accepting());
  const { status, stderr } = await prun([...LINE, '--useSecrets=A'], stub);
  assert.equal(status, 1);
  assert.match(stderr, /does not know this call/);
});

test('options that make no sense are named, exit status 2, and nothing is sent', async () => {
  await using stub = await startStub(accepting());
  const lines: [args: string[], message: RegExp][] = [
    [['--exec', 'x', '--outds', 'user.adoe.t'], /unknown option '--outds'.*--outDS/],
    [['--outDS', 'user.adoe.t'], /--exec/],
    [['--exec', 'x'], /--outDS/],
    [[...LINE, '--bexec', 'make'], /--bexec: there is no build step/],
    [[...LINE, '--nJobs', '0'], /--nJobs.*from 1 to 10000/],
    [[...LINE, '--maxAttempt', '51'], /--maxAttempt.*from 1 to 50/],
    [[...LINE, 'stray'], /too many arguments/],
  ];
  for (const [args, message] of lines) {
    const { status, stdout, stderr } = await prun(args, stub);
    assert.deepEqual([args, status, stdout], [args, 2, '']);
    assert.match(stderr, message);
  }
  assert.equal(stub.seen.length, 0);
});

test("a name of outputs that is not the user's, and a token without a nickname, are refused", async () => {
  await using stub = await startStub(accepting());
  const foreign = await prun(['--exec', 'x', '--outDS', 'user.other.t'], stub);
  assert.equal(foreign.status, 1);
  assert.match(foreign.stderr, /must begin with "user\.adoe\."/);
  const env = { PANDA_AUTH_ID_TOKEN: unsignedToken({ preferred_username: undefined }) };
  assert.match((await prun(LINE, stub, { env })).stderr, /no preferred_username/);
  assert.deepEqual(stub.seen, [], 'nothing was sent');
});

test('a refused task is exit status 1 with the reason', async () => {
  await using stub = await startStub({ ...accepting(), 'task/submit': () => no('duplicate task name', 1) });
  const { status, stderr } = await prun(LINE, stub);
  assert.deepEqual({ status, stderr }, { status: 1, stderr: 'ERROR : duplicate task name\n' });
});

test('a link that leads out is left out with a warning', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'prun-test-'));
  symlinkSync('/etc/hostname', join(folder.path, 'host'));
  await using stub = await startStub(accepting());
  const { status, stderr } = await prun(LINE, stub, { cwd: folder.path });
  assert.equal(status, 0);
  assert.match(stderr, /^WARNING : host is a link that leads out/);
});

test('submitted from a home directory, the login and credentials stay there, and prun says so', async () => {
  using home = mkdtempDisposableSync(join(tmpdir(), 'prun-home-'));
  for (const [path, text] of Object.entries({
    '.pathena/.token': '{"id_token": "a.b.c"}',
    '.ssh/known_hosts': 'host',
    '.env': 'PASSWORD=x',
    'my.py': 'print()',
    'run.log': '',
    '.git/config': '',
  })) {
    mkdirSync(dirname(join(home.path, path)), { recursive: true });
    writeFileSync(join(home.path, path), text);
  }
  await using stub = await startStub(accepting());
  const args = [...LINE, '--excludeFile', '*.log', '--includeFile', '.env,.pathena'];
  const { stdout, stderr } = await prun(args, stub, { cwd: home.path, env: { HOME: home.path } });
  assert.match(stdout, /INFO : left out \.git\/, 1 that --excludeFile or \.prunignore name \(run\.log\)\n/);
  assert.match(stdout, /upload sandbox \(2 files/);
  assert.equal(
    stderr,
    'WARNING : .pathena/ (the folder of your login) is never packed: left out\n' +
      'WARNING : .ssh/known_hosts (SSH keys) is left out; --includeFile .ssh/known_hosts packs it\n',
  );
  const upload = stub.seen.find(({ path }) => path.includes('upload'))?.body ?? Buffer.alloc(0);
  const archive = gunzipSync(upload.subarray(upload.indexOf('\r\n\r\n') + 4, upload.lastIndexOf('\r\n--')));
  assert.ok(archive.includes('PASSWORD=x') && !archive.includes('id_token') && !archive.includes('known_hosts'));
});

test('each file with credentials that is left out is named, also where there are many', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'credentials-'));
  const names = Array.from({ length: 23 }, (_, index) => `.env.site${index + 10}`);
  for (const name of [...names, 'my.py']) writeFileSync(join(folder.path, name), 'print()');
  await using stub = await startStub(accepting());
  const { stderr } = await prun(LINE, stub, { cwd: folder.path });
  for (const name of names) assert.ok(stderr.includes(name), name);
  assert.match(
    stderr,
    /WARNING : 3 more with credentials are left out: \.env\.site30, \.env\.site31, \.env\.site32\n$/,
  );
});

test('what has the name of a file with secrets is told before it is submitted, a folder too', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'namesakes-'));
  for (const path of ['my.py', 'panda_secrets.json', 'key.pem/inside', 'sub/other']) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), 'print()');
  }
  const secrets = [
    { name: 'my.py', kind: 'file' },
    { name: 'other', kind: 'file' },
    { name: 'key.pem', kind: 'file' },
  ];
  await using stub = await startStub({ ...accepting(), 'creds/list_user_secrets': () => ok(secrets) });
  const told = async (...args: string[]) => {
    const { stderr } = await prun([...LINE, '--useSecrets', ...args], stub, { cwd: folder.path });
    return stderr.split('\n').flatMap((line) => /^WARNING : (.* has the name of .*)$/.exec(line)?.[1] ?? []);
  };
  assert.deepEqual(await told(), [
    "panda_secrets.json in this directory has the name of the file with a job's secrets: jobs find the secret there, not this",
    'my.py in this directory has the name of a file secret: jobs find the secret there, not this',
    'key.pem in this directory has the name of a file secret: jobs find the secret there, not this',
  ]);
  assert.deepEqual(await told('--secretsAs', 'env'), []);
});

test('--json prints the task for a program to read, and nothing else', async () => {
  await using stub = await startStub(accepting());
  const submission = dataOf(await prun([...LINE, '--json'], stub));
  const { jediTaskID, sandbox } = submission as { jediTaskID: number; sandbox: string };
  assert.equal(jediTaskID, 10000001);
  assert.match(sandbox, /^jobO\./);
});

test('--site, --maxAttempt, limits, --vo and a role reach the task', async () => {
  await using stub = await startStub(accepting());
  await prun([...LINE, '--site', 'Q', '--maxAttempt', '5', '--maxWalltime', '2', '--memory', '500'], stub, {
    env: { PANDA_AUTH_VO: 'atlas:production' },
  });
  const { site, maxAttempt, maxWalltime, ramCount, vo } = submitted(stub);
  assert.deepEqual([site, maxAttempt, maxWalltime, ramCount, vo], ['Q', 5, 2, 500, 'atlas']);
  await prun([...LINE, '--vo', 'other'], stub);
  assert.equal(submitted(stub)['vo'], 'other');
});

function accepting(): Record<string, Handler> {
  return {
    'creds/get_user_secrets': () => ok('{}'),
    'file_server/validate_cache_file': () => no('not found'),
    'file_server/upload_cache_file': () => ok(),
    'task/submit': () => ok(10000001, 'succeeded. new jediTaskID=10000001'),
  };
}

function submitted(stub: StubServer): Record<string, unknown> {
  const body = stub.seen.findLast(({ path }) => path === 'task/submit')?.body;
  return JSON.parse(String(body)).task_parameters;
}

async function prun(args: readonly string[], stub: StubServer, options: RunOptions = {}) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'prun-test-'));
  writeFileSync(join(folder.path, 'my.py'), 'print()');
  return await run('prun', args, stub.url, { cwd: folder.path, ...options });
}

test('--site is checked before anything is packed or uploaded, in the words of a submission', async () => {
  await using stub = await startStub({
    ...accepting(),
    'task/check_site': () => no('site: there is no queue "TYPO"; the queues are default'),
  });
  const { status, stdout, stderr } = await prun([...LINE, '--site', 'TYPO'], stub);
  assert.deepEqual([status, stdout], [1, '']);
  assert.equal(stderr, 'ERROR : site: there is no queue "TYPO"; the queues are default\n');
  assert.ok(!stub.seen.some(({ path }) => path.startsWith('file_server/')));
});

test('what is wrong with an option is said before the secrets are fetched', async () => {
  await using stub = await startStub(accepting());
  for (const args of [
    ['--exec', 'true', '--outDS', 'user.somebody_else.x'],
    ['--exec', 'true', '--outDS', 'user.adoe.test1', '--outputs', '*.txt'],
  ]) {
    assert.equal((await prun(args, stub)).status, 1);
  }
  assert.deepEqual(stub.seen, []);
});

test('what is left out of the sandbox is said: by name, and pipes as well', {
  skip: process.platform === 'win32',
}, async () => {
  await using stub = await startStub(accepting());
  using folder = mkdtempDisposableSync(join(tmpdir(), 'prun-left-out-'));
  for (const name of ['kept.py', 'a.log', 'b.log']) writeFileSync(join(folder.path, name), '');
  execFileSync('mkfifo', [join(folder.path, 'pipe')]);
  const { stdout, stderr } = await prun([...LINE, '--excludeFile', '*.log'], stub, { cwd: folder.path });
  assert.match(stdout, /INFO : left out 2 that --excludeFile or \.prunignore name \(a\.log, b\.log\)\n/);
  assert.match(stderr, /WARNING : pipe is a pipe, a socket or a device: left out\n/);
});
