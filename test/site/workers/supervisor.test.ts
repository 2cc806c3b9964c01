import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import {
  MAX_FIRST_START_SILENCES,
  MAX_START_SILENCES,
  MAX_WORKER_SILENCES,
  WORKER_CHECK_SECONDS,
} from '../../../src/protocol/limits.ts';
import { readyFolder } from '../../../src/site/data-folder.ts';
import { readSettings } from '../../../src/site/settings.ts';
import { WORKER_VARIABLE } from '../../../src/site/workers/messages.ts';
import { superviseWorkers } from '../../../src/site/workers/supervisor.ts';
import { pandaSecrets } from '../../cli/panda-secrets.ts';
import { freePort } from '../../free-port.ts';
import { until } from '../../pilot/folders.ts';
import { programPath } from '../../programs.ts';

const linux = { skip: process.platform === 'linux' ? false : 'the processes of a server are looked up in /proc' };

const FLAGS = ['--experimental-ffi', '--disable-sigusr1'];

/** The children of this process. */
const children = () =>
  readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Workers that this process supervises. They are checked when the test says so. */
async function supervised(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  // Before its folder goes.
  t.after(async () => (await starting).stop());
  const port = await freePort();
  const program = pandaSecrets(t);
  const logged: { msg: string; worker: number; pid: number }[] = [];
  const logger = pino({}, { write: (line) => void logged.push(JSON.parse(line)) });
  const settings = readSettings({ data: program.data, port: String(port), workers: '2', logLevel: 'error' }, {});
  // Its supervisor's part.
  await readyFolder(program.data);
  const starting = superviseWorkers({
    settings,
    count: 2,
    program: {
      file: programPath('panda-secrets'),
      words: ['serve'],
      // Without them it starts itself anew, and has lost the channel then.
      flags: [
        ...FLAGS.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag)),
        '--disable-warning=ExperimentalWarning',
      ],
      environment: { PATH: process.env['PATH'], [WORKER_VARIABLE]: String(process.pid) },
    },
    logger,
    onEnd: (status) => assert.fail(`all ended: ${status}`),
  });
  const url = `http://127.0.0.1:${port}`;
  return { program, starting, logged, url, check: () => t.mock.timers.tick(WORKER_CHECK_SECONDS * 1000) };
}

/** That serve, and a user's token. */
async function serving(t: TestContext) {
  const { program, starting, ...others } = await supervised(t);
  const workers = await starting;
  await program.run(['user', 'add', 'alice']);
  const token = (await program.run(['token', 'alice'])).stdout.trim();
  return { ...others, workers, token };
}

/** A connection that is kept: always to the same worker. */
function lineTo(t: TestContext, url: string, token: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return (key: string) =>
    new Promise<string>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const sent = request(`${url}/api/v1/creds/set_user_secrets`, { method: 'POST', agent, headers });
      sent.once('response', (response) => void text(response).then(resolve, reject));
      sent.once('error', reject);
      sent.end(JSON.stringify({ key, value: 'v' }));
    });
}

/** Of a connection of its own. @returns the status */
function healthAt(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/healthz`, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** @param between a worker that does not hang answers it, and the check */
async function checkAll(check: () => void, times: number, between: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < times; n++) {
    check();
    await between();
  }
}

/** Waits for a line with these words. */
function comes(logged: readonly { msg: string }[], words: string): Promise<unknown> {
  return until(() => logged.some(({ msg }) => msg === words), Boolean);
}

test(
  'a worker that stands still is killed, and neither its connections nor the turn to write wait for it',
  linux,
  async (t) => {
    const { workers, logged, url, token, check } = await serving(t);
    const before = children();
    assert.equal(before.length, 2);
    assert.equal(await workers.areAnswering(), true);
    // Both have the turn by turns.
    let isOver = false;
    const ended = [0, 1].flatMap((n) => {
      const set = lineTo(t, url, token);
      return (async () => {
        while (!isOver) assert.match(await set(`KEY_${n}`), /"success":true/);
      })().catch(({ code }: NodeJS.ErrnoException) => code);
    });
    t.after(() => {
      isOver = true;
    });
    const [victim = 0, other] = before;
    process.kill(victim, 'SIGSTOP');
    // One of two connections goes to the other worker.
    const answer = () => Promise.any([healthAt(url), healthAt(url)]);
    await checkAll(check, MAX_WORKER_SILENCES + 1, answer);
    let hasAnswered = false;
    const answering = workers.areAnswering().then(() => {
      hasAnswered = true;
    });
    assert.equal(hasAnswered, false);
    assert.match(String(await Promise.race(ended)), /ECONNRESET|EPIPE/);
    await answering;
    await comes(logged, 'a worker was started anew');
    const killed = logged.find(({ msg }) => msg === 'a worker does not answer, and is killed');
    assert.equal(killed?.pid, victim);
    assert.ok(!children().includes(victim) && children().includes(Number(other)));
    for (let n = 0; n < 4; n++) assert.match(await lineTo(t, url, token)('LATER'), /"success":true/);
  },
);

test('a worker that hangs while the server starts is killed, and another is started in its place', linux, async (t) => {
  const { starting, logged, url, check } = await supervised(t);
  let hasStarted = false;
  void starting.then(() => {
    hasStarted = true;
  });
  const [first = 0] = children();
  process.kill(first, 'SIGSTOP');
  for (let n = 0; n < MAX_FIRST_START_SILENCES; n++) check();
  assert.deepEqual(logged, [], 'it may be making tables');
  check();
  // The second one starts when one serves in the place of the first.
  const [, second = 0] = await until(children, (now) => now.length === 2 && !now.includes(first));
  process.kill(second, 'SIGSTOP');
  assert.equal(hasStarted, false);
  await checkAll(check, MAX_START_SILENCES + 1, () => healthAt(url));
  await starting;
  const hung = logged.filter(({ msg }) => msg === 'a worker hangs while it starts, and is killed');
  assert.deepEqual(
    hung.map(({ worker, pid }) => [worker, pid]),
    [
      [1, first],
      [2, second],
    ],
  );
  assert.equal(children().length, 2);
});

test(
  'a worker that hangs while it is started anew is killed and started anew, and the other one serves',
  linux,
  async (t) => {
    const { logged, url, check } = await serving(t);
    const before = children();
    const [victim = 0, other = 0] = before;
    process.kill(victim, 'SIGKILL');
    const next = await until(
      () => children().find((pid) => !before.includes(pid)) ?? 0,
      (pid) => pid > 0,
    );
    process.kill(next, 'SIGSTOP');
    await checkAll(check, MAX_START_SILENCES + 1, async () => assert.equal(await healthAt(url), 200));
    await comes(logged, 'a worker hangs while it starts, and is killed');
    await comes(logged, 'a worker was started anew');
    assert.ok(children().includes(other));
    assert.equal(children().length, 2);
  },
);
