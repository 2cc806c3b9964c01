import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { prepareJoin } from '../../src/client/pilot-session.ts';
import { parseJoinToken } from '../../src/protocol/join.ts';
import { digestOf } from '../../src/protocol/request-proof.ts';
import { type Line, lineTo, secretsBy, setSecret, tokenOf, workersOf } from '../cli/kept-lines.ts';
import { type PandaSecrets, pandaSecrets, type RunningServer } from '../cli/panda-secrets.ts';
import { taskParameters } from '../jobs/farm.ts';
import { untilAnswer } from '../patience.ts';
import { eachStore } from '../stores.ts';

const LIMITS = { secrets: 10, jobs: 5, failures: 40 };
const LINES = 8;

interface Site {
  program: PandaSecrets;
  server: RunningServer;
  environment: NodeJS.ProcessEnv;
  token(user: string): Promise<string>;
  /** Connections that are kept; half of them go to each worker. */
  lines(token?: string): Line[];
}

async function siteOfTwoWorkers(t: TestContext, url: string | undefined, settings: string[] = []): Promise<Site> {
  const program = pandaSecrets(t);
  const environment = url === undefined ? {} : { PANDA_SECRETS_DATABASE: url };
  const config = join(program.data, '..', 'config.toml');
  writeFileSync(config, ['workers = 2', ...settings].join('\n'));
  const server = await program.serve(['--config', config], environment);
  return {
    program,
    server,
    environment,
    token: (user) => tokenOf(program, user, environment),
    lines: (token) => Array.from({ length: LINES }, () => lineTo(t, server.url, token)),
  };
}

const succeeded = <T extends { success: boolean }>(answers: readonly T[]) => answers.filter(({ success }) => success);

eachStore('a limit of one owner holds when it is reached through both workers at once', async (t, { url }) => {
  const site = await siteOfTwoWorkers(t, url, [`user_secrets = ${LIMITS.secrets}`, `user_jobs = ${LIMITS.jobs}`]);
  const lines = site.lines(await site.token('alice'));
  const [first] = lines as [Line];
  // Each line has its worker from its first request on.
  for (const line of lines) await line.get('creds/list_user_secrets');
  for (let n = 0; n < LIMITS.secrets - 2; n++) await setSecret(first, `BEFORE_${n}`, 'value');
  const sets = await Promise.all(
    lines.flatMap((line, n) => ['A', 'B', 'C'].map((name) => setSecret(line, `${name}_${n}`, 'value'))),
  );
  assert.equal(succeeded(sets).length, 2);
  for (const { success, message } of sets) if (!success) assert.match(message, /may keep 10/);
  for (const line of lines) assert.equal(Object.keys(await secretsBy(line)).length, LIMITS.secrets);

  const submits = await Promise.all(
    lines.flatMap((line, n) =>
      [0, 1].map((k) => line.post('task/submit', { task_parameters: taskParameters(`user.alice.n${n}.${k}`) })),
    ),
  );
  assert.equal(succeeded(submits).length, LIMITS.jobs);
});

eachStore('a join token and a proof are good once, used through both workers at once', async (t, { url }) => {
  const site = await siteOfTwoWorkers(t, url);
  const connection = { url: site.server.url, vo: 'panda' };
  const sessions = [];
  for (let round = 0; round < 5; round++) {
    const { stdout } = await site.program.run(['pilot-token', '--queue', 'default'], site.environment);
    const token = parseJoinToken(stdout.trim());
    const [own, copied] = await Promise.all(
      ['node1', 'elsewhere'].map((node) => prepareJoin(connection, { token, queue: 'default', node })),
    );
    assert.ok(own && copied);
    // The same request again, and one of somebody who has the token as well.
    const joined = await Promise.allSettled([own(), copied(), own(), copied()]);
    const [opened, ...others] = joined.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.ok(opened && others.length === 0);
    for (const one of joined) if (one.status === 'rejected') assert.match(String(one.reason), /used already/);
    sessions.push(opened);
  }
  const call = 'pilot/acquire_jobs';
  const body = JSON.stringify({ site_name: 'default', n_jobs: 1 });
  const lines = site.lines();
  for (const session of sessions) {
    const url = new URL(`${site.server.url}/api/v1/${call}`);
    const { headers } = await session.sign({ method: 'POST', url, bodyDigest: digestOf(body) });
    const answers = await Promise.all(lines.map((line) => line.send('POST', call, { body, headers })));
    const taken = answers.filter(({ message }) => !/the proof on this request was used already/.test(message));
    assert.deepEqual(
      taken.map(({ message }) => message),
      ['No jobs in PanDA'],
    );
  }
  // A session that an operator ended through one of them.
  const [session] = sessions;
  assert.ok(session);
  assert.equal((await site.program.run(['pilot', 'end', session.pilotId], site.environment)).status, 0);
  for (const line of lines) {
    const url = new URL(`${site.server.url}/api/v1/${call}`);
    const { headers } = await session.sign({ method: 'POST', url, bodyDigest: digestOf(body) });
    assert.match((await line.send('POST', call, { body, headers })).message, /ended/);
  }
});

test('requests that prove nothing are counted over both workers, also those that come at once', async (t) => {
  const site = await siteOfTwoWorkers(t, undefined, [`failed_requests = ${LIMITS.failures}`]);
  const lines = site.lines('bad');
  const answers = [];
  for (let round = 0; round < 20; round++) {
    answers.push(...(await Promise.all(lines.map((line) => line.get('creds/list_user_secrets')))));
  }
  const looked = answers.filter(({ message }) => !/too many requests/.test(message)).length;
  // Those of a moment may be under way when the limit is reached.
  assert.ok(looked >= LIMITS.failures && looked <= LIMITS.failures + 2 * LINES, `${looked} were looked at`);
});

eachStore('a user who is stopped is refused by both workers within half a minute', async (t, { url }) => {
  const site = await siteOfTwoWorkers(t, url);
  const lines = site.lines(await site.token('alice'));
  for (const line of lines) assert.equal((await setSecret(line, 'KEY', 'value')).success, true);
  assert.equal((await site.program.run(['user', 'disable', 'alice'], site.environment)).status, 0);
  await untilAnswer(
    async () => succeeded(await Promise.all(lines.map((line) => line.get('creds/list_user_secrets')))).length,
    0,
  );
  assert.equal((await site.program.run(['user', 'enable', 'alice'], site.environment)).status, 0);
  const old = await Promise.all(lines.map((line) => line.get('creds/list_user_secrets')));
  assert.equal(succeeded(old).length, 0, 'her earlier tokens stay void');
});

eachStore(
  'keys are replaced, a backup is made, a user is erased, and the doctor looks, while two workers serve and one of them dies',
  async (t, { url }) => {
    const site = await siteOfTwoWorkers(t, url);
    const { program, server, environment } = site;
    const users = await Promise.all(
      ['alice', 'bob', 'carol'].map(async (name) => ({ name, token: await site.token(name) })),
    );
    const insist = async (...words: string[]) => {
      const done = await program.run(words, environment);
      assert.equal(done.status, 0, `${words.join(' ')}: ${done.stdout}${done.stderr}`);
      return done.stdout;
    };
    for (const { name, token } of users) {
      assert.equal((await setSecret(lineTo(t, server.url, token), 'KEPT', `of ${name}`)).success, true);
    }
    let isOver = false;
    t.after(() => {
      isOver = true;
    });
    let rounds = 0;
    const load = users
      .filter(({ name }) => name !== 'bob')
      .flatMap((user) => [0, 1].map((n) => ({ ...user, key: `CHANGED_${n}` })))
      .map(async ({ name, token, key }) => {
        let lines = [lineTo(t, server.url, token), lineTo(t, server.url, token)];
        for (let n = 0; !isOver; n++) {
          const [writes, reads] = (n % 2 === 0 ? lines : lines.toReversed()) as [Line, Line];
          try {
            const set = await setSecret(writes, key, String(n));
            assert.equal(set.success, true, set.message);
            const { KEPT, [key]: changed } = await secretsBy(reads);
            assert.deepEqual([KEPT, changed], [`of ${name}`, String(n)]);
          } catch (error) {
            // The connection of the worker that dies.
            assert.match(String((error as NodeJS.ErrnoException).code), /ECONNRESET|EPIPE/);
            lines = [lineTo(t, server.url, token), lineTo(t, server.url, token)];
          }
          rounds++;
        }
      });
    const bobs = [lineTo(t, server.url, users[1]?.token), lineTo(t, server.url, users[1]?.token)];
    for (const line of bobs) assert.deepEqual(await secretsBy(line), { KEPT: 'of bob' });
    const folder = mkdtempSync(join(tmpdir(), 'panda-workers-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const identity = await generateX25519Identity();
    writeFileSync(join(folder, 'key.txt'), `${identity}\n`, { mode: 0o600 });
    const operate = async () => {
      const { id } = JSON.parse(
        await insist('keys', 'add', pathToFileURL(join(program.data, 'newer')).href, '--json'),
      ).data;
      server.process.kill('SIGHUP');
      await untilAnswer(async () => (await program.run(['keys', 'activate', id], environment)).status, 0);
      await insist('keys', 'rewrap');
      process.kill(workersOf(server)[0] ?? 0, 'SIGKILL');
      await insist('keys', 'rotate-owner', '--all');
      const backup = join(folder, 'backup.age');
      await insist('backup', '--to', backup, '--recipient', await identityToRecipient(identity), '--with-keys');
      assert.match(await insist('backup', 'verify', backup, '--identity', join(folder, 'key.txt')), /whole/);
      await insist('user', 'erase', 'bob', '--yes');
      for (const line of bobs) {
        const answer = await line.get('creds/get_user_secrets').catch(() => undefined);
        assert.doesNotMatch(JSON.stringify(answer ?? {}), /of bob/);
      }
      assert.match(await insist('audit', 'verify'), /^whole: /);
      const doctor = await program.run(['doctor', '--json'], environment);
      const found = JSON.parse(doctor.stdout).data.findings.filter(({ state }: { state: string }) => state === 'wrong');
      assert.deepEqual(found, []);
      return backup;
    };
    let backup: string;
    try {
      backup = await Promise.race([operate(), Promise.all(load).then(() => assert.fail('the load ended'))]);
    } finally {
      isOver = true;
    }
    await Promise.all(load);
    assert.ok(rounds > 0);
    if (url !== undefined) return;
    // What was kept when it was made serves again, with two workers.
    const again = pandaSecrets(t);
    const restored = await again.run(['restore', backup, '--identity', join(folder, 'key.txt')]);
    assert.equal(restored.status, 0, restored.stderr);
    const second = await again.serve(['--workers', '2']);
    const lines = [lineTo(t, second.url, users[0]?.token), lineTo(t, second.url, users[0]?.token)];
    for (const line of lines) assert.equal((await secretsBy(line))['KEPT'], 'of alice');
  },
);
