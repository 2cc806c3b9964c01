import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { no, ok, startStub } from '../client/stub-server.ts';
import { CONFIG_FOLDER, run } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';

const NOWHERE = 'http://127.0.0.1:1';
const python = (code: string, url = NOWHERE) => run('pbook', ['-c', code], url);

test('-c runs Python with the commands as functions', async () => {
  await using stub = await startSecretsStub();
  const code = `
import json
for name in ('A', 'B'):
    print(set_secret(name, json.dumps({name: 1})))
set_secret(key='C', value='random_string')
delete_secret('B')
`;
  const { status, stdout, stderr } = await python(code, stub.url);
  const remark = (key: string) =>
    `Stays visible in the logs of jobs: 1 field of ${key} ("pbook masking ${key}" tells more)\n`;
  assert.deepEqual({ status, stderr }, { status: 0, stderr: remark('A') + remark('B') });
  assert.equal(stdout, 'INFO : OK\nNone\nINFO : OK\nNone\nINFO : OK\nINFO : OK\n');
  assert.deepEqual(Object.fromEntries(stub.secrets), { A: '{"A": 1}', C: 'random_string' });
});

test('a script on standard input runs the same', async () => {
  await using stub = await startSecretsStub({ A: 'x'.repeat(60), B: 'y' });
  const { status, stdout } = await run('pbook', [], stub.url, { input: 'list_secrets()\nlist_secrets(full=True)\n' });
  assert.equal(status, 0);
  assert.match(stdout, /A {3}: x{50}\.\.\.\n {4}B {3}: y\n[\s\S]*A {3}: x{60}\n/);
});

test('an uncaught error is a traceback on standard error and exit status 1, and what was printed before stays', async () => {
  const { status, stdout, stderr } = await run('pbook', [], NOWHERE, {
    input: 'print("before")\n1/0\nprint("after")\n',
  });
  assert.equal(status, 1);
  assert.equal(stdout, 'before\n');
  assert.equal(
    stderr,
    'Traceback (most recent call last):\n  File "<stdin>", line 2, in <module>\nZeroDivisionError: division by zero\n',
  );
});

test('the exit status is what sys.exit says, and 1 for a command that was refused', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => no('too many') });
  const cases: [code: string, status: number, stderr: string][] = [
    ['import sys; sys.exit(3)', 3, ''],
    ['exit()', 0, ''],
    ['import sys; sys.exit("the reason")', 1, 'the reason\n'],
    ['set_secret("K", "random_string")\nprint("goes on")', 1, 'ERROR : too many\n'],
  ];
  const outcomes = await Promise.all(cases.map(([code]) => python(code, stub.url)));
  assert.deepEqual(
    outcomes.map(({ status, stderr }) => [status, stderr]),
    cases.map(([, status, stderr]) => [status, stderr]),
  );
});

test('a value that is not a string is a TypeError that says how to convert it', async () => {
  const cases: [value: string, advice: RegExp][] = [
    ["b'x'", /not bytes: convert it with value\.decode\(\) .*base64/],
    ["{'a': 1}", /not dict: .*json\.dumps\(value\)/],
    ['[1]', /not list: .*json\.dumps\(value\)/],
    ['5', /not int: convert it with str\(value\)/],
    ['None', /not NoneType: .*delete_secret\(key\)/],
    ["open('README.md')", /not TextIOWrapper: read it first/],
    ["__import__('pathlib').Path('x')", /not PosixPath: add is_file=True/],
    ['3, is_file=True', /must be the path of a file, not int/],
  ];
  const code = cases.map(([value]) => `try: set_secret('K', ${value})\nexcept TypeError as e: print(e)\n`).join('');
  const { status, stdout } = await python(code);
  assert.equal(status, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, cases.length);
  cases.forEach(([, advice], index) => {
    assert.match(lines[index] ?? '', advice);
  });
});

test('a traceback of a wrong call shows the line of the user and nothing of pbook', async () => {
  const { stderr } = await python("def f():\n    set_secret('K', 5)\nf()");
  assert.match(stderr, /^Traceback [\s\S]*line 3, in <module>\n.*line 2, in f\nTypeError: the value of set_secret/);
  assert.doesNotMatch(stderr, /pbook>/);
});

test('neither a traceback nor a syntax error of a script shows a value', async () => {
  const scripts = ["set_secret('K', 'hunter2', 5, 6)", "set_secret('K', 'hunter2'", "set_secret('K', 'hunter2') x"];
  for (const { status, stderr } of await Promise.all(scripts.map((code) => python(code)))) {
    assert.equal(status, 1);
    assert.match(stderr, /Error: /);
    assert.doesNotMatch(stderr, /hunter2/);
  }
});

test("the user's own files are there under their paths, and the current folder", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  const bytes = Buffer.from('\0\xffa file that is long enough for a mask\n', 'latin1');
  writeFileSync(join(folder.path, 'some_binary_file'), bytes);
  await using stub = await startSecretsStub();
  const code = `
import base64, os
bin_file = open('some_binary_file', 'rb')
set_secret('MY_SECRET_BIN', base64.b64encode(bin_file.read()).encode())
bin_file.close()
os.mkdir('below'); os.chdir('below')
os.symlink('../some_binary_file', 'link')
with open('made', 'w') as f: f.write(os.getcwd())
set_secret('f', 'link', is_file=True)
set_secret('g', os.path.join(os.getcwd(), 'made'), True)
print(os.environ['PANDA_CONFIG_ROOT'])
`;
  const outcome = await run('pbook', ['-c', code], stub.url, { cwd: folder.path });
  assert.deepEqual(outcome, { status: 0, stdout: `INFO : OK\nINFO : OK\nINFO : OK\n${CONFIG_FOLDER}\n`, stderr: '' });
  const below = join(folder.path, 'below');
  assert.equal(readFileSync(join(below, 'made'), 'utf8'), below);
  assert.deepEqual(Object.fromEntries(stub.secrets), {
    MY_SECRET_BIN: bytes.toString('base64'),
    '___file___:f': bytes.toString('base64'),
    '___file___:g': Buffer.from(below).toString('base64'),
  });
});

test('base64 answers bytes that also have an encode, and are bytes in every other respect', async () => {
  const code = `
import base64
from base64 import urlsafe_b64encode
b = base64.b64encode(b'\\xff\\xfe')
print(b, b == b'//4=', isinstance(b, bytes), b.decode() == b.encode() == '//4=')
print(urlsafe_b64encode(b'\\xff').encode(), base64.b64decode(b), hash(b) == hash(b'//4='))
print(base64.b64encode.__name__, base64.b64encode(b'\\xff\\xfe', altchars=b'-_'))
`;
  const { stdout, stderr } = await python(code);
  assert.equal(stderr, '');
  assert.equal(stdout, "b'//4=' True True True\n_w== b'\\xff\\xfe' True\nb64encode b'__4='\n");
});

test('help tells about everything, a command by name or as it is, and about Python', async () => {
  const { stdout } = await python(
    "help(); help(set_secret); help('set_secret'); help('json'); help('nothing_of_that')",
  );
  assert.match(stdout, /list_secrets\(full=False\)[\s\S]*encode\(\), which gives text/);
  assert.equal(
    stdout.match(/set_secret\(key, value, is_file=False, queues=None, mask=None, expires=None, sealed=None\)\n/g)
      ?.length,
    2,
  );
  assert.match(stdout, /Help on package json[\s\S]*no command or module 'nothing_of_that'/);
});

test('commands on tasks return what they do in PanDA', async () => {
  const task = { jediTaskID: 10000001, status: 'running', taskName: 'user.adoe.x' };
  await using stub = await startStub({
    'task/get_tasks_detailed_info_since': () => ok([task]),
    'task/kill': ({ body }) => (JSON.parse(String(body)).task_id === 10000001 ? ok() : no('not yours')),
  });
  const code = `
print(kill(10000001), kill([10000001, 10000002]), kill('all'), show(format='json')[0]['status'])
print(show(10000001)[0]['taskName'])
try: kill('x')
except TypeError as e: print(e)
`;
  const { status, stdout } = await python(code, stub.url);
  assert.equal(status, 1);
  assert.match(stdout, /\[True\] \[True, False\] \[True\] running\n[\s\S]*\nuser.adoe.x\na task id is a number/);
});

test('input and standard input of the process belong to the code of -c', async () => {
  const code = 'import sys; print(input("? "), sys.stdin.read())';
  const { stdout } = await run('pbook', ['-c', code], NOWHERE, { input: 'one\ntwo' });
  assert.equal(stdout, '? one two\n');
});

test('two shells do not share their random numbers', async () => {
  const code = 'import random, tempfile, uuid; print(random.random(), uuid.uuid4(), tempfile.mktemp(), hash("x"))';
  const [first, second] = await Promise.all([python(code), python(code)]);
  const [one = [], two = []] = [first, second].map(({ stdout }) => stdout.trim().split(' ').slice(0, 3));
  assert.equal(one.length, 3);
  one.forEach((value, index) => {
    assert.notEqual(value, two[index]);
  });
});

test('a large output arrives whole at a slow reader', async () => {
  const { stdout } = await python('print("x" * 1_000_000)');
  assert.equal(stdout.length, 1_000_001);
});
