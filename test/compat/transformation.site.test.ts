import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isEnvironmentName } from '../../src/protocol/names.ts';
import type { Entry } from '../pilot/archives.ts';
import { HOSTILE_ARCHIVES } from '../pilot/hostile-archives.ts';
import { openNode } from './node.ts';

const SCRIPT: Entry = { path: 'my_job.sh', content: 'echo "from the sandbox: $1"\n' };

test('a command runs in its sandbox, with its quotes and spaces, and its outputs are where the pilot looks', async (t) => {
  const node = await openNode(t);
  const { status, stdout } = await node.run({
    sandbox: [SCRIPT],
    command: `sh my_job.sh "it's 100% \\$HOME" && echo 'a  b' > out.txt && mkdir -p sub && echo c > sub/c.txt`,
    outputs: { 'out.txt': 'user.alice.1._000001.out.txt', 'sub/c.txt': 'user.alice.1._000001.c.txt' },
  });
  assert.deepEqual([status, stdout], [0, "from the sandbox: it's 100% $HOME\n"]);
  assert.deepEqual(await node.files(), ['user.alice.1._000001.c.txt', 'user.alice.1._000001.out.txt']);
  assert.equal(await readFile(join(node.directory, 'user.alice.1._000001.out.txt'), 'utf8'), 'a  b\n');
});

test('secrets are a JSON file, variables and files of the job, exactly as they were set, and gone at its end', async (t) => {
  const node = await openNode(t);
  const value = 'a=b $(touch x) `touch y` "q" \\ ü\nsecond line';
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
  const { status, stderr } = await node.run({
    secrets: { MY_SECRET: value, '___file___:key.bin': bytes.toString('base64'), 'not a variable': 'value-3' },
    sandbox: [{ path: 'panda_secrets.json', content: '{"MY_SECRET": "tried at home"}' }],
    command:
      'python3 -c \'import json, os; s = json.load(open("panda_secrets.json")); ' +
      'json.dump([s, os.environ["MY_SECRET"], open("key.bin", "rb").read().hex(), oct(os.stat("key.bin").st_mode), ' +
      'os.listdir(".")], open("seen", "w"))\'',
    outputs: { seen: 'seen.json' },
  });
  assert.deepEqual([status, stderr], [0, 'panda-secrets: the output "seen" holds a value of a secret\n']);
  const [secrets, variable, file, mode, listed] = JSON.parse(await readFile(join(node.directory, 'seen.json'), 'utf8'));
  assert.equal(secrets.MY_SECRET, value);
  assert.equal(variable, value);
  assert.deepEqual([file, mode], [bytes.toString('hex'), '0o100600']);
  assert.deepEqual(listed.sort(), ['key.bin', 'panda_secrets.json']);
  assert.deepEqual(await node.files(), ['seen.json']);
});

test('an output that holds a secret is told of, held back or fails the job, also where it is packed', async (t) => {
  const job = {
    secrets: { MY_SECRET: 'hunter2-correct-horse' },
    command:
      'echo fine > ok.txt; cp panda_secrets.json plain; tar czf t.tgz plain; ' +
      "python3 -c \"import zipfile, bz2; zipfile.ZipFile('z.zip', 'w', 8).write('plain'); " +
      "bz2.open('b.bz2', 'w').write(open('plain', 'rb').read())\"",
  };
  const outputs = { 'ok.txt': 'ok', plain: 'plain', 't.tgz': 'tgz', 'z.zip': 'zip', 'b.bz2': 'bz2' };
  const warned = await openNode(t);
  const told = await warned.run({ ...job, outputs });
  assert.equal(told.status, 0);
  assert.deepEqual(
    [...told.stderr.matchAll(/the output "(\S+)" holds a value of a secret\n/g)].map(([, name]) => name),
    ['plain', 't.tgz', 'z.zip', 'b.bz2'],
  );
  assert.deepEqual(await warned.files(), ['bz2', 'ok', 'plain', 'tgz', 'zip']);

  const held = await openNode(t);
  assert.equal((await held.run({ ...job, outputs, leakedOutputs: 'hold' })).status, 0);
  assert.deepEqual(await held.files(), ['ok']);

  const failed = await openNode(t);
  const { status, stderr } = await failed.run({ ...job, outputs, leakedOutputs: 'fail' });
  assert.deepEqual([status, stderr], [74, 'panda-secrets: the output "plain" holds a value of a secret\n']);
  assert.deepEqual(await failed.files(), []);
});

for (const [secretsAs, seen] of [
  ['json', ['value-1', null, false]],
  ['env', [null, 'value-1', false]],
  ['files', [null, null, true]],
  ['env,files', [null, 'value-1', true]],
] as const) {
  test(`a job that asked for its secrets as ${secretsAs} finds them so, and in no other form`, async (t) => {
    const node = await openNode(t);
    const { status, stdout, stderr } = await node.run({
      secretsAs,
      secrets: { MY_SECRET: 'value-1', '___file___:key': Buffer.from('value-2').toString('base64') },
      command:
        'python3 -c \'import json, os; f = "panda_secrets.json"; ' +
        'json.dump([json.load(open(f))["MY_SECRET"] if os.path.exists(f) else None, os.environ.get("MY_SECRET"), ' +
        'os.path.exists("key")], open("seen", "w"))\'; echo value-1',
      outputs: { seen: 'seen.json' },
    });
    assert.deepEqual([status, stdout], [0, '***\n'], stderr);
    assert.deepEqual(JSON.parse(await readFile(join(node.directory, 'seen.json'), 'utf8')), seen);
    assert.deepEqual(await node.files(), ['seen.json']);
  });
}

test('what a job prints of its secrets is masked, in the main forms, on both streams and across writes', async (t) => {
  const node = await openNode(t);
  const secret = 's3cr&t "wörd"/42';
  const pem = '-----BEGIN KEY-----\nMIIBVgIBADANBg\n-----END KEY-----\n';
  const { status, stdout, stderr } = await node.run({
    secrets: { A: secret, '___file___:key.pem': Buffer.from(pem).toString('base64') },
    sandbox: [
      {
        path: 'tell.py',
        content: `
import base64, json, os, sys, time, urllib.parse
a = os.environ['A']
b = a.encode()
for form in [a, json.dumps(a), repr(a), urllib.parse.quote(a), urllib.parse.quote_plus(a), b.hex()]:
    print('plain:', form)
for shift in range(3):
    print('base64:', base64.b64encode(b'x' * shift + b + b'y').decode())
sys.stdout.write('split: ' + a[:5]); sys.stdout.flush(); time.sleep(0.05); print(a[5:], 'end')
print('x' * 70000 + a + 'y' * 70000)
print(open('key.pem').read(), file=sys.stderr)
print('no line end', a, end='')
`,
      },
    ],
    command: 'python3 tell.py',
  });
  assert.equal(status, 0);
  for (const form of [secret, 'wörd', 'w%C3%B6rd', '77c3b6', 'w\\u00f6rd', 'MIIBVgIBADANBg']) {
    assert.ok(!stdout.includes(form) && !stderr.includes(form), form);
  }
  const lines = stdout.split('\n');
  assert.equal(lines.filter((line) => /^plain: ["']?\*\*\*["']?$/.test(line)).length, 6);
  assert.equal(lines.filter((line) => /^base64: .{0,4}\*\*\*.{0,4}$/.test(line)).length, 3);
  assert.ok(lines.includes('split: *** end'));
  assert.ok(lines.includes(`${'x'.repeat(70000)}***${'y'.repeat(70000)}`));
  assert.equal(lines.at(-1), 'no line end ***');
  assert.match(stderr, /^\*\*\*\n\*\*\*\n\*\*\*\n/);
});

test('a large secret does not slow down or break what a job prints', async (t) => {
  const node = await openNode(t);
  const large = Array.from({ length: 20_000 }, (_, line) => `hunter${line}hunter${line}x`).join('\n');
  const { status, stdout } = await node.run({
    secrets: { LARGE: large },
    command: 'for i in 1 2 3; do echo "hunter777hunter777x"; echo kept; done',
  });
  assert.deepEqual([status, stdout], [0, '***\nkept\n'.repeat(3)]);
});

test('the names that become variables are those of the protocol', async (t) => {
  const node = await openNode(t);
  const names = [
    'TOKEN',
    '_x',
    'lower',
    '1X',
    'a-b',
    'a b',
    'PATH',
    'LD_PRELOAD',
    'PYTHONPATH',
    'PANDA_X',
    'LC_ALL',
    'IFS',
    'OPTIND',
    'TAR_OPTIONS',
    'BASH_XTRACEFD',
    'PanDA_TaskID',
  ];
  const secrets = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
  const { stdout } = await node.run({
    secrets,
    command: 'python3 -c \'import os; print(*(n for n, v in os.environ.items() if v == "value of " + n))\'',
  });
  assert.deepEqual(stdout.trim().split(' ').sort(), names.filter(isEnvironmentName).sort());
});

test("a job does not get what leads to the pilot's own token", async (t) => {
  const node = await openNode(t);
  const { stdout } = await node.run({
    command: 'env',
    environment: { OIDC_AUTH_TOKEN: '/pilot/token', PANDA_AUTH_TOKEN: '/pilot/token', SITE: 'kept' },
  });
  assert.match(stdout, /SITE=kept/);
  assert.doesNotMatch(stdout, /pilot\/token/);
});

test('a file secret whose name is no plain file name is not written, and the log names it', async (t) => {
  const node = await openNode(t);
  const content = Buffer.from('evil').toString('base64');
  const names = ['../evil', 'panda_secrets.json', '.panda_secrets', 'odd'];
  const secrets = Object.fromEntries(
    names.map((name) => [`___file___:${name}`, name === 'odd' ? 'no base64!' : content]),
  );
  const { status, stdout, stderr } = await node.run({ secrets, command: 'ls -A; cat panda_secrets.json | tr a-z A-Z' });
  assert.deepEqual([status, stdout], [0, `panda_secrets.json\n${JSON.stringify(secrets).toUpperCase()}`]);
  assert.ok(stderr.startsWith(`panda-secrets: ${names.join(', ')}: not written as a file, `), stderr);
  assert.match(stderr, /: read panda_secrets.json\n$/);
  assert.deepEqual(await node.files(), []);
});

test('what the sandbox has under the name of a file secret gives way, a directory too, and the log says so', async (t) => {
  const node = await openNode(t);
  const content = Buffer.from('new key').toString('base64');
  const { stdout, stderr } = await node.run({
    secrets: { '___file___:k.pem': content, '___file___:folder': content },
    sandbox: [
      { path: 'k.pem', content: 'old key' },
      { path: 'folder/k.pem', content: 'old key' },
    ],
    command: 'cat k.pem folder | tr a-z A-Z',
  });
  assert.equal(stdout, 'NEW KEYNEW KEY');
  assert.equal(stderr, 'panda-secrets: k.pem, folder: of the sandbox gave way to the secret of that name\n');
});

test('the log names the secrets that the command gets in no form', async (t) => {
  const node = await openNode(t);
  const secrets = { 'a-b': 'value-1', GOOD: 'value-2', '___file___:key': 'dmFsdWUtMw==', LARGE: 'x'.repeat(200_000) };
  const { stderr } = await node.run({ secrets, secretsAs: 'env', command: 'echo $GOOD' });
  const instead = 'use --secretsAs with json, for panda_secrets.json';
  assert.deepEqual(stderr.split('\n'), [
    `panda-secrets: key: not given in any form that the job asked for: ${instead}`,
    `panda-secrets: a-b, LARGE: not given as an environment variable, having no name for one, no room there or a NUL: ${instead}`,
    '',
  ]);
});

test('variables follow the stack limit of the node', async (t) => {
  const node = await openNode(t);
  const secrets = { A: 'x'.repeat(100_000), B: 'y'.repeat(100_000) };
  const { stdout, stderr } = await node.run({
    secrets,
    command: 'printf %s "$A" | wc -c; printf %s "$B" | wc -c',
    stackKilobytes: 1024,
  });
  assert.equal(stdout, '100000\n0\n', stderr);
  assert.match(stderr, /^panda-secrets: B: not given as an environment variable/);
});

for (const [attack, sandbox] of Object.entries(HOSTILE_ARCHIVES)) {
  test(`a sandbox with ${attack} is refused, and nothing is written outside`, async (t) => {
    const node = await openNode(t);
    const { status, stderr, stdout } = await node.run({ sandbox, secrets: { A: 'value-1' }, command: 'echo ran' });
    assert.deepEqual([status, stdout], [65, '']);
    assert.match(stderr, /^panda-secrets: the sandbox has/);
    assert.deepEqual(await node.files(), []);
    assert.ok(!existsSync(join(dirname(node.directory), 'evil')) && !existsSync('/tmp/panda-evil'));
  });
}

test('a damaged sandbox, one that is not there and a command that is missing are said', async (t) => {
  const node = await openNode(t);
  const cases: [Parameters<typeof node.run>[0], number, RegExp][] = [
    [{ command: 'true', sandbox: Buffer.from('not an archive') }, 65, /cannot be unpacked/],
    [{ command: 'true', sandbox: gzipSync('nor this').subarray(0, 12) }, 65, /cannot be unpacked/],
    [{ command: 'true', runDirectory: '../..' }, 64, /outside the sandbox/],
    [{ command: 'true', runDirectory: 'none' }, 64, /no directory "none"/],
    [{ command: ' ' }, 64, /-p with the command is missing/],
    [{ command: 'true', outputs: { 'out.txt': 'x.out.txt' } }, 74, /output "out.txt" was not made/],
    [{ command: 'ln -s /etc/passwd out.txt', outputs: { 'out.txt': 'x.out.txt' } }, 74, /"out.txt" was not made/],
    [{ command: 'exit 7', outputs: { 'out.txt': 'x.out.txt' } }, 7, /^$/],
    [{ command: 'kill -9 $$' }, 137, /^$/],
  ];
  for (const [work, status, reason] of cases) {
    const ran = await node.run(work);
    assert.equal(ran.status, status, ran.stderr);
    assert.match(ran.stderr, reason);
    assert.doesNotMatch(ran.stderr, /Traceback/);
    assert.deepEqual(await node.files(), []);
  }
});

test('a transformation that is told to stop ends the job with all that it started, and leaves nothing', async (t) => {
  const node = await openNode(t);
  const { status } = await node.run({
    secrets: { A: 'value-1' },
    command: '(trap "" TERM; sleep 300) & echo started; wait',
    onOutput: (kill) => kill('SIGTERM'),
  });
  assert.equal(status, 143);
  assert.deepEqual(await node.files(), []);
});

test('signals that come again, also while it cleans up, keep nothing on the node', async (t) => {
  const node = await openNode(t);
  await node.run({
    secrets: { A: 'value-1' },
    command: 'mkdir many; cd many; seq 20000 | xargs touch; cp ../panda_secrets.json copy; echo done',
    onOutput: (kill) => {
      const again = setInterval(() => kill('SIGTERM'), 1);
      t.after(() => clearInterval(again));
    },
  });
  assert.deepEqual(await node.files(), []);
});

test('copies of secrets go that a job puts where it may not write any more, or deeper than Python follows', async (t) => {
  const node = await openNode(t);
  for (const command of [
    'mkdir closed; cp panda_secrets.json closed; chmod 500 closed .',
    `python3 -c "import os
for n in range(3000): os.mkdir('d'); os.chdir('d')
open('copy', 'w').write(os.environ['A'])"`,
  ]) {
    const { status, stderr } = await node.run({ secrets: { A: 'value-1' }, command });
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(await node.files(), []);
  }
});

test('a job makes no core files, in which its secrets would stay', async (t) => {
  const node = await openNode(t);
  const { stdout } = await node.run({ command: 'ulimit -c; ulimit -Hc' });
  assert.equal(stdout, '0\n0\n');
});

test('a sandbox comes over https alone, and from where the task says', async (t) => {
  const node = await openNode(t);
  const elsewhere = await node.run({ command: 'true', sourceUrl: 'http://panda.example.org' });
  assert.deepEqual([elsewhere.status, /over plain http/.test(elsewhere.stderr)], [64, true], elsewhere.stderr);
  const moved = await node.run({ command: 'true', movedTo: 'http://127.0.0.1:9/sandbox' });
  assert.deepEqual([moved.status, /HTTP Error 302/.test(moved.stderr)], [69, true], moved.stderr);
});

test('what a job leaves running ends with it', async (t) => {
  const node = await openNode(t);
  const { status, stdout } = await node.run({ command: 'sleep 300 & echo done' });
  assert.deepEqual([status, stdout], [0, 'done\n']);
});
