import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Handler, no, ok, startStub } from '../client/stub-server.ts';
import { run } from './run.ts';
import { noTerminal, openTerminal } from './terminal.ts';

const LINE = ['--exec', 'true', '--outDS', 'user.adoe.test1', '--wait'];
const RUNNING = {
  jediTaskID: 10000001,
  status: 'running',
  errorDialog: '',
  nfiles: 3,
  nfilesfinished: 1,
  nfilesfailed: 0,
};
const DONE = { ...RUNNING, status: 'done', nfilesfinished: 3 };
const HALF = {
  ...RUNNING,
  status: 'finished',
  nfilesfinished: 2,
  nfilesfailed: 1,
  errorDialog: 'job 3: exit status 7',
};

/** A server that takes a task, which is in these states one after another; the last one stays. */
function accepting(...states: object[]): Record<string, Handler> {
  let asked = 0;
  return {
    'file_server/validate_cache_file': () => no('no such file'),
    'file_server/upload_cache_file': () => ok(),
    'task/submit': () => ok(10000001, 'succeeded. new jediTaskID=10000001'),
    'task/get_tasks_detailed_info_since': () => ok([states[Math.min(asked++, states.length - 1)]]),
  };
}

const elsewhere = () => mkdtempDisposableSync(join(tmpdir(), 'prun-wait-'));

test('--wait says how the task goes, and ends with status 0 when every job finished', async () => {
  using folder = elsewhere();
  await using stub = await startStub(accepting(RUNNING, DONE));
  const { status, stdout, stderr } = await run('prun', LINE, stub.url, { cwd: folder.path });
  assert.equal(status, 0);
  assert.match(stdout, /\nINFO : task 10000001 is done: 3 of 3 jobs finished\n$/);
  assert.equal(stderr, 'task 10000001 is running: 1 of 3 jobs finished\ntask 10000001 is done: 3 of 3 jobs finished\n');
});

test('--wait ends with status 1 and the reason when a job did not finish', async () => {
  using folder = elsewhere();
  await using stub = await startStub(accepting(HALF));
  const { status, stderr } = await run('prun', LINE, stub.url, { cwd: folder.path });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /\nERROR : task 10000001 is finished: 2 of 3 jobs finished, 1 failed; job 3: exit status 7\. "pbook logs 10000001"/,
  );
  const json = await run('prun', [...LINE, '--json'], stub.url, { cwd: folder.path });
  assert.equal(json.status, 1);
  const { success, message, data } = JSON.parse(json.stdout);
  assert.deepEqual([success, message], [false, 'the task is finished']);
  const { status: state, jediTaskID, nfilesfailed } = data;
  assert.deepEqual([state, jediTaskID, nfilesfailed], ['finished', 10000001, 1]);
});

test('--wait goes on when the server does not answer for a while', async () => {
  using folder = elsewhere();
  let asked = 0;
  await using stub = await startStub({
    ...accepting(),
    'task/get_tasks_detailed_info_since': (_request, response) => {
      asked += 1;
      if (asked > 1) return ok([DONE]);
      response.writeHead(503).end();
      return undefined;
    },
  });
  const { status, stderr } = await run('prun', LINE, stub.url, { cwd: folder.path });
  assert.equal(status, 0);
  assert.match(stderr, /WARNING : .* cannot answer now: .*; trying on\n/);
});

test('at a terminal a bar moves, and Ctrl-C stops waiting and tells how to go on', { skip: noTerminal }, async () => {
  using folder = elsewhere();
  await using stub = await startStub(accepting(RUNNING));
  await using terminal = openTerminal(LINE, stub.url, { program: 'prun', cwd: folder.path });
  await terminal.sees(/running \[#{10}\.{20}\] 1 of 3 jobs finished/);
  terminal.type('\x03');
  await terminal.sees(/the task goes on.*"pbook logs -f 10000001".*"pbook kill 10000001" ends it/);
  assert.equal(await terminal.status(), 130);
  assert.ok(!stub.seen.some(({ path }) => path === 'task/kill'));
});

test('a dumb terminal gets lines in place of a bar, without a control sequence', { skip: noTerminal }, async () => {
  using folder = elsewhere();
  await using stub = await startStub(accepting(RUNNING, DONE));
  await using terminal = openTerminal(LINE, stub.url, { program: 'prun', cwd: folder.path, env: { TERM: 'dumb' } });
  assert.equal(await terminal.status(), 0);
  assert.match(terminal.raw(), /task 10000001 is running: 1 of 3 jobs finished\r\n/);
  assert.ok(!terminal.raw().includes('\x1b'));
});

const READY = { ...RUNNING, status: 'ready', superStatus: 'ready', nfilesfinished: 0, site: 'Q' };

test('--wait says that no pilot serves the queue of the task, once', async () => {
  using folder = elsewhere();
  await using stub = await startStub({
    ...accepting(READY, READY, DONE),
    'task/check_site': () => ok({ pilots: 0, running: 0 }),
  });
  const { status, stderr } = await run('prun', [...LINE, '--site', 'Q'], stub.url, { cwd: folder.path });
  assert.equal(status, 0);
  assert.equal(stderr.match(/no pilot serves queue Q: the task waits until one joins\n/g)?.length, 1);
});

test('--wait says nothing of pilots where one is, or where the server does not tell', async () => {
  using folder = elsewhere();
  for (const handlers of [{ 'task/check_site': () => ok({ pilots: 1, running: 0 }) }, {}]) {
    await using stub = await startStub({ ...accepting(READY, DONE), ...handlers });
    const { stderr } = await run('prun', [...LINE, '--site', 'Q'], stub.url, { cwd: folder.path });
    assert.doesNotMatch(stderr, /no pilot/);
  }
});

test('--timeout gives the waiting up with status 124, and not the task', async () => {
  using folder = elsewhere();
  await using stub = await startStub(accepting(RUNNING));
  const line = [...LINE, '--timeout', '1s'];
  const { status, stderr } = await run('prun', line, stub.url, { cwd: folder.path });
  assert.equal(status, 124);
  assert.match(stderr, /the task has not ended after 1 seconds; the task goes on\. "pbook show 10000001"/);
  assert.ok(!stub.seen.some(({ path }) => path === 'task/kill'));
  const json = await run('prun', [...line, '--json'], stub.url, { cwd: folder.path });
  const { success, data } = JSON.parse(json.stdout);
  assert.deepEqual([json.status, success, data.status], [124, false, 'running']);
  assert.equal((await run('prun', ['--exec', 'x', '--outDS', 'y', '--timeout', '1s'], stub.url)).status, 2);
});
