import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { PROGRAMS, type Program } from '../../scripts/build/programs.ts';
import { createClient } from '../../src/client/client.ts';
import { formatJoinToken } from '../../src/protocol/join.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { makeSite, QUEUE, secretName, startServer } from '../server/site.ts';

/** Pairs of jobs that are run first and not counted: the pilot loads and compiles what it needs. */
const WARM_UP = 3;
/** Tells when it began, in nanoseconds since 1970. */
const PAYLOAD = 'date +%s%N > began.txt';

/** Milliseconds from a pilot's word that a job starts to the first thing that its payload does; pairs are at the same place. */
export interface JobStarts {
  plain: number[];
  sealed: number[];
}

/**
 * Runs jobs with so many secrets, one with plain ones and one with sealed ones in turns, on one real pilot that isolates them.
 *
 * @param folder where the server, the user and the node are
 */
export async function jobStarts(folder: string, pairs: number, values: readonly string[]): Promise<JobStarts> {
  const site = await makeSite(folder, 1, values);
  const server = await startServer(site);
  const url = `http://127.0.0.1:${server.port}`;
  const token = site.users[0]?.token ?? '';
  const work = join(folder, 'work');
  mkdirSync(work);
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    PANDA_CONFIG_ROOT: join(folder, 'config'),
    PANDA_SECRETS_DATA: site.data,
    PANDA_URL: url,
    PANDA_URL_SSL: url,
    PANDA_AUTH_ID_TOKEN: token,
  };
  const run = async (program: Program, ...args: string[]) => {
    const child = startProgram(program, args, { cwd: work, env });
    child.stdin.end();
    const output = [text(child.stdout), text(child.stderr)] as const;
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(status, 0, `${program} ${args.join(' ')}: ${await output[1]}`);
    return await output[0];
  };
  const client = createClient({ url, vo: DEFAULT_VO, token: async () => token });
  try {
    const [identity, key] = [join(folder, 'identity.json'), join(folder, 'site', 'site.key')];
    const id = await run('panda-pilot', 'site-identity', 'new', '--out', identity);
    await run('panda-pilot', 'site-key', 'new', '--queue', QUEUE, '--out', key, '--identity', identity);
    await run('panda-secrets', 'queue', 'site-key', QUEUE, `${key}.pub`);
    await run('pbook', 'keys', 'init', '--yes');
    await run('pbook', 'keys', 'trust', `${QUEUE}=${id.trim()}`);
    for (const [n, value] of values.entries()) {
      await run('pbook', 'set_secret', `SEALED_${n}`, value);
    }
    const names = {
      plain: values.map((_, n) => secretName(n)),
      sealed: values.map((_, n) => `SEALED_${n}`),
    };
    const tasks: { kind: keyof JobStarts; task: number }[] = [];
    for (let pair = 0; pair < WARM_UP + pairs; pair++) {
      for (const kind of pair % 2 === 0 ? (['plain', 'sealed'] as const) : (['sealed', 'plain'] as const)) {
        const options = ['--outDS', `user.user0.${kind}${pair}`, '--outputs', 'began.txt', '--site', QUEUE];
        const said = await run('prun', '--exec', PAYLOAD, ...options, `--useSecrets=${names[kind].join()}`);
        tasks.push({ kind, task: Number(/jediTaskID=(\d+)/.exec(said)?.[1]) });
      }
    }
    const started = await runPilot();
    const taken: JobStarts = { plain: [], sealed: [] };
    for (const { kind, task } of tasks) {
      const [job = 0] = await client.getJobIds(task);
      const output = (await client.getJobFiles(task)).find(({ name }) => name.endsWith('began.txt'));
      assert.ok(output, `task ${task} brought no output`);
      const began = Number(await text(await client.getJobFile(output))) / 1e6;
      taken[kind].push(began - (started.get(job) ?? Number.NaN));
    }
    return { plain: taken.plain.slice(WARM_UP), sealed: taken.sealed.slice(WARM_UP) };

    /** @returns when each job started, milliseconds since 1970 by the pilot's own words */
    async function runPilot(): Promise<Map<number, number>> {
      const args = ['--queue', QUEUE, '--token-file', '-', '--jobs', String(tasks.length), '--site-key', key];
      const pilot = startProgram('panda-pilot', [...args, '--workdir', join(folder, 'node')], { cwd: folder, env });
      pilot.stdin.end(formatJoinToken(site.joinToken));
      pilot.stdout.resume();
      const closed = new Promise((resolve) => pilot.on('close', resolve));
      const times = new Map<number, number>();
      for await (const line of createInterface(pilot.stderr)) {
        const [, at, job] = /^(\S+) panda-pilot: job (\d+): attempt 1 starts/.exec(line) ?? [];
        if (at) times.set(Number(job), Date.parse(at));
        assert.doesNotMatch(line, /failed/);
      }
      assert.equal(await closed, 0, 'the pilot failed');
      return times;
    }
  } finally {
    client.close();
    await server.stop();
  }
}

function startProgram(program: Program, args: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }) {
  const path = join(import.meta.dirname, '../..', PROGRAMS[program]);
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...args], options);
}
