import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { READINESS_FRESH_SECONDS } from '../../src/protocol/limits.ts';
import { freePort } from '../free-port.ts';
import { taskParameters } from '../jobs/farm.ts';
import { untilAnswer } from '../patience.ts';
import { until } from '../pilot/folders.ts';
import { sample, samplesAt, valueAt } from '../server/metrics.ts';
import { eachStore } from '../stores.ts';
import { unlessGone } from '../unless-gone.ts';
import { type Line, lineTo, secretsBy, setSecret, tokenOf, workersAt, workersOf } from './kept-lines.ts';
import { noReceiver, receiver } from './notified.ts';
import { pandaSecrets, type RunningServer } from './panda-secrets.ts';
import { noTerminal, openTerminal } from './terminal.ts';

/** Waits until it is so. */
const becomes = (isSo: () => boolean) => until(isSo, (so) => so);

const WITH_WORKERS = ['--workers', '2'];

/** The ids of all jobs that a pilot gets, or of the first ones. */
async function allJobs(pilot: Line, most = Number.POSITIVE_INFINITY): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < most) {
    const { data } = await pilot.post('pilot/acquire_jobs', { site_name: 'default', n_jobs: 1 });
    const { jobs = [] } = (data ?? {}) as { jobs?: { PandaID: number }[] };
    if (jobs.length === 0) return ids;
    ids.push(...jobs.map(({ PandaID }) => PandaID));
  }
  return ids;
}

function metricsOf({ output }: RunningServer): string {
  return /metrics: {2}(\S+)\/metrics/.exec(output.stdout)?.[1] ?? '';
}

/** Of all attempts, as if their pilots had been silent for as long. */
function endLeases(data: string): void {
  using database = new DatabaseSync(join(data, 'panda.db'));
  database.exec('PRAGMA busy_timeout = 60000; UPDATE attempts SET lease_until = 1');
}

const linux = { skip: process.platform === 'linux' ? false : 'the processes of a server are looked up in /proc' };
const isRunning = (pid: number) =>
  /^State:\s+[^ZX]/m.test(unlessGone(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '');

eachStore(
  'a set, a task and its job through one worker are seen at once by the other, and counts add up',
  async (t, { url }) => {
    const program = pandaSecrets(t);
    const environment = url === undefined ? {} : { PANDA_SECRETS_DATABASE: url };
    const server = await program.serve([...WITH_WORKERS, '--metrics-listen', '127.0.0.1:0'], environment);
    const token = await tokenOf(program, 'alice', environment);
    const [one, other] = [lineTo(t, server.url, token), lineTo(t, server.url, token)];
    for (let n = 0; n < 20; n++) {
      const [first, second] = n % 2 === 0 ? [one, other] : [other, one];
      assert.equal((await setSecret(first, 'KEY', `value ${n}`)).success, true);
      assert.deepEqual(await secretsBy(second), { KEY: `value ${n}` });
    }
    const bearer = (await program.run(['pilot-token', '--queue', 'default', '--bearer'], environment)).stdout.trim();
    for (let n = 0; n < 12; n++) {
      const task_parameters = taskParameters(`user.alice.n${n}`);
      assert.equal((await (n % 2 === 0 ? one : other).post('task/submit', { task_parameters })).success, true);
    }
    const pilots = Array.from({ length: 4 }, () => lineTo(t, server.url, bearer));
    const taken = (await Promise.all(pilots.map((pilot) => allJobs(pilot)))).flat();
    assert.equal(taken.length, 12);
    assert.equal(new Set(taken).size, 12, 'each job went to one pilot');

    const metricsUrl = metricsOf(server);
    await becomes(() => server.output.stderr.split('"path":"/api/v1/creds/set_user_secrets"').length === 21);
    const logged = server.output.stderr.split('\n').filter((line) => line.includes('set_user_secrets'));
    const byWorker = Map.groupBy(logged, (line) => (JSON.parse(line) as { worker: number }).worker);
    assert.deepEqual(
      [...byWorker.values()].map((lines) => lines.length),
      [10, 10],
    );
    for (let n = 0; n < 2; n++) {
      const samples = await samplesAt({ metricsUrl });
      assert.equal(
        valueAt(samples, 'panda_secrets_requests_total', { call: 'creds/set_user_secrets', outcome: 'ok' }),
        20,
      );
      assert.equal(
        valueAt(samples, 'panda_secrets_request_seconds_count', { call: 'creds/get_user_secrets', result: 'ok' }),
        20,
      );
      assert.equal(valueAt(samples, 'panda_secrets_ready'), 1);
    }
  },
);

test(
  'a worker that is killed under load takes nothing answered with it and no connection of the other, and another comes',
  linux,
  async (t) => {
    const program = pandaSecrets(t);
    const server = await program.serve([...WITH_WORKERS, '--metrics-listen', '127.0.0.1:0']);
    const token = await tokenOf(program, 'alice');
    const answered = new Map<string, string>();
    let isOver = false;
    t.after(() => {
      isOver = true;
    });
    let requests = 0;
    let failures = 0;
    const failedLines = new Set<number>();
    // One after the other: they take turns with the workers.
    const lines: Line[] = [];
    for (let n = 0; n < 8; n++) {
      const line = lineTo(t, server.url, token);
      lines.push(line);
      await setSecret(line, `KEY_${n}`, 'value -1');
    }
    const keepSetting = async (first: Line, n: number) => {
      let line = first;
      for (let count = 0; !isOver; count++) {
        const value = `value ${count}`;
        try {
          assert.equal((await setSecret(line, `KEY_${n}`, value)).success, true);
          answered.set(`KEY_${n}`, value);
          requests += 1;
        } catch (error) {
          assert.match(String((error as NodeJS.ErrnoException).code), /ECONNRESET|EPIPE/);
          failures += 1;
          failedLines.add(n);
          line = lineTo(t, server.url, token);
        }
      }
    };
    const metricsUrl = metricsOf(server);
    const probed = new Set<string>();
    // Each on a connection of its own, so that some are on their way to a worker at any moment.
    const keepComing = async (url: string) => {
      while (!isOver) {
        await new Promise<void>((resolve) => {
          const sent = request(url, { agent: false }, (response) => {
            void text(response)
              .then((told) => probed.add(told))
              .finally(resolve);
          });
          sent.once('error', () => resolve());
          sent.end();
        });
        requests += 1;
      }
    };
    const probes = ['/healthz', '/healthz', '/healthz', '/readyz'].map((path) => `${server.url}${path}`);
    const load = [...lines.map(keepSetting), ...[...probes, `${metricsUrl}/readyz`].map(keepComing)];
    const progress = async () => {
      const before = requests;
      await becomes(() => requests > before + 100);
    };
    await progress();
    for (const round of [1, 2]) {
      const [victim = 0] = workersOf(server);
      failedLines.clear();
      process.kill(victim, 'SIGKILL');
      if (round === 1) await becomes(() => failedLines.size >= 4);
      await progress();
      if (round === 1) assert.equal(failedLines.size, 4, 'the other worker kept its connections');
      await becomes(() => server.output.stderr.split('a worker was started anew').length === round + 1);
      assert.equal(workersOf(server).length, 2);
      await progress();
    }
    isOver = true;
    await Promise.all(load);
    assert.ok(failures > 0, 'connections of those that were killed');
    assert.ok(![...probed].some((told) => /starting/.test(told)), 'nobody hears of the one that starts');
    const kept = await secretsBy(lineTo(t, server.url, token));
    for (const [key, value] of answered) {
      const [was, is] = [value, kept[key]].map((text) => Number(text?.slice('value '.length)));
      assert.ok(Number(is) >= Number(was), `${key}: ${value} was answered, ${kept[key]} is there`);
    }
    assert.equal(valueAt(await samplesAt({ metricsUrl }), 'panda_secrets_ready'), 1);
  },
);

test('counts go up alone, however many workers die', linux, async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve([...WITH_WORKERS, '--metrics-listen', '127.0.0.1:0']);
  const token = await tokenOf(program, 'alice');
  const metricsUrl = metricsOf(server);
  /** Each that was ever told, as it was told last. */
  const told = new Map<string, number>();
  const look = async () => {
    // Each worker tells the same for so long.
    await pause(READINESS_FRESH_SECONDS * 1000);
    // One that is killed meanwhile tells nothing.
    const { text = '', samples } = await samplesAt({ metricsUrl }).catch(() => ({ text: '', samples: [] }));
    const counts = new Set([...text.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name]) => name));
    const isCount = (name: string) => counts.has(name) || counts.has(name.replace(/_(bucket|sum|count)$/, ''));
    const now = new Map(
      samples.map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, { name, value }]),
    );
    if (samples.length === 0) return;
    for (const [key, before] of told) assert.ok((now.get(key)?.value ?? 0) >= before, `${key} was ${before}`);
    for (const [key, { name, value }] of now) if (isCount(name)) told.set(key, value);
  };
  const timesStarted = () => server.output.stderr.split('a worker was started anew').length - 1;
  let sets = 0;
  for (const round of [1, 2, 3]) {
    for (const line of [lineTo(t, server.url, token), lineTo(t, server.url, token)]) {
      for (let n = 0; n < 5; n++, sets++) await setSecret(line, 'KEY', `value ${sets}`);
    }
    await look();
    process.kill(workersOf(server)[round % 2] ?? 0, 'SIGKILL');
    await untilAnswer(() => look().then(timesStarted), round);
    await look();
  }
  const labels = { call: 'creds/set_user_secrets', outcome: 'ok' };
  assert.equal(valueAt(await samplesAt({ metricsUrl }), 'panda_secrets_requests_total', labels), sets);
});

test(
  'when the worker dies that does what the server does by itself, another goes on with it, once',
  linux,
  async (t) => {
    const program = pandaSecrets(t);
    const config = join(program.data, '..', 'config.toml');
    writeFileSync(config, 'workers = 2\nlease_seconds = 1\nmetrics_listen = "127.0.0.1:0"\n');
    const server = await program.serve(['--config', config]);
    const alice = lineTo(t, server.url, await tokenOf(program, 'alice'));
    const bearer = (await program.run(['pilot-token', '--queue', 'default', '--bearer'])).stdout.trim();
    const TASKS = 5;
    for (let n = 0; n < TASKS; n++) {
      const task_parameters = { ...taskParameters(`user.alice.n${n}`), maxAttempt: 10 };
      assert.equal((await alice.post('task/submit', { task_parameters })).success, true);
    }
    const takenOver = () => server.output.stderr.split('another worker does what the server does by itself').length - 1;
    const lost = async () => {
      const samples = await samplesAt({ metricsUrl: metricsOf(server) });
      return sample(samples, 'panda_secrets_attempts_ended_total', { how: 'lost', retried: 'yes' })?.value ?? 0;
    };
    let [leader = 0] = workersOf(server);
    for (const round of [1, 2]) {
      const [other = 0] = workersOf(server).filter((pid) => pid !== leader);
      process.kill(leader, 'SIGKILL');
      await becomes(() => takenOver() === round);
      await becomes(() => server.output.stderr.split('a worker was started anew').length - 1 === round);
      leader = other;
      // A pilot that is never heard of again.
      assert.equal((await allJobs(lineTo(t, server.url, bearer), TASKS)).length, TASKS);
      endLeases(program.data);
      await untilAnswer(lost, TASKS * round);
    }
    assert.equal(takenOver(), 2);
  },
);

const noPrlimit = spawnSync('prlimit', ['--version']).error && 'prlimit of util-linux is missing';

test('workers without a descriptor left close the connections that they cannot take, and serve again when some are free', {
  skip: linux.skip || noPrlimit,
}, async (t) => {
  const server = await pandaSecrets(t).serve(WITH_WORKERS);
  for (const pid of workersOf(server)) spawnSync('prlimit', ['--pid', String(pid), '--nofile=64:64']);
  const flood = Array.from({ length: 200 }, () => connect(Number(new URL(server.url).port), '127.0.0.1'));
  let closed = 0;
  for (const socket of flood) socket.on('error', () => {}).once('close', () => closed++);
  await becomes(() => closed > 0);
  for (const socket of flood) socket.destroy();
  // They hear of the ends of those a moment later.
  const isAlive = () =>
    lineTo(t, server.url)
      .get('system/is_alive')
      .then(
        ({ success }) => success,
        () => false,
      );
  for (let n = 0; n < 4; n++) await untilAnswer(isAlive, true);
});

/** Keeps the second worker from its program: it says that it waits by one file, and goes on at another. */
function secondWaits(waiting: string, go: string): string {
  return `import { existsSync, writeFileSync } from 'node:fs';
    if (process.channel && existsSync(${JSON.stringify(`${waiting}-first`)})) {
      writeFileSync(${JSON.stringify(waiting)}, '');
      while (!existsSync(${JSON.stringify(go)})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    } else if (process.channel) writeFileSync(${JSON.stringify(`${waiting}-first`)}, '');`;
}

test('the service manager is told of a start when all workers serve, of the stop, and no worker is left', {
  skip: linux.skip || noReceiver,
}, async (t) => {
  const program = pandaSecrets(t);
  const [notified, port] = [join(program.data, '..', 'notify'), await freePort()];
  const told = await receiver(t, notified);
  const [waiting, go] = [join(program.data, '..', 'waiting'), join(program.data, '..', 'go')];
  const environment = {
    NOTIFY_SOCKET: notified,
    WATCHDOG_USEC: '1000000',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(secondWaits(waiting, go))}`,
  };
  const { child, ended } = program.start(['serve', '--port', String(port), ...WITH_WORKERS], environment);
  await becomes(() => existsSync(waiting));
  const workers = workersAt(Number(child.pid));
  const line = lineTo(t, `http://127.0.0.1:${port}`);
  assert.equal((await line.get('system/is_alive')).success, true, 'the first one serves');
  assert.equal(told.length, 0);
  writeFileSync(go, '');
  await becomes(() => told.includes('WATCHDOG=1'));
  assert.equal(told[0], `READY=1 STATUS=listening on http://127.0.0.1:${port}`);
  // As systemd does (KillMode=mixed): the others get no signal of their own.
  child.kill('SIGTERM');
  assert.equal((await ended).status, 0);
  await becomes(() => told.includes('STOPPING=1'));
  assert.ok(!workers.some(isRunning));
});

test('workers of a supervisor that was killed end, and another server takes their place', linux, async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve(WITH_WORKERS);
  const workers = workersOf(server);
  assert.equal(workers.length, 2);
  server.process.kill('SIGKILL');
  await becomes(() => !workers.some(isRunning));
  const refused = await new Promise((resolve) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.once('connect', () => resolve('connected'));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  });
  assert.equal(refused, 'ECONNREFUSED');
  const again = await program.serve(WITH_WORKERS);
  assert.equal((await lineTo(t, again.url).get('system/is_alive')).success, true);
  const second = await program.run(['serve', '--port', '0', ...WITH_WORKERS]);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /another server runs on the data folder/);
});

test('SIGTERM lets a request of each worker end', linux, async (t) => {
  const program = pandaSecrets(t);
  const server = await program.serve(WITH_WORKERS);
  const head =
    'POST /api/v1/system/is_alive HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{';
  const begun = await Promise.all(
    [0, 1].map(async () => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
      let read = '';
      socket.setEncoding('utf8').on('data', (text) => (read += text));
      await new Promise((resolve) => socket.write(head, resolve));
      return { socket, ended: new Promise<string>((resolve) => socket.once('close', () => resolve(read))) };
    }),
  );
  // Behind them, so that both have come to their workers.
  for (const _ of begun) await lineTo(t, server.url).get('system/is_alive');
  server.process.kill('SIGTERM');
  await becomes(() => server.output.stderr.includes('"msg":"stopping"'));
  for (const { socket } of begun) socket.write('}');
  for (const { ended } of begun) assert.match(await ended, /^HTTP\/1.1 200 .*wrong HTTP method/s);
  assert.equal((await server.ended).status, 0);
});

test(
  'SIGHUP reaches all workers: the log file, the settings, and failures that they count together',
  linux,
  async (t) => {
    const program = pandaSecrets(t);
    const at = (name: string) => join(program.data, '..', name);
    const [config, log] = [at('config.toml'), at('server.log')];
    writeFileSync(config, 'log_file = "server.log"\nworkers = 2\n');
    const server = await program.serve(['--config', config]);
    const lines = [lineTo(t, server.url, 'bad'), lineTo(t, server.url, 'bad')];
    const fail = async (line = lines[0] as Line) => (await line.get('creds/list_user_secrets')).message;
    for (const line of lines) assert.doesNotMatch(await fail(line), /too many requests/);
    renameSync(log, `${log}.1`);
    writeFileSync(config, 'log_file = "server.log"\nworkers = 3\nfailed_requests = 4\n');
    server.process.kill('SIGHUP');
    const logged = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
    await becomes(() => /"part":"configuration","msg":"read anew/.test(logged()));
    assert.match(logged(), /"settings":\["workers"\]/);
    await becomes(() =>
      [1, 2].every((n) => logged().includes(`"worker":${n},"part":"root keys","msg":"looked for root keys"`)),
    );
    for (const line of logged().trimEnd().split('\n')) JSON.parse(line);
    // Two before the reload, two now through one worker: the other one has heard of them.
    await fail();
    assert.doesNotMatch(await fail(), /too many requests/);
    let message = '';
    while (!/too many requests/.test(message)) message = await fail(lines[1]);
    server.process.kill('SIGTERM');
    assert.equal((await server.ended).status, 0);
  },
);

test('the passphrase of root keys is asked for once, and a worker that comes later has it', {
  skip: noTerminal || linux.skip,
}, async (t) => {
  const { data } = pandaSecrets(t);
  const keys = join(data, '..', 'locked-keys');
  mkdirSync(data, { mode: 0o700 });
  const env = { PANDA_SECRETS_DATA: data, PANDA_SECRETS_ROOT_KEYS: `passphrase:${keys}`, HOME: join(data, '..') };
  await using terminal = openTerminal(['serve', '--port', '0', ...WITH_WORKERS], '', { env, program: 'panda-secrets' });
  await terminal.sees(/Passphrase of the root keys/);
  terminal.type('correct horse battery staple\r');
  const shown = await terminal.sees(/listening on (http:\S+)\n/);
  const [, url = ''] = /listening on (http:\S+)/.exec(shown) ?? [];
  const supervisor = Number(
    await until(
      () => pidOfServer(data),
      (pid) => pid !== undefined,
    ),
  );
  const [first = 0] = workersAt(supervisor);
  process.kill(first, 'SIGKILL');
  await terminal.sees(/a worker was started anew/);
  assert.equal((await lineTo(t, url).get('system/is_alive')).success, true);
  const [, since = ''] = terminal.text().split('listening on');
  assert.doesNotMatch(since, /Passphrase/);
  for (const pid of [supervisor, ...workersAt(supervisor)]) {
    for (const what of ['cmdline', 'environ'])
      assert.doesNotMatch(readFileSync(`/proc/${pid}/${what}`, 'latin1'), /correct horse/);
  }
  terminal.type('\u0003');
  assert.equal(await terminal.status(), 0);
});

/** The process whose data folder is that, and which is no worker. */
function pidOfServer(data: string): number | undefined {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
  return pids.find((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      return (
        environment.includes(`PANDA_SECRETS_DATA=${data}`) &&
        workersAt(pid).length === 2 &&
        !/python/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))
      );
    } catch {
      return false;
    }
  });
}
