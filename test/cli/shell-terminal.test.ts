import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { startSecretsStub } from './secrets-stub.ts';
import { noTerminal, openTerminal, type Terminal } from './terminal.ts';

const skip = noTerminal;
const NOWHERE = 'http://127.0.0.1:1';
const PROMPT = />>> $/;
const MORE = /\.\.\. $/;
const UP = '\u001b[A';
const CTRL_C = '\u0003';
/** Drops the line. */
const CTRL_U = '\u0015';
const CTRL_D = '\u0004';
const PASTE_START = '\u001b[200~';
const PASTE_END = '\u001b[201~';

/** The code of the manual page, line by line. */
const MANUAL = [
  "set_secret('MY_SECRET', 'random_string')",
  'import json',
  "set_secret('MY_SECRET_SER', json.dumps({'a_key': 'a_value'}))",
  'import base64',
  "bin_file = open('some_binary_file', 'rb')",
  "set_secret('MY_SECRET_BIN', base64.b64encode(bin_file.read()).encode())",
  'bin_file.close()',
  'list_secrets()',
];
const BINARY = Buffer.from('\0\u00ff some bytes that are no text, and enough of them', 'latin1');
const MANUAL_SECRETS = {
  MY_SECRET: 'random_string',
  MY_SECRET_SER: '{"a_key": "a_value"}',
  MY_SECRET_BIN: BINARY.toString('base64'),
};

test('the prompt is Python until Ctrl-D', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  assert.equal(await answer(terminal, "x = 6 * 7; x, 'y'"), "(42, 'y')\n>>> ");
  assert.equal(await answer(terminal, 'None'), '>>> ');
  assert.match(await answer(terminal, '1/0'), /^Traceback [\s\S]*\nZeroDivisionError: division by zero\n>>> $/);
  assert.match(await answer(terminal, 'a b'), /SyntaxError: invalid syntax\n>>> $/);
  assert.equal(await answer(terminal, '_'), "(42, 'y')\n>>> ");
  assert.match(await answer(terminal, 'exit'), /^Use exit\(\) or Ctrl-D/);
  terminal.type(CTRL_D);
  assert.equal(await terminal.status(), 0);
});

test('exit() leaves with its status', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  terminal.type('exit(3)\r');
  assert.equal(await terminal.status(), 3);
});

test('what is typed before Python is ready is not lost', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  terminal.type('21 * 2\r');
  await terminal.sees(/42\n>>> $/);
});

test('a block goes on with ... until an empty line; Tab indents', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  for (const line of ['def twice(x):', '\treturn 2 * x']) {
    terminal.type(`${line}\r`);
    await terminal.sees(MORE);
  }
  await enter(terminal, '');
  assert.equal(await answer(terminal, 'twice(21)'), '42\n>>> ');
  terminal.type('for i in range(2):\r');
  await terminal.sees(MORE);
  await interruptLine(terminal);
  assert.equal(await answer(terminal, '1'), '1\n>>> ');
});

test('the manual page works as typed', { skip }, async () => {
  await using stub = await startSecretsStub();
  using folder = manualFolder();
  await using terminal = openTerminal([], stub.url, { cwd: folder.path });
  await terminal.sees(PROMPT);
  for (const line of MANUAL.slice(0, -1)) {
    assert.equal(await answer(terminal, line), line.startsWith('set_secret') ? 'INFO : OK\n>>> ' : '>>> ');
  }
  assert.match(
    await answer(terminal, 'list_secrets()'),
    /\n {4}Key {10} : Value\n {4}-+ : -+\n {4}MY_SECRET {4} : random_string\n {4}MY_SECRET_BIN : A[^\n]*\.\.\.\n {4}MY_SECRET_SER : \{"a_key": "a_value"\}\n>>> $/,
  );
  assert.deepEqual(Object.fromEntries(stub.secrets), MANUAL_SECRETS);
});

const session = MANUAL.map((line) => `    >>> ${line}\n${line.startsWith('set_secret') ? '    INFO : OK\n' : ''}`).join(
  '',
);
const page = `How to manage secrets\n=====\n\n.. code-block:: bash\n\n${session}\n    Key : Value\n    ...\n\nYou can delete\nsecrets, too.\n`;
const pastes: [what: string, pasted: string][] = [
  ['the whole manual page, marked as a paste', `${PASTE_START}${page}${PASTE_END}`],
  ['its code lines, marked as a paste', `${PASTE_START}${MANUAL.join('\n')}\n${PASTE_END}`],
  ['its code lines, as if typed at once', `${MANUAL.join('\r')}\r`],
  ['its lines with prompts, as if typed at once', `${MANUAL.map((line) => `>>> ${line}\r`).join('')}`],
];
for (const [what, pasted] of pastes) {
  test(`a paste works: ${what}`, { skip }, async () => {
    await using stub = await startSecretsStub();
    using folder = manualFolder();
    await using terminal = openTerminal([], stub.url, { cwd: folder.path });
    await terminal.sees(PROMPT);
    terminal.type(pasted);
    if (pasted.startsWith(PASTE_START)) {
      await terminal.sees(/list_secrets\(\)[\s\S]*$/);
      terminal.type('\r'); // a paste waits for Enter, as in every shell
    }
    await terminal.sees(/MY_SECRET_SER : \{"a_key": "a_value"\}\n>>> $/);
    assert.deepEqual(Object.fromEntries(stub.secrets), MANUAL_SECRETS);
    assert.doesNotMatch(terminal.text(), /Error/);
  });
}

test('pasted blocks may have empty lines in them, and none between them', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  const code = 'def f():\n\n\tx = 20\n\n\treturn x + 1\nfor i in (1, 2): print(i)\nclass A:\n  b = f()\n\nA.b * 2\n';
  terminal.type(`${PASTE_START}${code}${PASTE_END}`);
  await terminal.sees(/A\.b \* 2[\s\S]*$/);
  terminal.type('\r');
  const seen = await terminal.sees(/42\n>>> $/);
  assert.match(seen, /\n1\n2\n/);
  assert.doesNotMatch(seen, /Error/);
});

test('Ctrl-C interrupts a loop, a sleep and a request, and the prompt goes on', { skip }, async () => {
  let reached = () => {};
  const request = new Promise<void>((resolve) => {
    reached = resolve;
  });
  await using stub = await startStub({ 'creds/get_user_secrets': () => void reached() });
  await using terminal = openTerminal([], stub.url);
  await terminal.sees(PROMPT);
  for (const busy of ["while print('on') is None: pass", "print('on'); __import__('time').sleep(60)"]) {
    terminal.type(`${busy}\r`);
    if (busy.startsWith('while')) {
      await terminal.sees(MORE);
      terminal.type('\r');
    }
    await terminal.sees(/\non\n/);
    terminal.type(CTRL_C);
    await terminal.sees(/KeyboardInterrupt\n(?:on)?>>> $/);
  }
  terminal.type('list_secrets()\r');
  await request;
  terminal.type(CTRL_C);
  const seen = await terminal.sees(/KeyboardInterrupt\n>>> $/);
  assert.doesNotMatch(seen, /ERROR/);
  assert.equal(await answer(terminal, '1'), '1\n>>> ');
});

test('logs(ID, follow=True) prints what comes until Ctrl-C', { skip }, async () => {
  await using stub = await startStub({
    'task/get_job_ids': () => ok([1]),
    'job/get_description': () => ok([{ PandaID: 1, attemptNr: 1, jobStatus: 'running' }]),
    'job/get_log': ({ query }) => ok({ content: query.get('offset') === '0' ? btoa('a line\n') : '', log_file: null }),
  });
  await using terminal = openTerminal([], stub.url);
  await terminal.sees(PROMPT);
  terminal.type('logs(10000001, follow=True)\r');
  await terminal.sees(/\na line\n/);
  terminal.type(CTRL_C);
  const seen = await terminal.sees(/KeyboardInterrupt\n>>> $/);
  assert.doesNotMatch(seen, /ERROR/);
  assert.equal(await answer(terminal, '1'), '1\n>>> ');
});

test('Ctrl-\\ ends Python at once', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  terminal.type("print('on'); all(__import__('itertools').repeat(1))\r");
  await terminal.sees(/\non\n/);
  terminal.type('\u001c');
  assert.equal(await terminal.status(), 256 - constants.signals.SIGQUIT, 'killed by the signal');
});

test('Ctrl-C at the prompt drops the line', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  await terminal.sees(PROMPT);
  terminal.type('half a li');
  await terminal.sees(/half a li/);
  await interruptLine(terminal);
  assert.equal(await answer(terminal, '1'), '1\n>>> ');
});

test('Tab completes functions, their parameters, attributes, secrets and paths', { skip }, async () => {
  await using stub = await startSecretsStub({ MY_SECRET: 'x', MY_SECRET_SER: 'y', '___file___:other.pem': 'eg==' });
  using folder = manualFolder();
  await using terminal = openTerminal([], stub.url, { cwd: folder.path });
  await terminal.sees(PROMPT);
  const cases: [typed: string, shown: RegExp][] = [
    ['set_s', /set_secret\(/],
    ["set_secret('K', 'v', is_f", /is_file=/],
    ['set_secret.__nam', /set_secret\.__name__/],
    ["delete_secret('oth", /delete_secret\('other\.pem'/],
    ["open('some_b", /open\('some_binary_file/],
  ];
  for (const [typed, shown] of cases) {
    await complete(terminal, typed, shown);
    terminal.type(CTRL_U);
  }
  await complete(terminal, "delete_secret('MY", /MY_SECRET/);
  terminal.type('\t\t');
  await terminal.sees(/MY_SECRET' +MY_SECRET_SER'/);
});

test('a history that others could read is closed to them', { skip }, async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  const file = join(folder.path, '.pbook_history');
  writeFileSync(file, '6 * 7\n', { mode: 0o644 });
  await using terminal = openTerminal([], NOWHERE, { env: { PANDA_CONFIG_ROOT: folder.path } });
  await terminal.sees(PROMPT);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('history is kept for the next session, for its owner alone, without the lines that set a secret', {
  skip,
}, async () => {
  await using stub = await startSecretsStub();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  const env = { PANDA_CONFIG_ROOT: join(folder.path, 'config') };
  const file = join(env.PANDA_CONFIG_ROOT, '.pbook_history');
  {
    await using terminal = openTerminal([], stub.url, { env });
    await terminal.sees(PROMPT);
    await enter(terminal, '6 * 7');
    await enter(terminal, 'keep = set_secret');
    await enter(terminal, "set_secret('K', 'hunter2')");
    await enter(terminal, 's = keep');
    await enter(terminal, "s('K', 'hunter2')");
    terminal.type('for name in "AB":\r');
    await terminal.sees(MORE);
    terminal.type("  s(name, 'hunter2')\r");
    await terminal.sees(MORE);
    await enter(terminal, '');
    // In the session itself it is there.
    terminal.type(UP);
    await terminal.sees(/hunter2/);
    terminal.type(`${CTRL_U}${CTRL_D}`);
    await terminal.status();
  }
  assert.equal(readFileSync(file, 'utf8'), '6 * 7\n');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(env.PANDA_CONFIG_ROOT).mode & 0o777, 0o700);

  await using terminal = openTerminal([], stub.url, { env });
  await terminal.sees(PROMPT);
  terminal.type(`${UP}\r`);
  await terminal.sees(/\n42\n>>> $/);
});

test('a line that assigns what a later set_secret uses is not kept, and other assignments are', { skip }, async () => {
  await using stub = await startSecretsStub();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  {
    await using terminal = openTerminal([], stub.url, { env: { PANDA_CONFIG_ROOT: folder.path } });
    await terminal.sees(PROMPT);
    await enter(terminal, "word = 'hunter2'");
    await enter(terminal, "user, host = 'adoe', 'db'");
    await enter(terminal, 'import json');
    await enter(terminal, "both = {'password': word}");
    await enter(terminal, "parts = []; parts.append('hunter2')");
    await enter(terminal, 'n = 1 if host == user else 2');
    await enter(terminal, "set_secret('K', json.dumps(both))");
    await enter(terminal, "set_secret('L', ''.join(parts))");
    await enter(terminal, "word = 'later'");
    await enter(terminal, "('hunter2', 1)");
    await enter(terminal, "set_secret('M', _[0])");
    await enter(terminal, 'from types import SimpleNamespace');
    await enter(terminal, 'box = SimpleNamespace()');
    await enter(terminal, "setattr(box, 'held', 'hunter2')");
    await enter(terminal, "set_secret('N', box.held)");
    await enter(terminal, "len('kept')");
    terminal.type(CTRL_D);
    await terminal.status();
  }
  assert.equal(
    readFileSync(join(folder.path, '.pbook_history'), 'utf8'),
    "import json\nfrom types import SimpleNamespace\nuser, host = 'adoe', 'db'\nn = 1 if host == user else 2\nword = 'later'\nlen('kept')\n",
  );
});

test('PBOOK_HISTORY=all keeps every line', { skip }, async () => {
  await using stub = await startSecretsStub();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  await using terminal = openTerminal([], stub.url, { env: { PANDA_CONFIG_ROOT: folder.path, PBOOK_HISTORY: 'all' } });
  await terminal.sees(PROMPT);
  await enter(terminal, "set_secret('K', 'v')");
  assert.equal(readFileSync(join(folder.path, '.pbook_history'), 'utf8'), "set_secret('K', 'v')\n");
});

test('input() and getpass() ask at the terminal, the latter unseen, and are not remembered', { skip }, async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  await using terminal = openTerminal([], NOWHERE, { env: { PANDA_CONFIG_ROOT: folder.path } });
  await terminal.sees(PROMPT);
  await enter(terminal, 'import json');
  terminal.type("import getpass; given = input('name? '), getpass.getpass()\r");
  await terminal.sees(/name\? $/);
  terminal.type('adoe\r');
  await terminal.sees(/Password: $/);
  terminal.type('hunter2\r');
  await terminal.sees(PROMPT);
  assert.doesNotMatch(terminal.text(), /hunter2/);
  assert.equal(await answer(terminal, 'given[0], len(given[1])'), "('adoe', 7)\n>>> ");
  assert.doesNotMatch(readFileSync(join(folder.path, '.pbook_history'), 'utf8'), /^adoe|hunter2/m);
  terminal.type("input('again? ')\r");
  await terminal.sees(/\nagain\? $/);
  terminal.type(CTRL_D);
  await terminal.sees(/EOFError[\s\S]*>>> $/);
});

test('the prompt opens without a server, and a command says what is wrong', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE);
  assert.match(await terminal.sees(PROMPT), /PBook user: adoe\n/);
  assert.match(await answer(terminal, 'list_secrets()'), /^ERROR : .*does not answer.*\n>>> $/);
});

test('a dumb terminal gets no control sequences', { skip }, async () => {
  await using terminal = openTerminal([], NOWHERE, { env: { TERM: 'dumb' } });
  await terminal.sees(PROMPT);
  terminal.type('21 * 2\r');
  await terminal.sees(/42\n>>> $/);
});

/** Types a beginning, and Tab until it is completed: one that asks the server gives up after two seconds, on a busy machine too. */
async function complete(terminal: Terminal, beginning: string, shown: RegExp): Promise<void> {
  terminal.type(beginning);
  for (let tries = 0; tries < 20; tries++) {
    terminal.type('\t');
    if ((await terminal.sees(shown, 3000).catch(() => undefined)) !== undefined) return;
  }
  assert.fail(`"${beginning}" is not completed`);
}

/**
 * Drops the line by Ctrl-C. Python's readline hears none in the moment in which it draws a key that was typed just before. All keys of several
 * signs must have been drawn: the terminal drops the rest of one that is not read yet, and readline then waits for it, whatever is sent but a key.
 */
async function interruptLine(terminal: Terminal): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    terminal.type(CTRL_C);
    // Long: one that is heard late, behind the next, would interrupt what is typed then.
    const heard = await terminal.sees(/KeyboardInterrupt\n>>> $/, 20_000).catch(() => undefined);
    if (heard !== undefined) return;
  }
  assert.fail('Ctrl-C is not heard');
}

/** Types a line, and answers what is shown below it up to the next prompt. */
async function answer(terminal: Terminal, line: string): Promise<string> {
  const shown = await enter(terminal, line);
  return shown.slice(shown.indexOf('\n') + 1);
}

async function enter(terminal: Terminal, line: string): Promise<string> {
  terminal.type(`${line}\r`);
  return await terminal.sees(/\n(?:[\s\S]*\n)?>>> $/);
}

function manualFolder() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-'));
  writeFileSync(join(folder.path, 'some_binary_file'), BINARY);
  return folder;
}
