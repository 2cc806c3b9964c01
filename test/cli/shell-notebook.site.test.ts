import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempDisposableSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PYTHON_FOLDER } from '../../src/cli/pbook/shell/python-folder.ts';
import { no, startStub } from '../client/stub-server.ts';
import { environment } from './run.ts';
import { startSecretsStub } from './secrets-stub.ts';
import { noTerminal, openTerminal, type Terminal } from './terminal.ts';

/** A venv with numpy and a notebook kernel, made once; undefined where they cannot be installed. */
const venv = makeVenv();
const skip = noTerminal || (venv ? false : 'numpy, jupyter_client and ipykernel cannot be installed here');

test('a session with numpy in a venv: a secret that is computed from a file, a refusal that is caught, a subprocess', {
  skip,
}, async () => {
  await using stub = await startSecretsStub();
  await using refusing = await startStub({ 'creds/set_user_secrets': () => no('too many') });
  using folder = dataFolder();
  const env = { VIRTUAL_ENV: venv ?? '' };
  await using terminal = openTerminal([], stub.url, { cwd: folder.path, env });
  await terminal.sees(/>>> $/);
  const enter = (line: string) => answer(terminal, line);
  await enter('import numpy, os, subprocess, sys');
  assert.equal(await enter(`sys.prefix == ${JSON.stringify(venv)}`), 'True\n>>> ');
  await enter("data = numpy.loadtxt('data.txt')");
  assert.equal(await enter("set_secret('SUM', 'sum ' + repr(float(data.sum())))"), 'INFO : OK\n>>> ');
  assert.match(await enter('list_secrets()'), /\n {4}SUM : sum 10\.0\n>>> $/);
  assert.equal(await enter("subprocess.run(['echo', 'from a process']).returncode"), 'from a process\n0\n>>> ');
  await enter(`os.environ['PANDA_URL_SSL'] = ${JSON.stringify(refusing.url)}`);
  terminal.type("try: set_secret('SUM', 'another value')\r");
  await terminal.sees(/\.\.\. $/);
  terminal.type('except pbook.Error as error: print(error.code, error)\r');
  await terminal.sees(/\.\.\. $/);
  assert.equal(await enter(''), 'ERR_REFUSED too many\n>>> ');
  terminal.type('\u0004');
  assert.equal(await terminal.status(), 0);
  assert.equal(stub.secrets.get('SUM'), 'sum 10.0');
});

test('a notebook does the same, and shows no value unless it is asked', { skip }, async () => {
  await using stub = await startSecretsStub();
  await using refusing = await startStub({ 'creds/set_user_secrets': () => no('too many') });
  using folder = dataFolder();
  const cells = [
    `import sys; sys.path.append(${JSON.stringify(PYTHON_FOLDER)})`,
    'import numpy, os, pbook, subprocess',
    "pbook.set_secret('SUM', 'sum ' + repr(float(numpy.loadtxt('data.txt').sum())))",
    'pbook.list_secrets()',
    'rows = pbook.list_secrets()',
    'rows',
    "rows[0]['value'], dict(rows[0])",
    "pbook.get_secret('SUM')",
    'pbook.list_secrets(full=True)',
    "print(pbook.get_secret('SUM'), rows[0]['value'])",
    "subprocess.run(['echo', 'from a process'], capture_output=True).stdout",
    `os.environ['PANDA_URL_SSL'] = ${JSON.stringify(refusing.url)}
try: pbook.set_secret('SUM', 'another value')
except pbook.Error as error: print(error.code, error)`,
    "pbook.set_secret('SUM', 'another value')",
  ];
  const shown = await runCells(cells, folder.path, stub.url);
  const names = '\n    Key : Kind\n    --- : ------\n    SUM : string\n';
  assert.deepEqual(shown.slice(0, 12), [
    '',
    '',
    'INFO : OK\n',
    names,
    names,
    "[{'name': 'SUM', 'kind': 'string', 'value': <hidden>}]\n",
    "(<the value of a secret: print() shows it>,\n {'name': 'SUM',\n  'kind': 'string',\n  'value': <the value of a secret: print() shows it>})",
    '<the value of a secret: print() shows it>',
    '\n    Key : Value\n    --- : --------\n    SUM : sum 10.0\n',
    'sum 10.0 sum 10.0\n',
    "b'from a process\\n'",
    'ERR_REFUSED too many\n',
  ]);
  assert.match(shown[12] ?? '', /too many/);
  assert.equal(stub.secrets.get('SUM'), 'sum 10.0');
});

/** What a kernel shows for each cell. */
async function runCells(cells: readonly string[], cwd: string, url: string): Promise<string[]> {
  const program = `
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name='python3', startup_timeout=120)
shown = []
for cell in json.load(sys.stdin):
    out = []
    def hook(message):
        content = message['content']
        if message['msg_type'] == 'stream': out.append(content['text'])
        elif message['msg_type'] in ('execute_result', 'display_data'): out.append(content['data']['text/plain'])
        elif message['msg_type'] == 'error': out.append(content['evalue'])
    client.execute_interactive(cell, timeout=120, output_hook=hook)
    shown.append(''.join(out))
client.stop_channels()
manager.shutdown_kernel(now=True)
json.dump(shown, sys.stdout)`;
  const env = { ...environment(url), HOME: cwd, IPYTHONDIR: join(cwd, 'ipython'), JUPYTER_PLATFORM_DIRS: '1' };
  const child = spawn(join(venv ?? '', 'bin/python'), ['-c', program], { cwd, env });
  child.stdin.end(JSON.stringify(cells));
  const errors = text(child.stderr);
  return (await json(child.stdout).catch(async () => assert.fail(await errors))) as string[];
}

function dataFolder() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  writeFileSync(join(folder.path, 'data.txt'), '1 2\n3 4\n');
  return folder;
}

async function answer(terminal: Terminal, line: string): Promise<string> {
  terminal.type(`${line}\r`);
  const shown = await terminal.sees(/\n(?:[\s\S]*\n)?>>> $/);
  return shown.slice(shown.indexOf('\n') + 1);
}

function makeVenv(): string | undefined {
  const made = join(import.meta.dirname, '../../node_modules/.cache/test-venv');
  if (existsSync(made)) return made;
  const part = `${made}-${process.pid}`;
  const install = `"$0/bin/python" -m pip install -q --disable-pip-version-check numpy jupyter_client ipykernel`;
  const { status } = spawnSync('sh', ['-c', `python3 -m venv "$0" && ${install}`, part], { timeout: 200_000 });
  if (status === 0) {
    // A venv names its own folder in its programs, and Python looks only at where it lies.
    renameSync(part, made);
    return made;
  }
  rmSync(part, { recursive: true, force: true });
  return undefined;
}
