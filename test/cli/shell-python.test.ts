import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PYTHON_FOLDER } from '../../src/cli/pbook/shell/python-folder.ts';
import { no, ok, startStub } from '../client/stub-server.ts';
import { until } from '../pilot/folders.ts';
import { programPath } from '../programs.ts';
import { environment, type RunOptions, run } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';
import { noTerminal, openTerminal } from './terminal.ts';

const NOWHERE = 'http://127.0.0.1:1';
const PROMPT = />>> $/;
const python = (code: string, url = NOWHERE, options: RunOptions = {}) => run('pbook', ['-c', code], url, options);

test('a script is run with its arguments, its folder and its status, as Python runs it', async () => {
  await using stub = await startSecretsStub();
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, 'beside.py'), 'VALUE = "from beside"\n');
  writeFileSync(
    join(folder.path, 'job.py'),
    'import sys, beside\nset_secret("K", beside.VALUE)\nprint(__name__, sys.argv[1:], __file__)\nsys.exit(4)\n',
  );
  const { status, stdout } = await run('pbook', [join(folder.path, 'job.py'), '--x', 'y'], stub.url);
  assert.deepEqual([status, stdout], [4, `INFO : OK\n__main__ ['--x', 'y'] ${join(folder.path, 'job.py')}\n`]);
  assert.equal(stub.secrets.get('K'), 'from beside');
  const { status: none, stderr } = await run('pbook', ['nothing.py'], stub.url);
  assert.deepEqual([none, stderr], [2, 'ERROR : nothing.py cannot be read: No such file or directory\n']);
});

test('a refusal is an error with a code for who catches it, and one line with its place for who does not', async () => {
  await using stub = await startStub({ 'creds/set_user_secrets': () => no('too many') });
  using folder = temporaryFolder();
  const script = join(folder.path, 'job.py');
  const set = "set_secret('K', 'random_string')";
  writeFileSync(script, `try:\n    ${set}\nexcept pbook.Error as error:\n    print(error.code, error)\n\n${set}\n`);
  const { status, stdout, stderr } = await run('pbook', [script], stub.url);
  assert.deepEqual([status, stdout, stderr], [1, 'ERR_REFUSED too many\n', 'ERROR : too many (line 6 of job.py)\n']);
});

test('neither a traceback nor a syntax error of a script file shows a value', async () => {
  using folder = temporaryFolder();
  const scripts = ["set_secret('K', 'hunter2', 5, 6, 7, 8)\n", "set_secret('K',\n    'hunter2' x)\n"];
  for (const [number, source] of scripts.entries()) {
    const script = join(folder.path, `${number}.py`);
    writeFileSync(script, source);
    const { status, stderr } = await run('pbook', [script], NOWHERE);
    assert.equal(status, 1);
    assert.match(stderr, /Error: /);
    assert.doesNotMatch(stderr, /hunter2/);
  }
});

test('functions return what a program needs', async () => {
  await using stub = await startSecretsStub({ A: 'a value', '___file___:f': Buffer.from([0, 255]).toString('base64') });
  const code = `
import json
rows = list_secrets()
print(json.dumps(rows))
print(get_secret('A'), get_secret('f'))
try: get_secret('B')
except pbook.Error as error: print(error.code)
`;
  const { stdout } = await python(code, stub.url);
  assert.match(stdout, /\{"name": "A", "kind": "string", "value": "a value"\}/);
  assert.match(stdout, /\na value b'\\x00\\xff'\nERR_NOT_FOUND\n$/);
});

test('whoami prints and returns who the user is', async () => {
  const user = { display_name: 'Ada', user_dn_clean: 'ada', nickname: 'ada', fqans: [], token_expires_at: null };
  await using stub = await startStub({ 'system/get_user_attributes': () => ok(user) });
  const { stdout } = await python("print(whoami()['nickname'])", stub.url);
  assert.equal(stdout, 'ada (Ada)\nada\n');
});

test('any Python imports pbook from the folder that python-path prints, and nothing runs before it is used', async () => {
  await using stub = await startSecretsStub();
  const { stdout: folder } = await run('pbook', ['python-path'], NOWHERE);
  assert.equal(folder, `${PYTHON_FOLDER}\n`);
  const code = `
import sys
sys.path.append(${JSON.stringify(folder.trim())})
import pbook, os, contextlib, io
os.environ['PANDA_URL_SSL'] = ${JSON.stringify(stub.url)}
pbook.set_secret('K', 'random_string')
text = io.StringIO()
with contextlib.redirect_stdout(text):
    pbook.list_secrets()
print('K   : random_string' in text.getvalue())
os.environ['PANDA_URL_SSL'] = ${JSON.stringify(NOWHERE)}
try: pbook.list_secrets()
except pbook.Error as error: print(error.code)
`;
  const { stdout, stderr } = await outcomeOf('python3', ['-c', code], environment(NOWHERE));
  assert.equal(stdout, 'INFO : OK\nTrue\nERR_UNAVAILABLE\n', stderr);
});

test('without a Python pbook names the commands, which need none', async () => {
  await using stub = await startSecretsStub();
  using folder = temporaryFolder();
  const env = { PATH: folder.path };
  const { status, stderr } = await run('pbook', [], stub.url, { env });
  assert.equal(status, 1);
  assert.match(stderr, /^ERROR : .*there is no python3 on the PATH.*--python PATH.*pbook set_secret.*\n$/);
  assert.equal((await run('pbook', ['set_secret', 'K', 'random_string'], stub.url, { env })).status, 0);
  const named = await run('pbook', ['--python', './none', '-c', '0'], stub.url, { env });
  assert.deepEqual([named.status, named.stderr], [1, 'ERROR : --python ./none: there is no such program\n']);
});

test('the Python of an active venv goes before that of the PATH, and --python before both', async () => {
  using folder = temporaryFolder();
  const made = (name: string) => {
    mkdirSync(join(folder.path, name, 'bin'), { recursive: true });
    writeFileSync(join(folder.path, name, 'bin/python3'), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
    return join(folder.path, name);
  };
  const env = { PATH: join(made('path'), 'bin'), VIRTUAL_ENV: made('venv') };
  assert.equal((await python('', NOWHERE, { env: { PATH: env.PATH } })).stdout, 'path\n');
  assert.equal((await python('', NOWHERE, { env })).stdout, 'venv\n');
  const args = ['--python', join(made('named'), 'bin/python3'), '-c', ''];
  assert.equal((await run('pbook', args, NOWHERE, { env })).stdout, 'named\n');
});

for (const { version, path } of otherPythons()) {
  test(`Python ${version} is taken from 3.8 on, and an older one is told so`, async () => {
    await using stub = await startSecretsStub();
    const code = "import sys; set_secret('K', 'random_string'); print(sys.version_info[:2])";
    const { status, stdout, stderr } = await run('pbook', ['--python', path, '-c', code], stub.url);
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major > 3 || (major === 3 && minor >= 8)) {
      assert.deepEqual([status, stdout, stderr], [0, `INFO : OK\n(${major}, ${minor})\n`, '']);
    } else {
      assert.equal(status, 1);
      assert.match(stderr, /^ERROR : pbook needs Python 3\.8 or newer, and .* is Python \d\.\d+;.*\n$/);
    }
  });
}

test('every file is Python 3.8', async () => {
  const code = `
import ast, pathlib
for path in pathlib.Path(${JSON.stringify(PYTHON_FOLDER)}).rglob('*.py'):
    ast.parse(path.read_text(), str(path), feature_version=(3, 8))
    print(path.name)`;
  const { stdout, stderr } = await outcomeOf('python3', ['-c', code]);
  assert.equal(stderr, '');
  assert.ok(stdout.split('\n').includes('_link.py'));
});

test('modules in the current folder that have names of the library are none of pbook', async () => {
  await using stub = await startSecretsStub();
  using folder = temporaryFolder();
  for (const name of ['json', 'pbook', 'threading', 'base64', 'codecs', 'traceback', 'linecache', 'code', 'pydoc']) {
    writeFileSync(join(folder.path, `${name}.py`), `print("the user's ${name} was run")\n`);
  }
  const options = { cwd: folder.path, env: { PYTHONPATH: '' } };
  const { stdout } = await python(
    "import sys; set_secret('K', 'random_string'); help('no_such'); print(repr(sys.path[0]))",
    stub.url,
    options,
  );
  assert.equal(stdout, "INFO : OK\nThere is no command or module 'no_such'; help() lists the commands.\n''\n");
});

test('what the prompt starts can neither see the connection nor open it, and waits for no process but its own', {
  skip: process.platform === 'linux' ? false : 'looks into /proc',
}, async () => {
  await using stub = await startSecretsStub();
  const code = `
import os, subprocess, sys
set_secret('K', 'random_string')
try: os.wait()
except ChildProcessError: print('no child')
look = '''
import os
own = {int(n) for n in os.listdir("/proc/self/fd")} - {0, 1, 2}
print("sockets inherited:", sum(os.path.exists(f"/proc/self/fd/{n}") and "socket" in os.readlink(f"/proc/self/fd/{n}") for n in own))
print("variables:", [name for name in os.environ if "PBOOK" in name.upper()])
parent = f"/proc/{os.getppid()}/fd"
found = opened = 0
for n in os.listdir(parent):
    try:
        if int(n) > 2 and "socket" in os.readlink(f"{parent}/{n}"):
            found += 1
            os.open(f"{parent}/{n}", os.O_RDWR)
            opened += 1
    except OSError: pass
print("of the parent:", found, "opened:", opened)
'''
sys.stdout.flush()
subprocess.run([sys.executable, '-c', look], close_fds=False)
`;
  const { stdout } = await python(code, stub.url);
  assert.equal(stdout, 'INFO : OK\nno child\nsockets inherited: 0\nvariables: []\nof the parent: 1 opened: 0\n');
});

test('the code of -c is in no argument of a process', async () => {
  const { stdout } = await python(
    'import os; a = open("/proc/self/cmdline").read(); print("marker" + "123" in a, "_PBOOK_CODE" in os.environ) # marker123',
  );
  assert.equal(stdout, 'False False\n');
});

test('no core file has the memory', async () => {
  assert.equal((await python('import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])')).stdout, '0\n');
});

test("nor has a core file that of pbook's own process", {
  skip: process.platform === 'linux' ? false : 'looks into /proc',
}, async () => {
  await using stub = await startSecretsStub({ A: 'a value' });
  const code = `
import os, resource
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
get_secret('A')
for pid in filter(str.isdecimal, os.listdir('/proc')):
    try: found = b'MARK=' + os.environ['MARK'].encode() in open(f'/proc/{pid}/environ', 'rb').read()
    except OSError: continue
    if found and int(pid) != os.getpid():
        print(next(line for line in open(f'/proc/{pid}/limits') if 'core' in line).split()[4])
`;
  assert.equal((await python(code, stub.url, { env: { MARK: `${process.pid} ${Math.random()}` } })).stdout, '0\n');
});

test('a child of fork and its parent use the functions at the same moment, each over its own connection', async () => {
  await using stub = await startSecretsStub({ A: 'of the parent', B: 'of the child' });
  const code = `
import os
get_secret('A')
pid = os.fork()
name, value = ('B', 'of the child') if pid == 0 else ('A', 'of the parent')
right = all(get_secret(name) == value for _ in range(20))
if pid == 0: os._exit(0 if right else 1)
print(right, os.waitpid(pid, 0)[1])
`;
  assert.equal((await python(code, stub.url)).stdout, 'True 0\n');
});

test('threads, and a child of fork, use the functions without a mix-up', async () => {
  await using stub = await startSecretsStub();
  const code = `
import os, threading
threads = [threading.Thread(target=set_secret, args=(f'K{n}', f'value of {n}')) for n in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
pid = os.fork()
if pid == 0:
    print(get_secret('K3'), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(get_secret('K4'))
`;
  const { status, stdout } = await python(code, stub.url);
  assert.deepEqual([status, stdout], [0, `${'INFO : OK\n'.repeat(6)}value of 3\nvalue of 4\n`]);
  assert.equal(stub.secrets.size, 6);
});

test('a process of pbook that died is started again, and a command that it took along is an error', {
  skip: process.platform === 'linux' ? false : 'looks into /proc',
}, async () => {
  await using stub = await startSecretsStub({ A: 'a value' });
  await using stuck = await startStub({ 'creds/get_user_secrets': () => undefined });
  const code = `
import os, signal, threading, time
def kill():
    for pid in filter(str.isdecimal, os.listdir('/proc')):
        try: found = b'MARK=' + os.environ['MARK'].encode() in open(f'/proc/{pid}/environ', 'rb').read()
        except OSError: continue
        if found and int(pid) != os.getpid():
            os.kill(int(pid), signal.SIGKILL)
print(get_secret('A')); value = None
kill()
for _ in range(2):  # the first may be lost with a process that was ending
    try: value = get_secret('A')
    except pbook.Error: pass
print(value)
os.environ['PANDA_URL_SSL'] = ${JSON.stringify(stuck.url)}
threading.Timer(1, kill).start()
try: get_secret('A')
except pbook.Error as error: print(error.code)
`;
  const { stdout, stderr } = await python(code, stub.url, { env: { MARK: `${process.pid} ${Math.random()}` } });
  assert.equal(stdout, 'a value\na value\nERR_UNAVAILABLE\n', stderr);
});

test('a missing file is errno 2, and base64 of pbook is read by a Python without it', async () => {
  const code = `
import base64, pickle
try: open('/there/is/none')
except FileNotFoundError as error: print(error.errno)
print(b'pbook' in pickle.dumps(base64.b64encode(b'x')))
`;
  assert.equal((await python(code)).stdout, '2\nFalse\n');
});

test('at the prompt a result that was printed is not shown again, a refusal is one line, and Python is the program', {
  skip: noTerminal,
}, async () => {
  await using stub = await startStub({
    'creds/get_user_secrets': () => ok(JSON.stringify({ A: 'a value' })),
    'creds/set_user_secrets': () => no('too many'),
  });
  await using terminal = openTerminal([], stub.url);
  await terminal.sees(PROMPT);
  const steps: [typed: string, answer: RegExp][] = [
    ['rows = list_secrets()', /^\n {4}Key : Value\n {4}-+ : -+\n {4}A {3}: a value\n>>> $/],
    ['list_secrets()', /^\n {4}Key : Value\n {4}-+ : -+\n {4}A {3}: a value\n>>> $/],
    ["_[0]['name'], rows == _", /^\('A', True\)\n>>> $/],
    ["get_secret('A')", /^'a value'\n>>> $/],
    ["set_secret('A', 'x' * 30)", /^ERROR : too many\n>>> $/],
    ['import sys; print(sys.last_value.code)', /^ERR_REFUSED\n>>> $/],
    ["print('no line end', end='')", /^no line end\s*>>> $/],
    ['!ls -l', /SyntaxError: .*\nhint: .*subprocess\.run\('ls -l', shell=True\).*\n>>> $/],
    ['%cd /tmp', /SyntaxError: .*\nhint: .*os\.chdir\('\/tmp'\).*\n>>> $/],
    ['import os; os.path.realpath("/proc/self/exe") == os.path.realpath(sys.executable)', /^True\n>>> $/],
  ];
  for (const [typed, answer] of steps) {
    terminal.type(`${typed}\r`);
    const shown = await terminal.sees(/\n(?:[\s\S]*)>>> $/);
    assert.match(shown.slice(shown.indexOf('\n') + 1), answer, typed);
  }
});

test('Ctrl-Z stops the prompt and what runs in it, and fg goes on', {
  skip: noTerminal || (process.platform === 'linux' ? false : 'looks into /proc'),
}, async () => {
  await using terminal = openTerminal(['--norc', '-i'], NOWHERE, { program: 'bash' });
  await terminal.sees(/[#$] $/);
  terminal.type("PS1='she''ll$ '\r");
  await terminal.sees(/shell\$ $/);
  terminal.type('echo $$\r');
  const [, shell] = /\n(\d+)\nshell\$ $/.exec(await terminal.sees(/\n\d+\nshell\$ $/)) ?? [];
  terminal.type(`${process.execPath} --disable-warning=ExperimentalWarning ${programPath('pbook')}\r`);
  await terminal.sees(PROMPT);
  terminal.type('x = 41\r');
  await terminal.sees(PROMPT);
  for (const busy of ['', "import time; print('on'); time.sleep(60)\r"]) {
    terminal.type(busy);
    if (busy) await terminal.sees(/\non\n/);
    terminal.type('\u001a');
    await terminal.sees(/Stopped[\s\S]*shell\$ $/);
    terminal.type('fg\r');
    await terminal.sees(/main\.ts|pbook\.js/);
    // The shell names the program before it gives it the terminal: a Ctrl-C between the two is the shell's, and ends up in $?.
    await until(
      () => foregroundOf(shell),
      (group) => group !== shell,
    );
    if (busy) {
      terminal.type('\u0003');
      await terminal.sees(/KeyboardInterrupt\n>>> $/);
    }
    terminal.type('x + 1\r');
    await terminal.sees(/\n42\n>>> $/);
  }
  terminal.type('exit(3)\r');
  await terminal.sees(/shell\$ $/);
  terminal.type('echo $?\r');
  await terminal.sees(/\n3\n/);
});

test("the prompt runs the user's startup file", { skip: noTerminal }, async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'startup.py');
  writeFileSync(file, 'import sys\nkept = 6 * 7\nsys.ps1 = "own> "\n');
  await using terminal = openTerminal([], NOWHERE, { env: { PYTHONSTARTUP: file } });
  await terminal.sees(/own> $/);
  terminal.type('kept\r');
  await terminal.sees(/\n42\nown> $/);
});

for (const { version, path } of [{ version: 'first on the PATH', path: 'python3' }, ...otherPythons()].filter(
  hasReadline,
)) {
  test(`what pbook does not remember is in no history of the user's own either (${version})`, {
    skip: noTerminal,
  }, async () => {
    using folder = temporaryFolder();
    await using stub = await startSecretsStub();
    const startup = join(folder.path, 'startup.py');
    writeFileSync(
      startup,
      `import atexit, readline
readline.add_history('of earlier')
atexit.register(readline.write_history_file, '${folder.path}/own-history')
`,
    );
    const env = { HOME: folder.path, PANDA_CONFIG_ROOT: folder.path, PYTHONSTARTUP: startup, PYTHONINSPECT: '1' };
    await using terminal = openTerminal(['--python', path], stub.url, { env });
    await terminal.sees(PROMPT);
    for (const line of [
      "x = 'leaks by a name'",
      "set_secret('A', x)",
      "set_secret('B', 'leaks at once')",
      "set_secret('C', input())",
      'leaks when asked',
      "'stays'",
    ]) {
      terminal.type(`${line}\r`);
      await terminal.sees(line.includes('input') ? /input\(\)\)\s*\n\s*$/ : PROMPT);
    }
    terminal.type('exit()\r');
    await terminal.sees(PROMPT); // PYTHONINSPECT
    terminal.type('\u0004');
    await terminal.status();
    const histories = ['own-history', '.python_history', '.pbook_history']
      .map((name) => join(folder.path, name))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8'));
    assert.equal(stub.secrets.get('C'), 'leaks when asked');
    assert.match(histories.join(), /stays/);
    assert.doesNotMatch(histories.join(), /leaks/);
  });
}

/** The process group that has the terminal of a process. */
function foregroundOf(pid: string | undefined): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')[5];
}

function hasReadline({ path }: { path: string }): boolean {
  return spawnSync(path, ['-c', 'import readline, sys; assert sys.version_info >= (3, 8)']).status === 0;
}

test("an error that a signal's handler raises ends a command, also a TimeoutError", async () => {
  await using stuck = await startStub({ 'creds/get_user_secrets': () => undefined });
  const code = `
import signal
def handler(*_): raise TimeoutError('too long')
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 1)
try: get_secret('A')
except TimeoutError as error: print(error)
`;
  assert.equal((await python(code, stuck.url)).stdout, 'too long\n');
});

test('a command leaves the path alone by which other threads import', async () => {
  await using stub = await startSecretsStub();
  const code = `
import sys
set_secret('A', 'a value')
class Path(list):
    def __setitem__(self, *given):
        print('changed')
        super().__setitem__(*given)
sys.path = Path(sys.path)
set_secret('B', 'a value')
`;
  assert.equal((await python(code, stub.url)).stdout, 'INFO : OK\nINFO : OK\n');
});

test('the Node beside an installed package is taken, and no other that happens to lie near', () => {
  using folder = temporaryFolder();
  mkdirSync(join(folder.path, 'bin'));
  const near = join(folder.path, 'bin/node');
  writeFileSync(near, '', { mode: 0o755 });
  const chosen = (place: string) => {
    const dist = join(folder.path, place, 'panda-secrets/dist');
    cpSync(PYTHON_FOLDER, join(dist, 'lib/python'), { recursive: true });
    writeFileSync(join(dist, 'pbook.js'), '');
    const code =
      'import sys; sys.path.append(sys.argv[1]); from pbook import _link; print(_link._installed_program()[0])';
    return spawnSync('python3', ['-c', code, join(dist, 'lib/python')], { encoding: 'utf8' }).stdout.trim();
  };
  assert.equal(chosen('lib/node_modules'), near);
  assert.notEqual(chosen('opt/programs'), near);
  assert.notEqual(chosen('project/node_modules'), near);
});

function temporaryFolder() {
  return mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
}

async function outcomeOf(command: string, args: string[], env: Record<string, string> = {}) {
  const { promise, resolve } = Promise.withResolvers<{ status: number | null; stdout: string; stderr: string }>();
  const { execFile } = await import('node:child_process');
  execFile(command, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
    resolve({ status: error ? 1 : 0, stdout, stderr }),
  );
  return await promise;
}

/** Pythons of this machine besides the first on the PATH. */
function otherPythons(): { version: string; path: string }[] {
  const pyenv = join(homedir(), '.pyenv/versions');
  const installed = spawnSync('sh', ['-c', 'ls "$0"', pyenv], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
  const found = installed.map((version) => ({ version, path: join(pyenv, version, 'bin', 'python') }));
  const debian = spawnSync('/usr/bin/python3', ['--version'], { encoding: 'utf8' }).stdout;
  if (debian) found.push({ version: debian.trim().replace('Python ', ''), path: '/usr/bin/python3' });
  return found;
}
