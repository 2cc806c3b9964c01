import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyAudits } from '../../src/audit/audit.ts';
import { addAccount } from '../../src/identity/accounts.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { taskParameters } from '../jobs/farm.ts';
import { programWords } from '../programs.ts';

const WRITERS = 8;
const KEYS = 4;
const JOBS = 3;
/** The longest that a server lives after it took its first write, in milliseconds. */
const LIFE = 400;
/** One in so many is killed while it starts. */
const AT_START = 8;

/** What a run has seen. */
export interface Tortured {
  kills: number;
  /** Of these, before the server listened. */
  atStart: number;
  /** Writes that a server answered, and those that were under way when it was killed. */
  acknowledged: number;
  unanswered: number;
  /** Of the unanswered ones, those that had been done. */
  done: number;
}

/**
 * Kills a server with SIGKILL while it writes, starts it again, and looks: every write that it answered is there, each that it did not is there
 * as a whole or not at all.
 *
 * @param options `database`: a PostgreSQL URL; SQLite without it. `random`: numbers from 0 to 1
 * @throws {AssertionError} at the first thing that is lost or half
 */
export async function torture({
  kills,
  random,
  database,
  tell = () => {},
}: {
  kills: number;
  random: () => number;
  database?: string;
  tell?: (seen: Tortured) => void;
}): Promise<Tortured> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-torture-'));
  const data = join(folder, 'data');
  const seen: Tortured = { kills: 0, atStart: 0, acknowledged: 0, unanswered: 0, done: 0 };
  const installed = { data, ...(database && { database }) };
  const installation = await openInstallation(installed, { create: true, clock: Date.now });
  const account = await addAccount(installation.store, Date.now, 'ada');
  const token = await installation.issuer.mintUserToken(account, { ttlSeconds: 24 * 3600, vo: DEFAULT_VO });
  await installation.close();

  /** The values that each key may have now: one, or two where a write was under way. Null: none. */
  const values = new Map<string, Set<string | null>>();
  /** Names of tasks that were taken, with their ids, and of those that may have been. */
  const tasks = new Map<string, number | undefined>();
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    PANDA_SECRETS_DATA: data,
    ...(database && { PANDA_SECRETS_DATABASE: database }),
  };
  let server: ChildProcess | undefined;
  try {
    while (seen.kills < kills) {
      const dies = random() * AT_START < 1 ? random() * 300 : undefined;
      const url = await start(dies);
      if (url === undefined) {
        seen.kills += 1;
        seen.atStart += 1;
        continue;
      }
      await check(url);
      await write(url, random() * LIFE);
      seen.kills += 1;
      if (seen.kills % 20 === 0) await checkWhole();
      tell(seen);
    }
    const url = await start(undefined);
    await check(url as string);
    server?.kill('SIGTERM');
    await closed();
    await checkWhole();
    return seen;
  } finally {
    server?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }

  /** @param dies kills it after so many milliseconds @returns undefined when it did not listen before that */
  async function start(dies: number | undefined): Promise<string | undefined> {
    const [node, ...words] = programWords('panda-secrets');
    server = spawn(node, [...words, 'serve', '--port', '0'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = dies === undefined ? undefined : setTimeout(() => server?.kill('SIGKILL'), dies);
    let output = '';
    const url = await new Promise<string | undefined>((resolve) => {
      for (const stream of [server?.stdout, server?.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          const found = /listening on (http:\S+)/.exec(output)?.[1];
          if (found) resolve(found);
        });
      }
      server?.once('close', () => resolve(undefined));
    });
    clearTimeout(timer);
    if (url === undefined && dies === undefined) assert.fail(`the server does not start any more: ${output}`);
    // It listened a moment before it was to die: it is killed later, as the others.
    return url;
  }

  async function closed(): Promise<void> {
    if (server && server.exitCode === null && server.signalCode === null) {
      await new Promise((resolve) => server?.once('close', resolve));
    }
  }

  async function write(url: string, life: number): Promise<void> {
    let isDying = false;
    let timer: NodeJS.Timeout | undefined;
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, n) => {
        while (!isDying) {
          if (!(await writeOne(url, n))) break;
          timer ??= setTimeout(() => {
            isDying = true;
            server?.kill('SIGKILL');
          }, life);
        }
      }),
    );
    clearTimeout(timer);
    server?.kill('SIGKILL');
    await closed();
  }

  /** @returns false when it was not answered */
  async function writeOne(url: string, n: number): Promise<boolean> {
    const kind = random();
    if (kind > 0.85) {
      const name = `user.ada.${randomUUID()}`;
      tasks.set(name, undefined);
      const parameters = { ...taskParameters(name), nEvents: JOBS, nEventsPerJob: 1 };
      const answer = await ask(url, 'task/submit', { task_parameters: parameters });
      if (answer) tasks.set(name, Number(answer.data));
      return answer !== undefined;
    }
    const key = `KEY_${n}_${Math.floor(random() * KEYS)}`;
    const value = kind > 0.7 ? null : `${randomUUID()}${'x'.repeat(Math.floor(random() * 20_000))}`;
    const before = values.get(key) ?? new Set([null]);
    values.set(key, new Set([...before, value]));
    const answer = await ask(url, 'creds/set_user_secrets', { key, value });
    if (answer) values.set(key, new Set([value]));
    return answer !== undefined;
  }

  /** Undefined when the server was gone before it answered. */
  async function ask(url: string, call: string, body?: object): Promise<{ data: unknown } | undefined> {
    let answer: { success: boolean; message: string; data: unknown };
    try {
      const response = await fetch(new URL(`/api/v1/${call}`, url), {
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      });
      answer = (await response.json()) as typeof answer;
    } catch {
      if (body) seen.unanswered += 1;
      return undefined;
    }
    assert.ok(answer.success, `${call}: ${answer.message}`);
    if (body) seen.acknowledged += 1;
    return answer;
  }

  /** Looks at what the server has, and takes for true what it has of the writes that it did not answer. */
  async function check(url: string): Promise<void> {
    const answer = await ask(url, 'creds/get_user_secrets');
    // It died between its start and this.
    if (!answer) return;
    const found = JSON.parse(String(answer.data)) as Record<string, string>;
    for (const [key, allowed] of values) {
      const value = found[key] ?? null;
      assert.ok(
        allowed.has(value),
        `${key} is ${value?.slice(0, 36)}, and not one of ${[...allowed].map((one) => one?.slice(0, 36))}`,
      );
      if (allowed.size > 1 && [...allowed].at(-1) === value) seen.done += 1;
      values.set(key, new Set([value]));
    }
    for (const key of Object.keys(found)) assert.ok(values.has(key), `${key} was never set`);
  }

  /** With no server there, at the rows themselves. */
  async function checkWhole(): Promise<void> {
    const { store, close } = await openInstallation(installed, { create: false, clock: Date.now });
    try {
      for (const { chain, check: verdict } of await verifyAudits(store)) {
        assert.ok(verdict.whole, `the audit of ${chain}: ${JSON.stringify(verdict)}`);
      }
      const rows = await store.db.selectFrom('tasks').select(['id', 'name', 'job_count', 'tag']).execute();
      const jobs = await store.db.selectFrom('jobs').select('task_id').execute();
      const perTask = Map.groupBy(jobs, ({ task_id }) => task_id);
      for (const { id, name, job_count, tag } of rows) {
        assert.equal(perTask.get(id)?.length, job_count, `jobs of task ${id}`);
        assert.ok(tag, `task ${id} was begun and not finished`);
        assert.ok(tasks.has(name.replace(/\/$/, '')), `task ${id} was never submitted`);
      }
      for (const [name, id] of tasks) {
        if (id !== undefined)
          assert.ok(
            rows.some((row) => row.id === id && row.name === `${name}/`),
            `task ${id} is lost`,
          );
      }
      const versions = await store.db
        .selectFrom('secrets')
        .leftJoin('secret_versions', (on) =>
          on
            .onRef('secret_versions.secret_id', '=', 'secrets.id')
            .onRef('secret_versions.version', '=', 'secrets.current_version'),
        )
        .select('secret_versions.version')
        .execute();
      assert.ok(
        versions.every(({ version }) => version !== null),
        'a secret has no value',
      );
    } finally {
      await close();
    }
  }
}

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
