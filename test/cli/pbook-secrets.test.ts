import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Handler, no, ok, type StubServer, startStub } from '../client/stub-server.ts';
import { programPath } from '../programs.ts';
import { dataOf, environment, run } from './run.ts';

test('set_secret sends what it is given and says OK', async () => {
  await using stub = await startStub(keeping());
  const { status, stdout, stderr } = await run('pbook', ['set_secret', 'MY_SECRET', 'random_string'], stub.url);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'INFO : OK\n', stderr: '' });
  assert.deepEqual(sent(stub), [{ key: 'MY_SECRET', value: 'random_string' }]);
});

test('values arrive literally', async () => {
  const values = [
    'a=b',
    '1,2',
    '123',
    'None',
    'True',
    '-5',
    '-h',
    '-----BEGIN PRIVATE KEY-----\nx\n',
    '-- x',
    '{"a": 1}',
    '',
  ];
  await using stub = await startStub(keeping());
  const outcomes = await Promise.all(values.map((value) => run('pbook', ['set_secret', 'K', value], stub.url)));
  assert.deepEqual([...new Set(outcomes.map(({ stdout }) => stdout))], ['INFO : OK\n']);
  assert.deepEqual(
    sent(stub)
      .map(({ value }) => value)
      .sort(),
    values.sort(),
  );
});

test('an unknown --word is an error that says how to store it, and -- stores it', async () => {
  await using stub = await startStub(keeping());
  const refused = await run('pbook', ['set_secret', 'K', '--pass=hidden'], stub.url);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^ERROR : unknown option "--pass".*put -- in front/);
  assert.doesNotMatch(refused.stderr, /hidden/);
  await run('pbook', ['set_secret', 'K', '--', '--pass=hidden'], stub.url);
  assert.deepEqual(sent(stub), [{ key: 'K', value: '--pass=hidden' }]);
});

test('- reads standard input byte for byte', async () => {
  await using stub = await startStub(keeping());
  const value = '\ufeffline one\r\n\0"$(x)" \u{1f511}\n';
  const { status, stderr } = await run('pbook', ['set_secret', 'K', '-'], stub.url, { input: value });
  assert.equal(status, 0);
  assert.match(stderr, /^WARNING : no line of K looks like a secret by itself/);
  assert.deepEqual(sent(stub), [{ key: 'K', value }]);
});

test('a line end after a one-line value is kept, with a warning', async () => {
  await using stub = await startStub(keeping());
  const { stderr } = await run('pbook', ['set_secret', 'K', '-'], stub.url, { input: 'long enough\n' });
  assert.match(stderr, /^WARNING : the line end after the value was kept/);
  assert.deepEqual(sent(stub), [{ key: 'K', value: 'long enough\n' }]);
});

test('standard input that is empty, no UTF-8 or too large stores nothing', async () => {
  await using stub = await startStub(keeping());
  const inputs: [input: string | Uint8Array, message: RegExp][] = [
    ['', /was empty/],
    [Uint8Array.of(0xff, 0xfe), /not UTF-8.*--file/],
    ['x'.repeat(1_024_001), /more than the 1024000 bytes/],
  ];
  for (const [input, message] of inputs) {
    const { status, stderr } = await run('pbook', ['set_secret', 'K', '-'], stub.url, { input });
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
  assert.deepEqual(sent(stub), []);
});

test('without VALUE and without a terminal there is nothing to ask', async () => {
  await using stub = await startStub(keeping());
  const { status, stderr } = await run('pbook', ['set_secret', 'K'], stub.url);
  assert.equal(status, 2);
  assert.match(stderr, /no VALUE/);
});

const noPython = spawnSync('python3', ['--version']).status !== 0;

test('at a terminal VALUE is asked for and not shown', {
  skip: noPython && 'no python3 to make a terminal with',
}, async () => {
  await using stub = await startStub(keeping());
  const { output, status } = await inTerminal(['set_secret', 'K'], 'Value of K', 'typed-value\r', stub.url);
  assert.equal(status, 0);
  assert.match(output, /INFO : OK/);
  assert.doesNotMatch(output, /typed-value/);
  assert.deepEqual(sent(stub), [{ key: 'K', value: 'typed-value' }]);
});

test('Ctrl-C at the question stores nothing', { skip: noPython && 'no python3 to make a terminal with' }, async () => {
  await using stub = await startStub(keeping());
  const { status } = await inTerminal(['set_secret', 'K'], 'Value of K', 'half\x03', stub.url);
  assert.equal(status, 130);
  assert.deepEqual(sent(stub), []);
});

test('at a terminal delete_all_secrets asks', { skip: noPython && 'no python3 to make a terminal with' }, async () => {
  await using stub = await startStub(keeping());
  await inTerminal(['delete_all_secrets'], 'Delete all', '\r', stub.url);
  assert.deepEqual(sent(stub), []);
  await inTerminal(['delete_all_secrets'], 'Delete all', 'y\r', stub.url);
  assert.deepEqual(sent(stub), [{ key: null, value: null }]);
});

test('a file is uploaded as base64 under the mark of a file, by either way to say so', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  const path = join(folder.path, 'key.bin');
  writeFileSync(path, Uint8Array.of(0, 255, 10));
  await using stub = await startStub(keeping());
  for (const args of [['--file', path], [`--file=${path}`], [path, 'is_file=True'], [path, 'True']]) {
    assert.equal((await run('pbook', ['set_secret', 'KEY', ...args], stub.url)).status, 0, args.join(' '));
  }
  assert.deepEqual(sent(stub), Array(4).fill({ key: '___file___:KEY', value: 'AP8K' }));
});

test('a file that is missing, a directory or too large is refused', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  await using stub = await startStub(keeping());
  const path = join(folder.path, 'file');
  writeFileSync(path, Buffer.alloc(768_000));
  assert.equal((await run('pbook', ['set_secret', 'K', '--file', path], stub.url)).status, 0);
  writeFileSync(path, Buffer.alloc(768_001));
  for (const [file, message] of [
    [path, /at most 768000 bytes/],
    [folder.path, /is a directory/],
    [`${path}.none`, /there is no such file/],
  ] as const) {
    const { status, stderr } = await run('pbook', ['set_secret', 'K', '--file', file], stub.url);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
  assert.equal(stub.seen.length, 1);
});

test('a command line that makes no sense is exit status 2 and sends nothing', async () => {
  await using stub = await startStub(keeping());
  const lines = [
    ['set_secret'],
    ['set_secret', 'K', 'two', 'words'],
    ['set_secret', 'K', 'v', '--file', 'f'],
    ['set_secret', 'K', '--file'],
    ['delete_secret'],
    ['delete_all_secrets'],
    ['list_secrets', 'ful=True'],
    ['list_secrets', '--ful'],
    ['set_secrt', 'K', 'v'],
  ];
  const outcomes = await Promise.all(lines.map((args) => run('pbook', args, stub.url)));
  for (const [place, { status, stdout, stderr }] of outcomes.entries()) {
    assert.deepEqual([lines[place], status, stdout], [lines[place], 2, '']);
    assert.match(stderr, /^ERROR : /);
  }
  assert.match(outcomes.at(-1)?.stderr ?? '', /set_secret/);
  assert.equal(stub.seen.length, 0);
});

test('a name that is not allowed is refused before anything is asked or sent', async () => {
  await using stub = await startStub(keeping());
  for (const name of ['a=b', '', 'a\nb', '___file___:x']) {
    const { status, stderr } = await run('pbook', ['set_secret', name, 'v'], stub.url);
    assert.equal(status, 1);
    assert.match(stderr, /^ERROR : a secret name may not/);
  }
  assert.equal(stub.seen.length, 0);
});

test('a value that no log can hide is stored with a warning', async () => {
  await using stub = await startStub(keeping());
  const { status, stdout, stderr } = await run('pbook', ['set_secret', 'K', '1'], stub.url);
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'INFO : OK\n' });
  assert.match(stderr, /^WARNING : the value of K is too short/);
});

test('set_secret says in one line which fields of a value stay visible in logs, and nothing when none does', async () => {
  await using stub = await startStub(keeping());
  const set = async (value: string) => (await run('pbook', ['set_secret', 'K', value], stub.url)).stderr;
  assert.equal(
    await set('{"user": "alice", "host": "db.example.org", "password": "tomatoes"}'),
    'Stays visible in the logs of jobs: host, user of K ("pbook masking K" tells more)\n',
  );
  assert.equal(await set('{"a_key": "a_value"}'), '');
});

test('masking tells how much of a secret is hidden, for which reason and of which fields, without any of its value', async () => {
  const secrets = { DB: '{"user": "alice", "host": "db.example.org", "password": "tomatoes", "x": "q7#Lm2"}' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  const { status, stdout } = await run('pbook', ['masking', 'DB'], stub.url);
  assert.equal(status, 0);
  const rows = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
  assert.deepEqual(rows, [
    ['DB'],
    ['In logs', 'Because', 'Parts', 'Fields'],
    rows[2],
    ['hidden', 'the whole value', '1'],
    ['hidden', 'under a telling name', '1', 'password'],
    ['hidden', 'not known to be harmless', '1'],
    ['visible', 'known to be harmless, or short', '2', 'host, user'],
    [''],
  ]);
  assert.doesNotMatch(stdout, /alice|example|tomatoes|q7#Lm2/);
  const [described] = dataOf(await run('pbook', ['masking', 'DB', '--json'], stub.url)) as [{ visible: object }];
  assert.deepEqual(described.visible, { fields: 2, names: ['host', 'user'] });
  const unknown = await run('pbook', ['masking', 'NONE'], stub.url);
  assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
});

test('list_secrets shows two columns as the manual page does', async () => {
  const secrets = { MY_SECRET_SER: '{"a_key": "a_value"}', MY_SECRET: 'random_string' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  const { status, stdout, stderr } = await run('pbook', ['list_secrets'], stub.url);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.equal(
    stdout,
    [
      '',
      '    Key           : Value',
      '    ------------- : --------------------',
      '    MY_SECRET     : random_string',
      '    MY_SECRET_SER : {"a_key": "a_value"}',
      '',
    ].join('\n'),
  );
});

test('long values are cut unless full=True', async () => {
  const value = '\u{1f511}'.repeat(60);
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify({ K: value })) });
  const cut = await run('pbook', ['list_secrets'], stub.url);
  assert.ok(cut.stdout.endsWith(` : ${'\u{1f511}'.repeat(50)}...\n`));
  for (const args of [['full=True'], ['--full'], ['True']]) {
    assert.ok((await run('pbook', ['list_secrets', ...args], stub.url)).stdout.endsWith(` : ${value}\n`));
  }
});

test('a file is listed without its mark', async () => {
  const secrets = { '___file___:KEY': 'AP8K', KEY: 'text' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  const { stdout } = await run('pbook', ['list_secrets'], stub.url);
  assert.match(stdout, / KEY : text\n {4}KEY : AP8K \(file, 3 bytes\)\n/);
});

test('a shown value cannot drive the terminal', async () => {
  const secrets = { K: '\x1b[2Jgone\r\nnext\u009b\u202e' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  const { stdout } = await run('pbook', ['list_secrets', 'full=True'], stub.url);
  assert.match(stdout, / K {3}: \\x1b\[2Jgone\\r\\nnext\\x9b\\u202e\n$/);
});

test('--json gives values whole and as they are', async () => {
  const secrets = { K: 'x'.repeat(100), '___file___:F': 'AP8K' };
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(JSON.stringify(secrets)) });
  assert.deepEqual(dataOf(await run('pbook', ['list_secrets', '--json'], stub.url)), [
    { name: 'K', kind: 'string', value: 'x'.repeat(100) },
    { name: 'F', kind: 'file', value: 'AP8K' },
  ]);
});

test('no secrets are said to be none', async () => {
  await using stub = await startStub({ 'creds/get_user_secrets': () => ok(null) });
  assert.equal((await run('pbook', ['list_secrets'], stub.url)).stdout, 'No secrets\n');
});

test('secrets are deleted by name, or all of them with --yes', async () => {
  await using stub = await startStub(keeping());
  assert.equal((await run('pbook', ['delete_secret', 'K'], stub.url)).stdout, 'INFO : OK\n');
  assert.equal((await run('pbook', ['delete_all_secrets', '--yes'], stub.url)).stdout, 'INFO : OK\n');
  assert.deepEqual(sent(stub), [
    { key: 'K', value: null },
    { key: null, value: null },
  ]);
});

test('a refusal of the server is shown without what could drive the terminal, and is exit status 1', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => no('no room\x1b[31m left') });
  const { status, stdout, stderr } = await run('pbook', ['set_secret', 'K', 'value'], stub.url);
  assert.deepEqual({ status, stdout, stderr }, { status: 1, stdout: '', stderr: 'ERROR : no room\\x1b[31m left\n' });
});

test('while it runs, the process list does not show the value', { skip: process.platform !== 'linux' }, async () => {
  let commandLine = '';
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await using stub = await startStub({
    'creds/set_user_secrets': async () => {
      await asked;
      return ok();
    },
  });
  const child = spawn(process.execPath, [programPath('pbook'), 'set_secret', 'K', 'value-to-hide'], {
    env: environment(stub.url),
  });
  while (stub.seen.length === 0) await new Promise(setImmediate);
  commandLine = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
  ask();
  await new Promise((resolve) => child.on('close', resolve));
  assert.match(commandLine, /^pbook/);
  assert.doesNotMatch(commandLine, /value-to-hide/);
});

test('bin/pbook is the program', { skip: process.platform === 'win32' }, () => {
  const { status, stdout } = spawnSync(join(import.meta.dirname, '../../bin/pbook'), ['--version'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('help tells about each command', async () => {
  const { status, stdout } = await run('pbook', ['help', 'set_secret'], 'http://127.0.0.1:1');
  assert.equal(status, 0);
  assert.match(stdout, /which other users of this machine can see/);
  assert.equal((await run('pbook', ['set_secret', '-h'], 'http://127.0.0.1:1')).stdout, stdout);
});

function keeping(): Record<string, Handler> {
  return { 'creds/set_user_secrets': () => ok() };
}

function sent(stub: StubServer): { key: string | null; value: string | null }[] {
  return stub.seen.map(({ body }) => JSON.parse(String(body)));
}

/** Runs pbook in a terminal and types when it asks. */
async function inTerminal(
  args: readonly string[],
  question: string,
  typed: string,
  url: string,
): Promise<{ output: string; status: number | null }> {
  const script = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
output = b''
typed = False
while True:
    try:
        chunk = os.read(terminal, 65536)
    except OSError:
        chunk = b''
    if not chunk:
        break
    output += chunk
    if not typed and sys.argv[1].encode() in output:
        typed = True
        os.write(terminal, sys.argv[2].encode())
sys.stdout.buffer.write(output)
sys.stdout.flush()
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))
`;
  const command = ['-c', script, question, typed, process.execPath, programPath('pbook'), ...args];
  const child = spawn('python3', command, { env: { ...environment(url), TERM: 'xterm' } });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { output, status };
}

test('a secret that does not exist is no deletion: it is named, and the exit status is 1', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok({ found: false }) });
  const said = {
    status: 1,
    stdout: '',
    stderr: 'ERROR : you have no secret named TYPO; "pbook list_secrets" lists them\n',
  };
  const { status, stdout, stderr } = await run('pbook', ['delete_secret', 'TYPO'], stub.url);
  assert.deepEqual({ status, stdout, stderr }, said);
  const prompt = await run('pbook', ['-c', "delete_secret('TYPO')"], stub.url);
  assert.deepEqual({ status: prompt.status, stdout: prompt.stdout, stderr: prompt.stderr }, said);
});

test('a name that no file of a job can have is refused for a file, before anything is read or sent', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok() });
  for (const name of ['../../x', 'a/key.pem', 'a\\b', '..', 'panda_secrets.json', '.panda_secrets']) {
    const { status, stderr } = await run('pbook', ['set_secret', name, '--file', '/no/such/file'], stub.url);
    assert.equal(status, 1, name);
    assert.match(stderr, /cannot be the name of a file in a job's directory/);
  }
  assert.deepEqual(stub.seen, []);
});

test('a name that reaches jobs in panda_secrets.json alone is said when it is set', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => ok() });
  using folder = mkdtempDisposableSync(join(tmpdir(), 'names-'));
  const file = join(folder.path, 'file');
  writeFileSync(file, 'correct-horse-battery');
  const said = async (...words: string[]) => {
    const { status, stderr } = await run('pbook', ['set_secret', ...words], stub.url);
    assert.equal(status, 0);
    return stderr;
  };
  const alone = (name: string) =>
    `WARNING : ${name} cannot be the name of an environment variable: it reaches jobs in panda_secrets.json alone\n`;
  for (const name of ['db-password', 'PATH', '1ST', 'PANDAID', 'TAR_OPTIONS', 'OPTIND']) {
    assert.equal(await said(name, 'correct-horse'), alone(name));
  }
  for (const words of [
    ['DB_PASSWORD', 'correct-horse'],
    ['db-key.pem', '--file', file],
  ]) {
    assert.equal(await said(...words), '');
  }
});
