import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { Batch, BatchId, PilotRequest, SeenPilot } from '../../src/pilot/launcher/batch.ts';
import { createSlurm } from '../../src/pilot/launcher/slurm.ts';
import { temporaryFolder, until } from '../pilot/folders.ts';
import { type Cluster, noSlurm, startCluster } from './cluster.ts';
import { filesWithTraces } from './traces.ts';
import { readIfThere } from './watch.ts';

const skip = noSlurm;
const isRoot = process.geteuid?.() === 0;
/** In the form of a join token. */
const TOKEN = `join-0123456789abcdef.${'x'.repeat(43)}`;

let cluster: Cluster;
before(async () => {
  if (!noSlurm) cluster = await startCluster({ nodes: 1, cpus: 32 });
});
after(() => cluster?.stop());

/** Slurm for pilots of a name of their own, each of which waits to be ended. */
async function slurm(
  t: TestContext,
  { name = t.name.replaceAll(/\W+/g, '-'), folder = '/dev/shm', handOver = 'sbcast' as 'sbcast' | 'folder' } = {},
) {
  const home = await temporaryFolder(t);
  const pilot: PilotRequest = {
    ...{ name, cores: 1, memoryMB: 100, minutes: 5, gpus: 0, extra: [] },
    argv: ['/bin/sh', '-c', 'echo "$@"; trap "exit 143" TERM; while sleep 0.1; do :; done', 'sh'],
  };
  const batch = createSlurm(
    { setup: [], logs: home, handOver, tokenFolder: folder, sendTo: '/tmp' },
    cluster.environment,
  );
  return { batch, pilot, home, name };
}

async function seen(
  batch: Batch,
  name: string,
  id: BatchId,
  isWanted: (pilot: SeenPilot | undefined) => boolean,
): Promise<SeenPilot> {
  const giveUpAt = performance.now() + 100_000;
  for (;;) {
    const pilot = (await batch.list(name, [id])).get(id);
    if (pilot && isWanted(pilot)) return pilot;
    assert.ok(performance.now() < giveUpAt, `seen last: ${JSON.stringify(pilot)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function running(parts: Awaited<ReturnType<typeof slurm>>, id: BatchId): Promise<string> {
  await seen(parts.batch, parts.name, id, (pilot) => pilot?.state === 'running');
  // The pilot's own words have the file that it waits for.
  const log = () => readdirSync(parts.home).find((file) => file.endsWith(`-${id}.log`));
  const giveUpAt = performance.now() + 100_000;
  for (;;) {
    const file = log();
    const [, path] = /--token-file (\S+)/.exec(file ? readFileSync(join(parts.home, file), 'utf8') : '') ?? [];
    if (path) return path;
    assert.ok(performance.now() < giveUpAt);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('a pilot is submitted, runs, gets its token and goes, and Slurm keeps nothing of the token', {
  skip,
}, async (t) => {
  const parts = await slurm(t);
  const { batch, pilot, name } = parts;
  const id = await batch.submit(pilot);
  const file = await running(parts, id);
  t.after(() => rmSync(file, { force: true }));
  assert.equal(await batch.hand(id, TOKEN), true);
  assert.equal(readFileSync(file, 'utf8'), `${TOKEN}\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(await batch.hand(id, TOKEN), false, 'it has one');
  assert.deepEqual(filesWithTraces(cluster.folder, [TOKEN]).found, []);
  assert.doesNotMatch(cluster.command('scontrol', 'show', 'job', id), /join-/);
  await batch.cancel([id]);
  const gone = await seen(batch, name, id, (one) => one?.state === 'gone');
  assert.deepEqual(gone, { state: 'gone', reason: 'cancelled at the batch system', hasFailed: true });
  await batch.cancel([id]);
  await assert.rejects(batch.hand(id, TOKEN), { code: 'ERR_REFUSED' });
});

test('another launcher of the account finds its own pilots alone', { skip }, async (t) => {
  const parts = await slurm(t);
  const id = await parts.batch.submit(parts.pilot);
  const file = await running(parts, id);
  t.after(() => rmSync(file, { force: true }));
  const next = createSlurm(
    { setup: [], handOver: 'sbcast', tokenFolder: '/dev/shm', sendTo: '/tmp' },
    cluster.environment,
  );
  assert.deepEqual([...(await next.list(`${parts.name}-2`, [])).keys()], []);
  assert.deepEqual([...(await next.list(parts.name, [])).keys()], [id]);
  assert.equal(await next.hand(id, TOKEN), true, 'to the same file');
  await next.cancel([id]);
});

test('what somebody else put where the token goes is not written to', { skip }, async (t) => {
  const parts = await slurm(t);
  const { batch, pilot } = parts;
  const trap = join(parts.home, 'trap');
  writeFileSync(trap, '');
  for (const lay of [
    (path: string) => writeFileSync(path, '', { mode: 0o666 }),
    (path: string) => symlinkSync(trap, path),
    (path: string) => symlinkSync(join(parts.home, 'nothing'), path),
  ]) {
    const id = await batch.submit(pilot);
    const path = await running(parts, id);
    t.after(() => rmSync(path, { force: true }));
    lay(path);
    assert.equal(await batch.hand(id, TOKEN).catch(() => false), false);
    assert.equal(existsSync(path) ? readFileSync(path, 'utf8') : '', '');
    assert.ok(!existsSync(join(parts.home, 'nothing')));
    await batch.cancel([id]);
  }
  assert.equal(readFileSync(trap, 'utf8'), '');
});

test("another user hands nothing to an account's pilot, and takes nothing", {
  skip: skip || (!isRoot && 'only root can be another user'),
}, async (t) => {
  const parts = await slurm(t);
  const id = await parts.batch.submit(parts.pilot);
  const file = await running(parts, id);
  t.after(() => rmSync(file, { force: true }));
  await parts.batch.hand(id, TOKEN);
  const other = (...words: [string, ...string[]]) => {
    const [program, ...args] = words;
    return spawnSync(program, args, {
      env: { ...cluster.environment, HOME: '/' },
      uid: 65534,
      gid: 65534,
      encoding: 'utf8',
    });
  };
  chmodSync(cluster.folder, 0o755);
  const sbcast = other('sbcast', '-j', id, '/etc/hostname', `${file}-other`);
  assert.match(sbcast.stderr, /Invalid user id/);
  assert.match(other('cat', file).stderr, /Permission denied/);
  await parts.batch.cancel([id]);
});

test('a private folder that nodes share does where sbcast does not', { skip }, async (t) => {
  const folder = join(await temporaryFolder(t), 'tokens');
  mkdirSync(folder, { mode: 0o755 });
  const parts = await slurm(t, { folder, handOver: 'folder' });
  const id = await parts.batch.submit(parts.pilot);
  const file = await running(parts, id);
  await assert.rejects(parts.batch.hand(id, TOKEN), { code: 'ERR_REFUSED', message: /chmod 700/ });
  assert.deepEqual(readdirSync(folder), []);
  chmodSync(folder, 0o700);
  assert.equal(await parts.batch.hand(id, TOKEN), true);
  assert.equal(await parts.batch.hand(id, TOKEN), false);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).length, 1);
  await parts.batch.cancel([id]);
});

/** Pilots whose program, which says that it ran, is sent to a node. */
async function sending(t: TestContext) {
  const { pilot, home, name } = await slurm(t);
  const [program, nodes] = [join(home, 'program'), join(home, 'node')];
  mkdirSync(nodes);
  chmodSync(home, 0o755);
  writeFileSync(program, `#!/bin/sh\necho "ran as $0 $*" > ${join(home, 'ran')}\n`, { mode: 0o755 });
  const settings = {
    setup: [],
    logs: home,
    handOver: 'sbcast',
    tokenFolder: '/dev/shm',
    send: program,
    sendTo: nodes,
  } as const;
  const folder = join(nodes, `panda-pilot-programs-${process.getuid?.()}`);
  const launcher = (environment: NodeJS.ProcessEnv = {}) =>
    createSlurm(settings, { ...cluster.environment, ...environment });
  const submit = async (batch: Batch) => {
    const id = await batch.submit({ ...pilot, argv: ['panda-pilot', '--queue', 'Q'] });
    const [, mark = ''] = /JobName=\S+\.([0-9a-f]{16})/.exec(cluster.command('scontrol', 'show', 'job', id)) ?? [];
    t.after(() => rmSync(`/dev/shm/panda-pilot-token-${mark}`, { force: true }));
    return { id, mark };
  };
  const ended = (batch: Batch, id: BatchId) => seen(batch, name, id, (one) => one?.state === 'gone');
  const runs = (batch: Batch, id: BatchId) => seen(batch, name, id, (one) => one?.state === 'running');
  const ran = () => readIfThere(join(home, 'ran'))?.toString();
  return { home, nodes, folder, launcher, submit, ended, runs, ran };
}

test("a node that has nothing gets the pilot's program, in a folder of the account alone", { skip }, async (t) => {
  const { folder, launcher, submit, ended, runs, ran } = await sending(t);
  const batch = launcher();
  const { id, mark } = await submit(batch);
  await runs(batch, id);
  assert.equal(await batch.hand(id, TOKEN), true);
  assert.equal((await ended(batch, id)).hasFailed, false);
  assert.match(
    ran() ?? '',
    new RegExp(`^ran as ${folder}/${mark}-[0-9a-f]{8} --queue Q --await-token 900 --token-file /dev/shm/`),
  );
  assert.equal(statSync(folder).mode & 0o777, 0o700);
});

test('a pilot starts also when the launcher was killed while it sent the program, or could not say that all is there', {
  skip,
}, async (t) => {
  const { home, folder, launcher, submit, ended, runs, ran } = await sending(t);
  // An sbcast that refuses once to say it.
  const [tools, calls] = [join(home, 'tools'), join(home, 'calls')];
  mkdirSync(tools);
  const script = [
    '#!/bin/sh',
    `echo "$*" >> ${calls}`,
    `case "$*" in */dev/null*) mkdir ${home}/refused 2>/dev/null && { echo "slurmd is busy" >&2; exit 1; };; esac`,
    `PATH=\${PATH#*:}; exec sbcast "$@"`,
  ];
  writeFileSync(join(tools, 'sbcast'), `${script.join('\n')}\n`, { mode: 0o755 });
  const batch = launcher({ PATH: `${tools}:${cluster.environment['PATH']}` });
  const { id, mark } = await submit(batch);
  await runs(batch, id);
  await until(() => existsSync(folder), Boolean);
  // As the launcher before left it.
  writeFileSync(join(folder, `${mark}-00000000`), '#!/bin/sh\n');
  await assert.rejects(batch.hand(id, TOKEN), { code: 'ERR_REFUSED', message: /slurmd is busy/ });
  assert.equal(await batch.hand(id, TOKEN), true);
  assert.equal((await ended(batch, id)).hasFailed, false);
  assert.match(ran() ?? '', new RegExp(`^ran as ${folder}/${mark}-(?!00000000)`));
  const programs = readFileSync(calls, 'utf8').match(/\/program /g);
  assert.equal(programs?.length, 1, 'it is sent once');
});

test('a program is taken from no folder that others can change, and the batch job ends at once', {
  skip: skip || (!isRoot && 'only root can be another user'),
}, async (t) => {
  const { home, nodes, folder, launcher, submit, ended, ran } = await sending(t);
  const batch = launcher();
  const elsewhere = join(home, 'elsewhere');
  mkdirSync(elsewhere, { mode: 0o700 });
  for (const lay of [
    () => mkdirSync(folder, { mode: 0o750 }),
    () => {
      mkdirSync(folder, { mode: 0o700 });
      chownSync(folder, 65534, 65534);
    },
    () => symlinkSync(elsewhere, folder),
    () => chmodSync(nodes, 0o777),
  ]) {
    lay();
    const { id } = await submit(batch);
    // The accounting, which has the status, may be late.
    assert.match((await ended(batch, id)).reason ?? '', /^(exit status 1|failed)$/);
    rmSync(folder, { recursive: true, force: true });
  }
  assert.deepEqual(readdirSync(elsewhere), []);
  assert.equal(ran(), undefined);
});

test('variables of the launcher reach neither Slurm nor the pilot, nor change what is asked of Slurm', {
  skip,
}, async (t) => {
  const parts = await slurm(t);
  const hostile = {
    SBATCH_PARTITION: 'nowhere',
    SBATCH_EXPORT: 'ALL',
    SQUEUE_FORMAT: '%i',
    PANDA_AUTH_ID_TOKEN: TOKEN,
  };
  const batch = createSlurm(
    { setup: ['env'], logs: parts.home, handOver: 'sbcast', tokenFolder: '/dev/shm', sendTo: '/tmp' },
    { ...cluster.environment, ...hostile },
  );
  const id = await batch.submit(parts.pilot);
  await running(parts, id);
  assert.equal((await batch.list(parts.name, [])).get(id)?.state, 'running');
  assert.deepEqual(filesWithTraces(parts.home, [TOKEN]).found, []);
  assert.deepEqual(filesWithTraces(cluster.folder, [TOKEN]).found, []);
  await batch.cancel([id]);
});

test('a refusal has the words of Slurm', { skip }, async (t) => {
  const { batch, pilot } = await slurm(t);
  await assert.rejects(batch.submit({ ...pilot, extra: ['--partition=nowhere'] }), {
    code: 'ERR_REFUSED',
    message: /^sbatch: .*invalid partition specified: nowhere/,
  });
  const never = await batch.submit({ ...pilot, cores: 1, minutes: 5, extra: ['--begin=now+1hour'] });
  assert.equal((await batch.list(pilot.name, [])).get(never)?.state, 'pending');
  await batch.cancel([never]);
});

test('commands that are not there are named', { skip }, async (t) => {
  const { pilot } = await slurm(t);
  const batch = createSlurm(
    { setup: [], handOver: 'sbcast', tokenFolder: '/dev/shm', sendTo: '/tmp' },
    { PATH: '/nowhere' },
  );
  await assert.rejects(batch.submit(pilot), {
    code: 'ERR_UNAVAILABLE',
    message: 'sbatch: there is no such program on the PATH',
  });
});
