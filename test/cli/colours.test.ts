import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { ok, startStub } from '../client/stub-server.ts';
import { programPath } from '../programs.ts';
import { environment, run } from './run.ts';
import { noTerminal, openTerminal } from './terminal.ts';

const TASK = { jediTaskID: 10000001, reqID: 7, taskName: 'user.adoe.one/', status: 'failed', pctfinished: 50 };
const SERVER = { 'task/get_tasks_detailed_info_since': () => ok([TASK]) };
const RED = '\x1b[31mfailed\x1b[39m';

test('states and errors are coloured at a terminal', { skip: noTerminal }, async () => {
  await using stub = await startStub(SERVER);
  await using terminal = openTerminal(['show'], stub.url);
  assert.equal(await terminal.status(), 0);
  assert.ok(terminal.raw().includes(RED));
  await using failing = openTerminal(['show', 'colour=red'], stub.url);
  assert.equal(await failing.status(), 2);
  assert.ok(failing.raw().includes('\x1b[31mERROR\x1b[39m : '));
});

for (const [what, env] of [
  ['NO_COLOR', { NO_COLOR: '1' }],
  ['a dumb terminal', { TERM: 'dumb' }],
] as const) {
  test(`with ${what} nothing is coloured, in whatever is printed`, { skip: noTerminal }, async () => {
    await using stub = await startStub(SERVER);
    for (const args of [['show'], ['show', 'colour=red'], ['--help'], ['help', 'show'], ['nonsense']]) {
      await using terminal = openTerminal(args, stub.url, { env });
      await terminal.status();
      assert.ok(!terminal.raw().includes('\x1b'), `${args.join(' ')}: ${JSON.stringify(terminal.raw())}`);
    }
  });
}

test('a pipe gets no colours, and columns that a program can split', async () => {
  await using stub = await startStub(SERVER);
  const { stdout, stderr } = await run('pbook', ['show'], stub.url, { env: { TERM: 'xterm' } });
  assert.ok(!(stdout + stderr).includes('\x1b'));
  assert.match(stdout, /^ +10000001 +7 +failed +50% +user\.adoe\.one\/$/m);
});

test('a reader that has seen enough of a pipe is no error', async () => {
  await using stub = await startStub({ 'task/get_tasks_detailed_info_since': () => ok(Array(5000).fill(TASK)) });
  const child = spawn('sh', ['-c', `"$0" "$1" show | head -1`, process.execPath, programPath('pbook')], {
    env: environment(stub.url),
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  assert.doesNotMatch(stderr, /EPIPE|ERROR/);
});
