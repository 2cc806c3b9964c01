import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { livingProcesses } from '../../src/payload/processes.ts';
import { temporaryFolder, until } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { environment, type RunOptions, run } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';
import { noTerminal, openTerminal } from './terminal.ts';

const VALUE = 'fp4w-Kd93-xyzzy';
const KEY = Buffer.from('-----BEGIN KEY-----\nqv83HdkkU2\n-----END KEY-----\n');
const SECRETS = { TOKEN: VALUE, 'no-variable': 'Zx81-and-more', '___file___:my_key.pem': KEY.toString('base64') };

/** `pbook run` in a folder of its own, to its end. */
async function runIn(t: TestContext, args: readonly string[], options: RunOptions & { secrets?: object } = {}) {
  const { secrets = SECRETS, cwd = await temporaryFolder(t), ...rest } = options;
  await using stub = await startSecretsStub({ ...secrets });
  return { ...(await run('pbook', ['run', ...args], stub.url, { ...rest, cwd })), cwd };
}

/** `pbook run` that goes on; what it printed so far, and its folder. */
async function start(t: TestContext, args: readonly string[], { cwd }: { cwd?: string } = {}) {
  const folder = cwd ?? (await temporaryFolder(t));
  const stub = await startSecretsStub(SECRETS);
  t.after(() => stub[Symbol.asyncDispose]());
  const [node, ...words] = programWords('pbook');
  const child = spawn(node, [...words, 'run', ...args], { cwd: folder, env: environment(stub.url) });
  t.after(() => child.kill('SIGKILL'));
  const printed = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    printed.err += text;
  });
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...end) => resolve(end)),
  );
  return { child, printed, ended, folder };
}

const isAlive = (pid: number) => livingProcesses().some((process) => process.pid === pid);

test('a command finds secrets as a job does, prints them masked, and leaves nothing', async (t) => {
  const script = `
cat panda_secrets.json; echo
echo "$TOKEN" >&2; cat my_key.pem
[ "$TOKEN" = ${VALUE.slice(0, 5)}"${VALUE.slice(5)}" ] && cmp my_key.pem "$(dirname "$PANDA_SECRETS_FILE")/my_key.pem" && echo the same
dirname "$PANDA_SECRETS_FILE"; stat -L -c %a panda_secrets.json; cp -P panda_secrets.json kept-link; python3 -c '
import json; print(sorted(json.load(open("panda_secrets.json"))))'; pwd`;
  const { status, stdout, stderr, cwd } = await runIn(t, ['--', 'sh', '-c', script]);
  assert.equal(status, 0);
  assert.equal(stderr, '***\n');
  const lines = stdout.split('\n');
  assert.equal(lines[0], '{"TOKEN":"***","___file___:my_key.pem":"***","no-variable":"***"}');
  assert.deepEqual(lines.slice(-6), [
    'the same',
    lines.at(-5),
    '600',
    "['TOKEN', '___file___:my_key.pem', 'no-variable']",
    cwd,
    '',
  ]);
  for (const text of [VALUE, 'qv83HdkkU2', 'Zx81-and-more']) assert.ok(!stdout.includes(text));
  assert.deepEqual(readdirSync(cwd), ['kept-link']);
  const folder = dirname(readlinkSync(join(cwd, 'kept-link')));
  assert.match(folder, /^\/dev\/shm\/panda-pilot-/);
  assert.ok(!existsSync(dirname(folder)));
});

test('only the named secrets come, in the asked forms; one that is not there starts nothing', async (t) => {
  const args = [
    '--secrets',
    'TOKEN',
    '--secretsAs',
    'env',
    '--',
    'sh',
    '-c',
    'echo "[$TOKEN]" $PANDA_SECRETS_FILE; ls',
  ];
  assert.deepEqual(await shown(runIn(t, args)), { status: 0, stdout: '[***]\n', stderr: '' });
  const missing = await shown(runIn(t, ['--secrets', 'TOKEN,NO_SUCH', '--', 'touch', 'started']));
  assert.equal(missing.status, 125);
  assert.match(missing.stderr, /you have no secret named NO_SUCH/);
  const wrong = await shown(runIn(t, ['--secretsAs', 'paper', '--', 'touch', 'started']));
  assert.equal(wrong.status, 2);
});

async function shown(running: ReturnType<typeof runIn>) {
  const { status, stdout, stderr, cwd } = await running;
  assert.deepEqual(readdirSync(cwd), []);
  return { status, stdout, stderr };
}

test('options and dashes behind the command are its own, and it reads standard input', async (t) => {
  const { stdout } = await runIn(t, ['--secrets=TOKEN', 'printf', '%s|', '--json', '--', '-x', '$TOKEN', ''], {});
  assert.equal(stdout, '--json|--|-x|$TOKEN||');
  assert.equal((await runIn(t, ['--', 'cat'], { input: `in: ${VALUE}` })).stdout, 'in: ***');
});

test('the exit status and the signal are those of the command', async (t) => {
  assert.equal((await runIn(t, ['--', 'sh', '-c', 'exit 37'])).status, 37);
  assert.equal((await runIn(t, ['--', 'no-such-command'])).status, 127);
  assert.equal((await runIn(t, ['--', '/etc/passwd'])).status, 126);
  const { ended } = await start(t, ['--', 'sh', '-c', 'kill -USR2 $$']);
  assert.deepEqual(await ended, [null, 'SIGUSR2']);
});

test('a signal reaches the command, which decides what becomes of it', async (t) => {
  const script =
    'trap "echo got USR1" USR1; trap "echo got TERM; exit 5" TERM; echo ready; while :; do sleep 0.05; done';
  const { child, printed, ended, folder } = await start(t, ['--', 'sh', '-c', script]);
  await until(
    () => printed.out,
    (out) => out.includes('ready'),
  );
  child.kill('SIGUSR1');
  await until(
    () => printed.out,
    (out) => out.includes('got USR1'),
  );
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [5, null]);
  assert.deepEqual(readdirSync(folder), []);
});

test('a value that comes in pieces is masked, and other output comes at once', async (t) => {
  const script = `printf ${VALUE.slice(0, 6)}; sleep 0.2; printf '${VALUE.slice(6)}\\n'; printf 'name? '; read x; echo "<$x>"`;
  const { child, printed, ended } = await start(t, ['--', 'sh', '-c', script]);
  await until(
    () => printed.out,
    (out) => out === '***\nname? ',
  );
  child.stdin.end('me\n');
  await ended;
  assert.equal(printed.out, '***\nname? <me>\n');
});

test('a command whose output nobody reads any longer ends as without pbook, and leaves nothing', async (t) => {
  const { child, ended, folder } = await start(t, ['--', 'yes']);
  child.stdout.once('data', () => child.stdout.destroy());
  // As a shell has SIGPIPE, which Node does not end by.
  assert.deepEqual(await ended, [141, null]);
  assert.deepEqual(readdirSync(folder), []);
});

test('a command may close its output, and is ended in its time while nobody reads', async (t) => {
  assert.equal((await runIn(t, ['--', 'sh', '-c', 'exec >&- 2>&-; sleep 0.1; exit 3'])).status, 3);
  const { child, ended, folder } = await start(t, ['--', 'yes']);
  child.stdout.pause();
  await until(
    () => readdirSync(folder),
    (names) => names.length > 0,
  );
  child.kill('SIGTERM');
  child.stdout.resume();
  assert.deepEqual(await ended, [null, 'SIGTERM']);
});

test('processes that a command leaves behind end with it', async (t) => {
  const script =
    'setsid sh -c "echo \\$\\$ > pid; exec sleep 100" > /dev/null 2>&1 & while [ ! -s pid ]; do sleep 0.01; done; cat pid';
  const { status, stdout } = await runIn(t, ['--', 'sh', '-c', script]);
  assert.equal(status, 0);
  assert.ok(!isAlive(Number(stdout)));
});

test('after kill -9 the files, the links and the command go', async (t) => {
  const { child, printed, folder } = await start(t, ['--', 'sh', '-c', 'echo $$ $PANDA_SECRETS_FILE; exec sleep 1000']);
  const [, pid = '', file = ''] = await until(
    () => /^(\d+) (.+)\n/.exec(printed.out) ?? [],
    (found) => found.length > 0,
  );
  assert.ok(existsSync(file));
  child.kill('SIGKILL');
  await until(
    () => isAlive(Number(pid)),
    (alive) => !alive,
  );
  await until(
    () => existsSync(dirname(dirname(file))),
    (there) => !there,
  );
  assert.deepEqual(readdirSync(folder), []);
});

test('after kill -9 of all of it the next run in the folder cleans up', async (t) => {
  const first = await start(t, ['--', 'sh', '-c', 'echo $PANDA_SECRETS_FILE; exec sleep 100']);
  await until(
    () => first.printed.out,
    (out) => out.endsWith('\n'),
  );
  const file = first.printed.out.trim();
  const own = dirname(dirname(file));
  for (const { pid, parent } of livingProcesses()) {
    if (parent === first.child.pid && commandLine(pid).includes(own)) process.kill(pid, 'SIGKILL');
  }
  first.child.kill('SIGKILL');
  await first.ended.catch(() => {});
  assert.ok(existsSync(file));
  const second = await runIn(t, ['--', 'cat', 'panda_secrets.json'], { cwd: first.folder });
  assert.equal(second.status, 0, second.stderr);
  assert.ok(!existsSync(own));
  assert.deepEqual(readdirSync(first.folder), []);
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test("nothing of the user's own gives way, and a second run in one folder is told of the first", async (t) => {
  const cwd = await temporaryFolder(t);
  writeFileSync(join(cwd, 'my_key.pem'), 'another one');
  const refused = await runIn(t, ['--', 'touch', 'started'], { cwd });
  assert.equal(refused.status, 125);
  assert.match(refused.stderr, /my_key\.pem is in this folder already/);
  assert.deepEqual(readdirSync(cwd), ['my_key.pem']);
  const apart = await runIn(t, ['--noLinks', '--', 'sh', '-c', 'ls; ls "$(dirname "$PANDA_SECRETS_FILE")"'], { cwd });
  assert.equal(apart.stdout, 'my_key.pem\nmy_key.pem\npanda_secrets.json\n');
  writeFileSync(join(cwd, 'my_key.pem'), KEY);
  const { printed, child, ended } = await start(t, ['--', 'sh', '-c', 'echo on; exec sleep 100'], { cwd });
  await until(
    () => printed.out,
    (out) => out === 'on\n',
  );
  const second = await runIn(t, ['--', 'true'], { cwd });
  assert.equal(second.status, 125);
  assert.match(second.stderr, /panda_secrets\.json in this folder is of another "pbook run"/);
  assert.ok(lstatSync(join(cwd, 'panda_secrets.json')).isSymbolicLink());
  child.kill();
  await ended;
  assert.deepEqual(readdirSync(cwd), ['my_key.pem']);
  const elsewhere = `/dev/shm/panda-pilot-${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}/on-another-node/panda_secrets.json`;
  symlinkSync(elsewhere, join(cwd, 'panda_secrets.json'));
  assert.match((await runIn(t, ['--', 'true'], { cwd })).stderr, /\(on another-node\)/);
});

test("a file of the command's own with the name of a secret stays", async (t) => {
  const { cwd } = await runIn(t, ['--', 'sh', '-c', 'echo mine > new && mv new my_key.pem']);
  assert.equal(readFileSync(join(cwd, 'my_key.pem'), 'utf8'), 'mine\n');
});

test('no value is in arguments, the environment or a file of pbook itself, whose memory is closed', async (t) => {
  const { printed, child, folder } = await start(t, ['--', 'sh', '-c', 'echo on; exec sleep 100']);
  await until(
    () => printed.out,
    (out) => out === 'on\n',
  );
  const pid = Number(child.pid);
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size\s+0\s+0/m);
  for (const each of livingProcesses().filter(({ parent }) => parent === pid)) {
    assert.match(readFileSync(`/proc/${each.pid}/limits`, 'utf8'), /^Max core file size\s+0\s+0/m);
    assert.ok(!commandLine(each.pid).includes(VALUE));
  }
  assert.ok(!commandLine(pid).includes(VALUE));
  // Who is root may read it all the same; for others the kernel has given it to root.
  assert.equal(lstatSync(`/proc/${pid}/environ`).uid, 0);
  assert.deepEqual(readdirSync(folder).sort(), ['my_key.pem', 'panda_secrets.json']);
  for (const name of readdirSync(folder)) assert.ok(lstatSync(join(folder, name)).isSymbolicLink());
});

test('a token comes from a file where nothing else has one', async (t) => {
  const cwd = await temporaryFolder(t);
  const token = join(await temporaryFolder(t), 'token');
  const env = { PANDA_AUTH_ID_TOKEN: '' };
  const none = await runIn(t, ['--token-file', token, '--', 'true'], { cwd, env });
  assert.equal(none.status, 125);
  assert.match(none.stderr, /--token-file: .* cannot be read \(ENOENT\)/);
  writeFileSync(token, environment('')['PANDA_AUTH_ID_TOKEN'] ?? '', { mode: 0o600 });
  const { status, stdout, stderr } = await runIn(t, ['--token-file', token, '--', 'sh', '-c', 'echo "$TOKEN"; env'], {
    cwd,
    env,
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^\*\*\*\n/);
  assert.doesNotMatch(stdout, /OIDC_AUTH_TOKEN_FILE/);
});

test('a sealed secret opens with the key of the user, and is not left out in silence', async (t) => {
  const config = await temporaryFolder(t);
  await using stub = await startSecretsStub({ PLAIN: VALUE });
  const pbook = (args: string[], folder = config) =>
    run('pbook', args, stub.url, { env: { PANDA_CONFIG_ROOT: folder }, cwd: config });
  assert.equal((await pbook(['keys', 'init', '--yes'])).status, 0);
  assert.equal((await pbook(['set_secret', 'SEALED', 'Sealed-qk83-value'])).status, 0);
  const command = ['--', 'sh', '-c', 'echo "$SEALED" $(printf %s "$SEALED" | wc -c)'];
  assert.equal((await pbook(['run', ...command])).stdout, '*** 17\n');
  const other = await temporaryFolder(t);
  const without = await pbook(['run', ...command], other);
  assert.deepEqual([without.status, without.stdout], [0, ' 0\n']);
  assert.match(without.stderr, /left out: SEALED: sealed, and this device has no key/);
  const named = await pbook(['run', '--secrets', 'SEALED', ...command], other);
  assert.deepEqual([named.status, named.stdout], [125, '']);
  stub.secrets.set('SEALED', 'put there by the server');
  const replaced = await pbook(['run', ...command]);
  assert.deepEqual([replaced.status, replaced.stdout], [125, '']);
  assert.match(replaced.stderr, /SEALED: not what you sealed/);
});

test('nothing that a server puts beside sealed secrets reaches a command', async (t) => {
  const config = await temporaryFolder(t);
  await using stub = await startSecretsStub();
  const pbook = (...args: string[]) =>
    run('pbook', args, stub.url, { env: { PANDA_CONFIG_ROOT: config }, cwd: config });
  assert.equal((await pbook('keys', 'init', '--yes')).status, 0);
  assert.equal((await pbook('set_secret', 'SEALED', 'Sealed-qk83-value')).status, 0);
  stub.secrets.set('GIT_SSH_COMMAND', 'sh -c id');
  stub.secrets.set('___file___:json.py', Buffer.from('import os').toString('base64'));
  const look = [
    '--',
    'sh',
    '-c',
    'ls *.*; echo "$GIT_SSH_COMMAND" $(printf %s "$SEALED" | wc -c); cat panda_secrets.json',
  ];
  const all = await pbook('run', ...look);
  assert.deepEqual([all.status, all.stdout], [0, 'panda_secrets.json\n 17\n{"SEALED":"***"}'], all.stderr);
  assert.match(all.stderr, /left out: GIT_SSH_COMMAND, json\.py: not sealed/);
  const both = await pbook('run', '--secrets', 'SEALED,GIT_SSH_COMMAND', ...look);
  assert.deepEqual([both.status, both.stdout], [125, '']);
  assert.match(both.stderr, /SEALED: sealed, and GIT_SSH_COMMAND is not: .* never both/);
  assert.equal((await pbook('run', '--secrets', 'GIT_SSH_COMMAND', ...look)).status, 0);
  stub.secrets.delete('SEALED');
  const withheld = await pbook('run', ...look);
  assert.deepEqual([withheld.status, withheld.stdout], [125, '']);
  assert.match(withheld.stderr, /SEALED was sealed on this device, and the server has it no more/);
});

test('at a terminal Ctrl-C is for the command, once, and what it prints there is masked', {
  skip: noTerminal,
}, async (t) => {
  await using stub = await startSecretsStub(SECRETS);
  const script = `
import os, signal, time
count = 0
def interrupted(*about):
    global count
    count += 1
signal.signal(signal.SIGINT, interrupted)
print('ready', flush=True)
while count == 0: time.sleep(0.01)
time.sleep(0.5)
print('seen', count, os.environ['TOKEN'])`;
  await using terminal = openTerminal(['run', '--', 'python3', '-c', script], stub.url, {
    cwd: await temporaryFolder(t),
  });
  await terminal.sees(/ready/);
  terminal.type('\u0003');
  await terminal.sees(/seen 1 \*\*\*/);
  assert.equal(await terminal.status(), 0);
  assert.ok(!terminal.raw().includes(VALUE));
});

test('the function of Python does the same, and answers the status', async (t) => {
  await using stub = await startSecretsStub(SECRETS);
  const cwd = await temporaryFolder(t);
  const code = `
print(run(['sh', '-c', 'cat; echo "$TOKEN"; cat panda_secrets.json; exit 4'], secrets=['TOKEN']))
print(run('echo "[$TOKEN]"; ls', secretsAs='json', links=False))
try: run(['true'], secrets='NO_SUCH')
except pbook.Error as error: print(error.code)`;
  const { status, stdout } = await run('pbook', ['-c', code], stub.url, { cwd });
  assert.equal(status, 0);
  assert.equal(stdout, '***\n{"TOKEN":"***"}4\n[]\n0\nERR_NOT_FOUND\n');
  assert.deepEqual(readdirSync(cwd), []);
});

test('an expired secret is left out, as in a job, and starts nothing where it is named', async (t) => {
  const secrets = { OLD: 'of-yesterday-1', SOON: 'until-tomorrow-1' };
  const soon = new Date(Date.now() + 24 * 3_600_000).toISOString();
  await using stub = await startSecretsStub(secrets, {
    OLD: { expires: '2026-01-01T00:00:00Z', expired: true },
    SOON: { expires: soon },
  });
  const cwd = await temporaryFolder(t);
  const printed = ['--', 'sh', '-c', 'env | grep -c ^OLD=; env | grep -c ^SOON='];
  const { status, stdout, stderr } = await run('pbook', ['run', ...printed], stub.url, { cwd });
  assert.deepEqual([status, stdout], [0, '0\n1\n']);
  assert.match(stderr, /OLD expired at .*no job gets it any more\n.*SOON expires/);
  const named = await run('pbook', ['run', '--secrets', 'OLD', ...printed], stub.url, { cwd });
  assert.deepEqual([named.status, named.stdout], [125, '']);
  assert.match(named.stderr, /OLD expired/);
});

test('a token in the environment is masked as well', async (t) => {
  const { stdout } = await runIn(t, ['--', 'sh', '-c', 'echo "$PANDA_AUTH_ID_TOKEN"']);
  assert.equal(stdout, '***\n');
});

test('the secrets go with the command, also while nobody reads its output', async (t) => {
  const { child, ended, folder } = await start(t, ['--', 'sh', '-c', 'readlink panda_secrets.json > file; seq 10000']);
  child.stdout.pause();
  const path = join(folder, 'file');
  const secrets = await until(
    () => (existsSync(path) ? readFileSync(path, 'utf8').trim() : ''),
    (text) => text !== '',
  );
  await until(
    () => existsSync(secrets),
    (there) => !there,
  );
  child.stdout.resume();
  assert.deepEqual(await ended, [0, null]);
});

test('a process that hides from its pilot does not keep the command from ending', async (t) => {
  // Until it runs its own program it has the variables of the command.
  const script = 'env -i setsid sleep 300 & until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.01; done; echo $!';
  const { status, stdout } = await runIn(t, ['--', 'sh', '-c', script]);
  const pid = Number(stdout);
  t.after(() => process.kill(pid, 'SIGKILL'));
  assert.equal(status, 0);
  assert.ok(isAlive(pid));
});
