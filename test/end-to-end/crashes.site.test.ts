import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { createClient } from '../../src/client/client.ts';
import type { Connection } from '../../src/client/connect.ts';
import { submitDirectory } from '../../src/client/submission.ts';
import { addAccount } from '../../src/identity/accounts.ts';
import { createJoinToken } from '../../src/identity/join-tokens.ts';
import { Unavailable } from '../../src/protocol/errors.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { keepKilling } from './restarting.ts';
import { filesBelow, tracesOf } from './site.ts';
import { randomFrom } from './torture.ts';

const JOBS = 54;
/** Of many heartbeats: on a busy machine one comes late. */
const LEASE_SECONDS = 10;
const LINES = 20_000;
/** Killing goes on until three quarters of the jobs have ended and everything was killed, and no longer than this. */
const KILLING_SECONDS = 20;
/** For a machine with much else to do, where it takes minutes. */
const DEADLINE_SECONDS = 900;

test('pilots and the server are killed at random, and every job ends once, whole, and leaves nothing secret', {
  timeout: 2 * DEADLINE_SECONDS * 1000,
}, async (t) => {
  const seed = Number(process.env['PANDA_TEST_SEED'] ?? randomBytes(4).readUInt32LE());
  t.diagnostic(`PANDA_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const between = (least: number, most: number) => () => least + random() * (most - least);

  const site = await prepareSite(t);
  const server = keepKilling(t, async () => [...programWords('panda-secrets'), 'serve', '--port', site.port], {
    lifetime: between(3500, 8000),
    ready: /listening on/,
    env: site.environment,
  });
  const taskId = await site.submit();
  server.begin();
  const pilots = site.nodes.map(({ folder, isolate }) =>
    keepKilling(t, async () => await site.pilotArguments(folder, isolate), {
      lifetime: between(1500, 5000),
      ready: /waiting for jobs/,
      env: { PATH: process.env['PATH'] },
    }),
  );

  for (const pilot of pilots) pilot.begin();
  const programs = [server, ...pilots];
  await within(KILLING_SECONDS, () => site.ended() >= JOBS * 0.75 && programs.every(({ kills }) => kills > 0));
  for (const program of programs) program.spare();
  await within(DEADLINE_SECONDS, () => site.ended() === JOBS);
  const outputs = await site.outputs(taskId);
  for (const pilot of pilots) assert.equal(await pilot.stop(), 143, pilot.output());
  await server.stop();
  t.diagnostic(
    `killed the server ${server.kills} times, pilots ${pilots.map(({ kills }) => kills).join(' and ')} times`,
  );

  const { jobs, attempts } = site.records();
  assert.ok(
    programs.every(({ kills }) => kills > 0),
    'too few were killed for this to say anything',
  );
  assert.equal(jobs.length, JOBS);
  for (const job of jobs) {
    const tries = attempts.filter(({ job_id }) => job_id === job.id);
    assert.ok(job.state === 'finished' || job.state === 'failed', `job ${job.id} is ${job.state}`);
    assert.ok(
      tries.every(({ ended_at }) => ended_at !== null),
      `job ${job.id} has an attempt that has not ended`,
    );
    const finished = tries.filter(({ state }) => state === 'finished').map(({ attempt }) => attempt);
    assert.deepEqual(finished, job.state === 'finished' ? [job.attempt] : [], `attempts of job ${job.id}`);
    if (job.state === 'finished')
      assert.equal(outputs.get(job.serial), wholeOutput(job.serial), `output of ${job.serial}`);
  }
  assert.ok(jobs.filter(({ state }) => state === 'finished').length >= JOBS / 2);

  const traces = tracesOf(site.value);
  for (const folder of [site.data, '/dev/shm', ...site.nodes.map((node) => node.folder)]) {
    for (const { path, bytes } of filesBelow(folder)) {
      assert.ok(!traces.some((trace) => bytes.includes(trace)), `a secret is in ${path}`);
    }
  }
  for (const { folder } of site.nodes) assert.deepEqual(readdirSync(folder), ['token']);
});

/** Writes its output bit by bit, so that it is killed in between, and puts its secret wherever it can. */
const SCRIPT = `
import json, os, random, sys, time
secret = json.load(open("panda_secrets.json"))["MY_SECRET"]
assert secret == os.environ["MY_SECRET"] == open("key.pem").read()
print("the secret is", secret, flush=True)
open("copy", "w").write(secret)
open(os.path.join(os.environ["TMPDIR"], "copy"), "w").write(secret)
with open("out.txt", "w") as out:
    for line in range(${LINES}):
        out.write("%s %d\\n" % (sys.argv[1], line))
        if line % ${LINES / 4} == 0:
            time.sleep(random.random() / 3)
`;

import { freePort } from '../free-port.ts';
import { programWords } from '../programs.ts';

function wholeOutput(serial: number): string {
  return Array.from({ length: LINES }, (_, line) => `${serial} ${line}\n`).join('');
}

async function prepareSite(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'panda-crashes-'));
  const data = join(root, 'data');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const value = `random-string-${randomBytes(12).toString('hex')}`;
  const nodes = (['auto', 'off'] as const).map((isolate) => ({ folder: join(root, `node-${isolate}`), isolate }));
  for (const { folder } of nodes) mkdirSync(folder, { mode: 0o700 });

  const clock = Date.now;
  const installation = await openInstallation({ data }, { create: true, clock });
  const { store, issuer, rootKeys } = installation;
  const account = await addAccount(store, clock, 'alice');
  const token = await issuer.mintUserToken(account, { ttlSeconds: 3600, vo: DEFAULT_VO });
  const client = createClient({ url, token: async () => token, vo: DEFAULT_VO });
  t.after(async () => {
    client.close();
    await installation.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** As they are on the disk, whether the server runs or not. */
  function records() {
    using database = new DatabaseSync(join(data, 'panda.db'), { readOnly: true });
    return {
      jobs: database.prepare('select id, serial, state, attempt from jobs').all() as unknown as {
        id: number;
        serial: number;
        state: string;
        attempt: number;
      }[],
      attempts: database.prepare('select job_id, attempt, state, ended_at from attempts').all() as unknown as {
        job_id: number;
        attempt: number;
        state: string;
        ended_at: number | null;
      }[],
    };
  }

  return {
    data,
    port: String(port),
    value,
    nodes,
    records,
    environment: {
      PATH: process.env['PATH'],
      HOME: root,
      PANDA_SECRETS_DATA: data,
      PANDA_SECRETS_LEASE_SECONDS: String(LEASE_SECONDS),
    },
    async pilotArguments(folder: string, isolate: string): Promise<string[]> {
      const file = join(folder, 'token');
      writeFileSync(file, await createJoinToken({ store, rootKeys, clock }, { queue: 'default', ttlSeconds: 60 }));
      const options = {
        server: url,
        queue: 'default',
        'token-file': file,
        workdir: folder,
        slots: '3',
        heartbeat: '1',
        isolate,
      };
      return [
        ...programWords('panda-pilot'),
        '--allow-root',
        ...Object.entries(options).flatMap(([name, text]) => [`--${name}`, text]),
      ];
    },
    async submit(): Promise<number> {
      await answered(() => client.setSecret(wireName('MY_SECRET'), value));
      await answered(() => client.setSecret(wireName('key.pem', 'file'), Buffer.from(value).toString('base64')));
      const directory = join(root, 'work');
      mkdirSync(directory);
      writeFileSync(join(directory, 'job.py'), SCRIPT);
      const options = {
        directory,
        exclude: [],
        exec: 'python3 job.py %RNDM:1',
        outDataset: 'user.alice.crashes',
        outputs: ['out.txt'],
        jobs: JOBS,
        maxAttempts: 50,
        useSecrets: true,
        commandLine: '',
      };
      const silent = { step() {}, warning() {} };
      const connection = {
        client,
        token: async () => token,
        vo: DEFAULT_VO,
        ownFiles: [],
      } as Partial<Connection> as Connection;
      const submitted = await submitDirectory(connection, options, silent);
      return submitted?.taskId ?? assert.fail('it was not submitted');
    },
    /** The number of jobs that have. */
    ended: () => records().jobs.filter(({ state }) => state === 'finished' || state === 'failed').length,
    /** By serial. */
    async outputs(taskId: number): Promise<Map<number, string>> {
      const found = new Map<number, string>();
      for (const file of await answered(() => client.getJobFiles(taskId))) {
        const content = await answered(async () => await buffer(await client.getJobFile(file)));
        if (file.kind === 'output') found.set(file.serial, content.toString());
      }
      return found;
    },
  };
}

/** Asks again while the server is away. */
async function answered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function within(seconds: number, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!isSo() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
}
