import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { readyFolder } from '../../../src/site/data-folder.ts';
import { readSettings } from '../../../src/site/settings.ts';
import { WORKER_VARIABLE } from '../../../src/site/workers/messages.ts';
import { superviseWorkers } from '../../../src/site/workers/supervisor.ts';
import { pandaSecrets } from '../../cli/panda-secrets.ts';
import { until } from '../../pilot/folders.ts';
import { programPath } from '../../programs.ts';

const linux = { skip: process.platform === 'linux' ? false : 'the processes of a server are looked up in /proc' };

const FLAGS = ['--experimental-ffi', '--disable-sigusr1'];

/** The children of this process. */
const children = () =>
  readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Workers that this process supervises. */
async function supervised(t: TestContext, checkMilliseconds: number) {
  const program = pandaSecrets(t);
  const logged: { msg: string; worker: number; pid: number }[] = [];
  const logger = pino({}, { write: (line) => void logged.push(JSON.parse(line)) });
  const settings = readSettings({ data: program.data, port: '0', workers: '2', logLevel: 'error' }, {});
  // Its supervisor's part.
  await readyFolder(program.data);
  const workers = await superviseWorkers({
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
    checkMilliseconds,
    onEnd: (status) => assert.fail(`all ended: ${status}`),
  });
  t.after(workers.stop);
  await program.run(['user', 'add', 'alice']);
  const token = (await program.run(['token', 'alice'])).stdout.trim();
  return { workers, logged, url: workers.seen.address, token };
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

test(
  'a worker that stands still is killed, and neither its connections nor the turn to write wait for it',
  linux,
  async (t) => {
    const { workers, logged, url, token } = await supervised(t, 300);
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
    let hasAnswered = false;
    const answering = workers.areAnswering().then(() => {
      hasAnswered = true;
    });
    assert.equal(hasAnswered, false);
    assert.match(String(await Promise.race(ended)), /ECONNRESET|EPIPE/);
    await answering;
    await until(() => logged.some(({ msg }) => msg === 'a worker was started anew'), Boolean);
    const killed = logged.find(({ msg }) => msg === 'a worker does not answer, and is killed');
    assert.equal(killed?.pid, victim);
    assert.ok(!children().includes(victim) && children().includes(Number(other)));
    for (let n = 0; n < 4; n++) assert.match(await lineTo(t, url, token)('LATER'), /"success":true/);
  },
);
