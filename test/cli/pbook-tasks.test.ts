import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { create } from 'tar';
import type { JobDescription } from '../../src/protocol/calls/job.ts';
import type { ListedTask } from '../../src/protocol/calls/task.ts';
import { type Handler, no, ok, startStub } from '../client/stub-server.ts';
import { dataOf, run } from './run.ts';

const TASK: ListedTask = {
  jediTaskID: 10000001,
  reqID: 7,
  taskName: 'user.adoe.one/',
  userName: 'A Doe',
  creationDate: '2026-01-02 03:04:05',
  modificationTime: '2026-01-02 03:05:05',
  superStatus: 'running',
  status: 'running',
  errorDialog: '',
  pctfinished: 50,
  pctfailed: 0,
  nfiles: 2,
  nfilesfinished: 1,
  nfilesfailed: 0,
  site: null,
};
const FAILED = { ...TASK, jediTaskID: 10000002, status: 'failed', taskName: 'user.adoe.two/', errorDialog: 'exit 3' };

test('show lists tasks in columns', async () => {
  await using stub = await startStub(tasks([TASK, FAILED]));
  const { status, stdout } = await run('pbook', ['show'], stub.url);
  assert.equal(status, 0);
  assert.equal(
    stdout,
    [
      ' JediTaskID  ReqID   Status  Progress  TaskName',
      ' ----------  -----  -------  --------  --------------',
      '   10000001      7  running       50%  user.adoe.one/',
      '   10000002      7   failed       50%  user.adoe.two/',
      '',
    ].join('\n'),
  );
});

test('show run and show fin choose by state', async () => {
  await using stub = await startStub(tasks([TASK, FAILED]));
  const shown = async (...args: string[]) => {
    const shownTasks = dataOf(await run('pbook', ['show', ...args, '--json'], stub.url)) as ListedTask[];
    return shownTasks.map(({ jediTaskID }) => jediTaskID);
  };
  assert.deepEqual(await shown('run'), [10000001]);
  assert.deepEqual(await shown('fin'), [10000002]);
  assert.deepEqual(await shown(), [10000001, 10000002]);
});

test('show ID asks for that task of any age, and tells why it failed', async () => {
  await using stub = await startStub(tasks([FAILED]));
  const { stdout, stderr } = await run('pbook', ['show', '10000002'], stub.url);
  assert.match(stdout, /10000002: exit 3/);
  assert.equal(stderr, '');
  assert.equal(stub.seen[0]?.query.get('filters'), '{"jediTaskID":"10000002"}');
  assert.equal(stub.seen[0]?.query.get('since'), null);
});

test('show ID says where the files are that a pilot of PanDA put elsewhere', async () => {
  const location = 'davs://storage.example.org/user/adoe/x.out.txt';
  const files = [jobFile(1, 'here.txt', 'output'), { ...jobFile(2, 'x.out.txt', 'output'), location }];
  await using stub = await startStub({ ...tasks([TASK]), 'job/get_files': () => ok(files) });
  const { stdout } = await run('pbook', ['show', '10000001'], stub.url);
  assert.match(
    stdout,
    /\n output of job 2: x\.out\.txt\n {3}davs:\/\/storage\.example\.org\/user\/adoe\/x\.out\.txt\n$/,
  );
  assert.doesNotMatch(stdout, /here\.txt/);
});

test("show takes the keyword arguments of PanDA's pbook", async () => {
  await using stub = await startStub(tasks([TASK]));
  const { stdout } = await run('pbook', ['show', 'status=running', "format='long'", 'days=2', 'limit=5'], stub.url);
  assert.match(stdout, /CreationDate.*\n.*\n.*2026-01-02 03:04:05.*1\|0\|2/);
  assert.equal(stub.seen[0]?.query.get('n_tasks'), '5');
  assert.equal(stub.seen[0]?.query.get('filters'), '{"status":"running"}');
  for (const word of ['colour=red', 'days=soon', 'format=xml', 'running']) {
    assert.equal((await run('pbook', ['show', word], stub.url)).status, 2, word);
  }
});

test('a task that does not exist is refused', async () => {
  await using stub = await startStub(tasks([]));
  const { status, stderr } = await run('pbook', ['show', '10000009'], stub.url);
  assert.equal(status, 1);
  assert.match(stderr, /you have no task 10000009/);
});

test('the name of a task cannot drive the terminal', async () => {
  await using stub = await startStub(tasks([{ ...TASK, taskName: '\x1b]0;x\x07' }]));
  assert.match((await run('pbook', ['show'], stub.url)).stdout, /\\x1b\]0;x\\x07/);
});

test('show ID lists the jobs with their state, attempt, place and reason', async () => {
  const jobs = [
    job(1, { jobStatus: 'finished', transExitCode: 0 }),
    job(2, { jobStatus: 'failed', attemptNr: 3, transExitCode: 3, pilotErrorDiag: 'exit status 3' }),
  ];
  await using stub = await startStub({ ...tasks([FAILED]), ...described(jobs) });
  const { stdout } = await run('pbook', ['show', '10000002'], stub.url);
  const lines = stdout.split('\n').slice(-5);
  assert.deepEqual(lines, [
    ' Job  PandaID    Status  Attempt  Exit  Queue    Node   Reason',
    ' ---  -------  --------  -------  ----  -------  -----  -------------',
    '   1        1  finished      1/3     0  default  node1',
    '   2        2    failed      3/3     3  default  node1  exit status 3',
    '',
  ]);
  const [task] = dataOf(await run('pbook', ['show', '10000002', '--json'], stub.url)) as [{ jobs: unknown }];
  assert.deepEqual(task.jobs, jobs);
});

test('of a task of many jobs, show ID tells of those that did not finish first', async () => {
  const jobs = Array.from({ length: 450 }, (_, n) => job(n + 1, { jobStatus: n === 444 ? 'failed' : 'finished' }));
  await using stub = await startStub({ ...tasks([FAILED]), ...described(jobs) });
  const { stdout } = await run('pbook', ['show', '10000002'], stub.url);
  assert.match(stdout, /-\n +445 +445 +failed.*\n +1 +1 +finished/);
  assert.match(stdout, / and 400 more, which --json tells of\n$/);
});

test("kill, finish and retry say what PanDA's pbook says, and go on after a task that is refused", async () => {
  const answer: Handler = ({ body }) =>
    JSON.parse(String(body)).task_id === 10000001 ? no('it has ended') : ok(null, 'on its way');
  await using stub = await startStub({ 'task/kill': answer, 'task/finish': answer, 'task/retry': answer });
  for (const command of ['kill', 'finish', 'retry']) {
    const { status, stdout, stderr } = await run('pbook', [command, '10000001,10000002'], stub.url);
    assert.equal(status, 1);
    const { before, done, failed } = SAID[command] ?? assert.fail();
    assert.equal(stdout, [...before, ...before, 'INFO : on its way', ...done, ''].join('\n'));
    assert.equal(stderr, `ERROR : it has ended\nERROR : ${failed}\n`);
  }
  await run('pbook', ['finish', '--soft', '10000002'], stub.url);
  assert.deepEqual(JSON.parse(String(stub.seen.at(-1)?.body)), { task_id: 10000002, soft: true });
});

test('a request id without tasks is a failure with its reason, also for a program', async () => {
  await using stub = await startStub(tasks([]));
  const { status, stdout } = await run('pbook', ['kill', '7', '--json'], stub.url);
  const result = { success: false, message: 'you have no task with the request id 7', data: [] };
  assert.deepEqual([status, JSON.parse(stdout)], [1, result]);
});

test('a small number is a request, and stands for its tasks', async () => {
  await using stub = await startStub({ ...tasks([TASK]), 'task/kill': () => ok() });
  const { stdout } = await run('pbook', ['kill', '7'], stub.url);
  assert.match(stdout, /\nINFO : OK\nINFO : Done, jediTaskID=10000001 will/);
});

test('what is no task id is wrong usage', async () => {
  for (const word of ['all', '-1', '1.5', '0', '1e7', '9007199254740993']) {
    assert.equal((await run('pbook', ['kill', '--', word], 'http://127.0.0.1:1')).status, 2, word);
  }
});

test('logs prints what is in the packed logs, job by job', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  writeFileSync(join(folder.path, 'log'), 'hello\n'.repeat(100_000));
  await create({ cwd: folder.path, file: join(folder.path, 'packed'), gzip: true }, ['log']);
  const packed = readFileSync(join(folder.path, 'packed'));
  await using stub = await startStub({
    'job/get_files': () =>
      ok([jobFile(1, 'a.log.tgz', 'log'), jobFile(1, 'out.txt', 'output'), jobFile(2, 'b.txt', 'log')]),
    'task/get_job_ids': () => ok([1, 2]),
    'job/get_file': ({ query }, response) => sendBytes(response, query.get('job_id') === '1' ? packed : 'plain\n'),
  });
  const { status, stdout, stderr } = await run('pbook', ['logs', '10000001'], stub.url);
  assert.equal(status, 0);
  assert.equal(stdout, `${'hello\n'.repeat(100_000)}plain\n`);
  assert.match(stderr, /job 1 of 2.*\n.*job 2 of 2/);
});

test('logs prints what has come of the logs of jobs that run', async () => {
  await using stub = await startStub({
    'job/get_files': () => ok([jobFile(2, 'b.txt', 'log')]),
    'task/get_job_ids': () => ok([1, 2, 3]),
    'job/get_file': (_request, response) => sendBytes(response, 'ended\n'),
    'job/get_log': liveLog({ 1: 'still running\n', 3: '' }),
  });
  const { stdout, stderr } = await run('pbook', ['logs', '10000001'], stub.url);
  assert.equal(stdout, 'still running\nended\n');
  assert.equal(stderr, '==> job 1 of 3 (PandaID 1) <==\n==> job 2 of 3 (PandaID 2) <==\n');
});

test('logs --follow prints lines of several jobs whole, each behind its job, and ends with the task', async () => {
  let asked = 0;
  await using stub = await startStub({
    'task/get_job_ids': () => ok([1, 2]),
    'job/get_description': ({ query }) => {
      asked += 1;
      const jobStatus = asked > 1 ? 'finished' : 'running';
      return ok(query.getAll('job_ids').map((id) => job(Number(id), { jobStatus })));
    },
    'job/get_log': (request) =>
      liveLog(asked > 1 ? { 1: 'one\ntwo\n', 2: 'uno\nno line end' } : { 1: 'one\ntw', 2: 'uno\n' })(
        request,
        undefined as never,
      ),
    'task/get_status': () => ok('done'),
  });
  const { status, stdout, stderr } = await run('pbook', ['logs', '-f', '10000001'], stub.url);
  assert.equal(status, 0);
  assert.equal(stdout, '1 | one\n2 | uno\n1 | two\n2 | no line end\n');
  assert.equal(stderr, 'task 10000001 is done\n');
});

test('a damaged log is an error', async () => {
  await using stub = await startStub({
    'job/get_files': () => ok([jobFile(1, 'a.log.tgz', 'log')]),
    'task/get_job_ids': () => ok([1]),
    'job/get_file': (_request, response) => sendBytes(response, 'not an archive'),
  });
  const { status, stderr } = await run('pbook', ['logs', '10000001'], stub.url);
  assert.equal(status, 1);
  assert.match(stderr, /is damaged/);
});

test('where there is no log yet, the state of the task says why', async () => {
  await using stub = await startStub({
    'job/get_files': () => ok([]),
    'task/get_job_ids': () => ok([1]),
    'job/get_log': liveLog({ 1: '' }),
    'task/get_status': () => ok('running'),
  });
  const { status, stderr } = await run('pbook', ['logs', '10000001'], stub.url);
  assert.equal(status, 1);
  assert.match(stderr, /no log so far; it is running/);
});

test('get_outputs writes the outputs into a directory, and is safe to repeat', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  const dir = join(folder.path, 'new/results');
  await using stub = await startStub(outputs(['one.txt', 'two.txt']));
  assert.equal((await run('pbook', ['get_outputs', '10000001', '--dir', dir], stub.url)).status, 0);
  const again = await run('pbook', ['get_outputs', '10000001', '--dir', dir], stub.url);
  assert.match(again.stdout, /one\.txt is there already\n.*two\.txt is there already\n$/);
  assert.deepEqual(readdirSync(dir).sort(), ['one.txt', 'two.txt']);
  assert.equal(readFileSync(join(dir, 'one.txt'), 'utf8'), 'result');
});

test('get_outputs does not replace another file of the same name unless it is told to', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  const path = join(folder.path, 'one.txt');
  writeFileSync(path, 'my own');
  await using stub = await startStub(outputs(['one.txt']));
  const refused = await run('pbook', ['get_outputs', '10000001'], stub.url, { cwd: folder.path });
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /--force replaces it/);
  assert.equal(readFileSync(path, 'utf8'), 'my own');
  await run('pbook', ['get_outputs', '10000001', '--force'], stub.url, { cwd: folder.path });
  assert.equal(readFileSync(path, 'utf8'), 'result');
});

test('an output whose name is a path is refused', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  for (const name of ['../evil', '/tmp/evil', '..', 'a/b', 'a\nb']) {
    await using stub = await startStub(outputs([name]));
    const { status } = await run('pbook', ['get_outputs', '10000001', '--dir', join(folder.path, 'in')], stub.url);
    assert.equal(status, 1, name);
  }
  assert.deepEqual(readdirSync(folder.path), []);
});

test('an output that breaks off leaves nothing behind', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pbook-test-'));
  await using stub = await startStub({
    ...outputs(['one.txt']),
    'job/get_file': (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': 100 }).write('half');
      setImmediate(() => response.destroy());
    },
  });
  assert.equal((await run('pbook', ['get_outputs', '10000001', '--dir', folder.path], stub.url)).status, 1);
  assert.deepEqual(readdirSync(folder.path), []);
});

const SAID: Record<string, { before: string[]; done: string[]; failed: string }> = {
  kill: {
    before: ['INFO : Sending killTask command ...'],
    done: ["INFO : Done, jediTaskID=10000002 will be killed within 8 seconds, on a pilot of PanDA's own within 30 min"],
    failed: 'Failed to kill jediTaskID=10000001',
  },
  finish: {
    before: ['INFO : Sending finishTask command ...'],
    done: ['INFO : Done, jediTaskID=10000002 will be finished soon'],
    failed: 'Failed to finish jediTaskID=10000001',
  },
  retry: { before: [], done: [], failed: 'Failed to retry TaskID=10000001' },
};

function job(id: number, change: Partial<JobDescription>): JobDescription {
  return {
    PandaID: id,
    jediTaskID: 10_000_001,
    taskID: 10_000_001,
    reqID: 10_000_001,
    jobsetID: id,
    jobStatus: 'running',
    attemptNr: 1,
    maxAttempt: 3,
    computingSite: 'default',
    modificationHost: 'node1',
    transExitCode: null,
    pilotErrorCode: null,
    pilotErrorDiag: null,
    creationTime: '2026-01-01 00:00:00',
    modificationTime: '2026-01-01 00:00:00',
    startTime: null,
    endTime: null,
    Files: [],
    ...change,
  };
}

function described(jobs: readonly JobDescription[]): Record<string, Handler> {
  return {
    'task/get_job_ids': () => ok(jobs.map(({ PandaID }) => PandaID)),
    'job/get_description': ({ query }) => {
      const ids = query.getAll('job_ids').map(Number);
      return ok(jobs.filter(({ PandaID }) => ids.includes(PandaID)));
    },
  };
}

/** @param logs the part of each job's that has come */
function liveLog(logs: Record<number, string>): Handler {
  return ({ query }) => {
    const offset = Number(query.get('offset'));
    const content = Buffer.from(logs[Number(query.get('job_id'))] ?? '').subarray(offset);
    return ok({ job_id: 1, attempt: 1, offset, content: content.toString('base64'), log_file: null });
  };
}

function tasks(listed: readonly ListedTask[]): Record<string, Handler> {
  return { 'task/get_tasks_detailed_info_since': () => ok(listed) };
}

function jobFile(job: number, name: string, kind: 'log' | 'output') {
  return { job_id: job, serial: job, attempt: 1, name, kind, size: 6 };
}

function outputs(names: readonly string[]): Record<string, Handler> {
  return {
    'job/get_files': () => ok(names.map((name) => jobFile(1, name, 'output'))),
    'job/get_file': (_request, response) => sendBytes(response, 'result'),
  };
}

function sendBytes(response: ServerResponse, bytes: string | Uint8Array): void {
  response.setHeader('Content-Type', 'application/octet-stream').end(bytes);
}
