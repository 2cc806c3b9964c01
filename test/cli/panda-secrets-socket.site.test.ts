import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { createClient } from '../../src/client/client.ts';
import { LAST_REQUESTS_MILLISECONDS } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { until } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { seenTime } from '../took.ts';
import { pandaSecrets } from './panda-secrets.ts';

const HOLDER = join(import.meta.dirname, 'socket-holder.py');
const skip = spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not installed: it holds the socket';

/** A server on a socket that another process holds. */
interface Held {
  url: string;
  /** Everything that it and the holder wrote. */
  output(): string;
  /** The processes of the server, in the order of their starts. */
  pids: number[];
  holder: ChildProcess;
}

async function hold(
  t: TestContext,
  words: readonly string[],
  data: string,
  { host = '127.0.0.1', workers = 1 } = {},
): Promise<Held> {
  const holder = spawn('python3', [HOLDER, host, ...words, 'serve', '--data', data], {
    env: { PATH: process.env['PATH'], HOME: join(data, '..'), PANDA_SECRETS_WORKERS: String(workers) },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(async () => {
    const ended = once(holder, 'close');
    holder.stdin.end();
    if (holder.exitCode === null) await ended;
  });
  let output = '';
  const pids: number[] = [];
  holder.stderr.on('data', (text) => (output += text));
  const port = new Promise<string>((resolve) => {
    createInterface(holder.stdout).on('line', (line) => {
      output += `${line}\n`;
      const [, what, number = ''] = /^(port|pid) (\d+)$/.exec(line) ?? [];
      if (what === 'port') resolve(number);
      if (what === 'pid') pids.push(Number(number));
    });
  });
  return { url: `http://127.0.0.1:${await port}`, output: () => output, pids, holder };
}

const served = ({ output }: Held) => output().split('panda-secrets: listening on').length - 1;

for (const workers of [1, 2]) {
  test(`a server of ${workers} that is restarted under load on the socket of its manager answers each request`, {
    skip,
  }, async (t) => {
    const program = pandaSecrets(t);
    const first = await program.serve();
    await program.run(['user', 'add', 'alice']);
    const token = (await program.run(['token', 'alice'])).stdout.trim();
    first.process.kill('SIGTERM');
    await first.ended;

    const held = await hold(t, programWords('panda-secrets'), program.data, { workers });
    const delay = monitorEventLoopDelay();
    delay.enable();
    const client = createClient({ url: held.url, vo: 'panda', token: async () => token });
    let isOver = false;
    t.after(() => {
      isOver = true;
      client.close();
    });
    const [lost, answered] = [[] as unknown[], { fetch: 0, client: 0 }];
    const keepAsking = async (kind: 'fetch' | 'client', ask: () => Promise<unknown>) => {
      while (!isOver) {
        await ask().then(
          () => (answered[kind] += 1),
          (error) => lost.push(error.cause ?? error),
        );
      }
    };
    // Neither sends a POST twice.
    const load = Array.from({ length: 8 }, (_, n) => [
      keepAsking('client', () => client.setSecret(wireName(`OURS_${n}`), 'a value')),
      keepAsking('fetch', () => setByFetch(held.url, token, `UNDICI_${n}`)),
    ]).flat();
    for (let starts = 1; starts <= 3; starts++) {
      await becomes(() => served(held) === starts);
      const before = { ...answered };
      await becomes(() => answered.fetch > before.fetch + 20 && answered.client > before.client + 20);
      process.kill(held.pids.at(-1) ?? 0, 'SIGTERM');
      await becomes(() => held.pids.length === starts + 1);
    }
    await becomes(() => served(held) === 4);
    isOver = true;
    await Promise.all(load);
    client.close();
    const stoodStill = delay.max / 1e6;
    t.diagnostic(
      `${answered.fetch + answered.client} requests, ${lost.length} lost; this process stood still for ${stoodStill} ms`,
    );
    // Who stands still for that long sends a request where the end was told meanwhile.
    if (stoodStill < LAST_REQUESTS_MILLISECONDS / 2) assert.deepEqual(lost, []);
  });
}

/** Waits until it is so. */
const becomes = (isSo: () => boolean) => until(isSo, (so) => so);

async function setByFetch(url: string, token: string, key: string): Promise<void> {
  const answer = await fetch(`${url}/api/v1/creds/set_user_secrets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ key, value: 'a value' }),
  });
  const { success } = (await answer.json()) as { success: boolean };
  assert.equal(success, true);
}

test('a connection on which nothing comes does not hold up the end', { skip }, async (t) => {
  const program = pandaSecrets(t);
  const held = await hold(t, programWords('panda-secrets'), program.data);
  await becomes(() => served(held) === 1);
  const silent = connect(Number(new URL(held.url).port), '127.0.0.1');
  await once(silent, 'connect');
  const seen = seenTime();
  process.kill(held.pids[0] ?? 0, 'SIGTERM');
  await once(silent, 'close');
  await becomes(() => held.pids.length === 2);
  assert.ok(seen.seconds() < 25, 'DRAIN_SECONDS would be 30');
});

test('plain http is refused on a given socket that others reach, before anybody is answered', { skip }, async (t) => {
  const held = await hold(t, programWords('panda-secrets'), pandaSecrets(t).data, { host: '0.0.0.0' });
  const waiting = connect(Number(new URL(held.url).port), '127.0.0.1');
  waiting.on('error', () => {});
  const [status] = await once(held.holder, 'close');
  assert.equal(status, 1);
  assert.match(held.output(), /plain http on 0\.0\.0\.0 would carry tokens/);
  assert.equal(waiting.bytesRead, 0);
});

test('a socket that would be lost is refused, with what to do', { skip }, async (t) => {
  const words = ['sh', '-c', 'exec "$@" </dev/null', 'sh', ...programWords('panda-secrets')];
  const held = await hold(t, words, pandaSecrets(t).data);
  assert.equal((await once(held.holder, 'close'))[0], 1);
  assert.match(
    held.output(),
    /the socket that the server was given would be lost .* give it as standard input as well/,
  );
});
