import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sql } from 'kysely';
import { freePort } from '../free-port.ts';
import { programPath } from '../programs.ts';
import { connect } from '../store/raw-database.ts';
import { eachStore, onPostgres, type TestDatabase } from '../stores.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** The program of this tree, and of a release whose tables are one migration further. */
const PRESENT = [programPath('panda-secrets')];
const NEXT = [`--import=${join(import.meta.dirname, 'next-release.ts')}`, join(ROOT, 'src/cli/panda-secrets/main.ts')];

interface Program {
  child: ChildProcess;
  /** Resolves when it printed that. @throws when it ended before */
  printed(pattern: RegExp): Promise<void>;
  ended: Promise<{ status: number | null; output: string }>;
}

function start(
  t: TestContext,
  program: readonly string[],
  args: readonly string[],
  { data, url }: { data: string; url: string | undefined },
  more: Record<string, string> = {},
): Program {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...program, ...args], {
    env: {
      PATH: process.env['PATH'],
      HOME: data,
      PANDA_SECRETS_DATA: data,
      ...(url !== undefined && { PANDA_SECRETS_DATABASE: url }),
      ...more,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const look = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output += bytes;
      for (const one of look) one();
    });
  }
  const ended = new Promise<{ status: number | null; output: string }>((resolve) => {
    child.on('close', (status) => resolve({ status, output }));
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    printed: (pattern) =>
      new Promise<void>((resolve, reject) => {
        const one = () => pattern.test(output) && resolve();
        look.add(one);
        one();
        void ended.then(() => reject(new Error(`it ended: ${output}`)));
      }),
  };
}

const LISTENING = /^panda-secrets: listening on/m;

/** Sets one secret again and again at one server, as long as it is wanted. */
function startWriter(port: number, token: string, key: string) {
  const counts = { acknowledged: 0, refused: 0 };
  const wrong: string[] = [];
  let isWanted = true;
  const run = async () => {
    for (let value = 1; isWanted; value++) {
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/creds/set_user_secrets`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ key, value: String(value) }),
        });
        const text = await answer.text();
        if (answer.status === 200 && JSON.parse(text).success) counts.acknowledged = value;
        else if (answer.status === 503) counts.refused++;
        else wrong.push(`${answer.status} ${text}`);
      } catch {
        // It is being restarted: whoever called tries again.
        counts.refused++;
      }
      // So that the servers have the processors for themselves now and then.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  const running = run();
  return {
    counts,
    wrong,
    /** Resolves when so many more were acknowledged. */
    async goesOn(count: number): Promise<void> {
      const goal = counts.acknowledged + count;
      while (counts.acknowledged < goal) {
        assert.deepEqual(wrong, []);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop(): Promise<void> {
      isWanted = false;
      await running;
    },
  };
}

onPostgres(
  'replicas are upgraded one after another under load, and no acknowledged write is lost',
  async (t, { folder, url }) => {
    const replicas = [];
    for (const name of ['one', 'two']) {
      const data = join(folder, name);
      mkdirSync(data, { mode: 0o700 });
      if (name === 'two') copyFileSync(join(folder, 'one', 'root-keys'), join(data, 'root-keys'));
      const [place, port] = [{ data, url }, await freePort()];
      const serve = (program: readonly string[]) => start(t, program, ['serve', '--port', String(port)], place);
      const server = serve(PRESENT);
      await server.printed(LISTENING);
      replicas.push({ place, port, serve, server });
    }
    const [one, two] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];
    const runHere = (program: readonly string[], ...args: string[]) => start(t, program, args, one.place).ended;
    assert.equal((await runHere(PRESENT, 'user', 'add', 'alice')).status, 0);
    const token = (await runHere(PRESENT, 'token', 'alice')).output.trim();
    const writers = replicas.map(({ port }, number) => startWriter(port, token, `KEY${number}`));
    const allGoOn = () => Promise.all(writers.map((writer) => writer.goesOn(5)));
    await allGoOn();

    for (const replica of [one, two]) {
      replica.server.child.kill('SIGTERM');
      await replica.server.ended;
      replica.server = replica.serve(NEXT);
      await replica.server.printed(LISTENING);
      // After the first: the older one works on the newer tables, and none of its release starts any more.
      await allGoOn();
      const older = await runHere(PRESENT, 'user', 'list');
      assert.match(older.output, /the database is of a newer release than this one .* its tables have 0900-next/);
    }
    for (const writer of writers) {
      await writer.stop();
      assert.deepEqual(writer.wrong, []);
    }
    const answer = await fetch(`http://127.0.0.1:${two.port}/api/v1/creds/get_user_secrets`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const kept = JSON.parse(((await answer.json()) as { data: string }).data);
    for (const [number, { counts }] of writers.entries()) {
      const key = `KEY${number}`;
      // A later one may have been kept whose answer was lost.
      assert.ok(
        Number(kept[key]) >= counts.acknowledged,
        `${key} is ${kept[key]}, and ${counts.acknowledged} was acknowledged`,
      );
    }
  },
);

/** The number of migrations of the next release that a database notes, and of their tables. */
async function nextOf(database: TestDatabase, data: string): Promise<{ noted: number; made: boolean }> {
  const db = connect(database, data);
  try {
    const { rows } = await sql`select name from kysely_migration where name = '0900-next'`.execute(db);
    const tables = await db.introspection.getTables();
    return { noted: rows.length, made: tables.some(({ name }) => name === 'next_things') };
  } finally {
    await db.destroy();
  }
}

eachStore(
  'a migration that is killed in the middle left nothing, and the one that waited for it is done',
  async (t, database) => {
    const data = join(database.folder, 'data');
    mkdirSync(data, { mode: 0o700 });
    const place = { data, url: database.url };
    const serve = (program: readonly string[], more = {}) => start(t, program, ['serve', '--port', '0'], place, more);
    const present = serve(PRESENT);
    await present.printed(LISTENING);
    present.child.kill('SIGTERM');
    await present.ended;

    const killed = serve(NEXT, { NEXT_STOPS: '1' });
    await killed.printed(/in the middle/);
    assert.deepEqual(await nextOf(database, data), { noted: 0, made: false });
    const waiting = serve(NEXT);
    killed.child.kill('SIGKILL');
    await killed.ended;
    await waiting.printed(LISTENING);
    assert.deepEqual(await nextOf(database, data), { noted: 1, made: true });
  },
);

onPostgres('of two servers that bring the tables up at once, both start', async (t, database) => {
  const places = ['one', 'two'].map((name) => ({ data: join(database.folder, name), url: database.url }));
  const [first] = places as [(typeof places)[0]];
  for (const { data } of places) mkdirSync(data, { mode: 0o700 });
  const present = start(t, PRESENT, ['serve', '--port', '0'], first);
  await present.printed(LISTENING);
  for (const { data } of places.slice(1)) copyFileSync(join(first.data, 'root-keys'), join(data, 'root-keys'));
  const both = places.map((place) => start(t, NEXT, ['serve', '--port', '0'], place));
  await Promise.all(both.map((server) => server.printed(LISTENING)));
  assert.deepEqual(await nextOf(database, first.data), { noted: 1, made: true });
});
