import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openMemoryCgroups } from '../../src/pilot/memory-cgroup.ts';
import { temporaryFolder } from './folders.ts';
import { pilotFor } from './pilots.ts';

const said: string[] = [];
const cgroups = openMemoryCgroups({ say: (text) => said.push(text) });
/** Of this machine's kernel. */
const isThere = { skip: cgroups ? false : `this process may make no memory cgroup: ${said}` };
const TOLD = /^the job needed more memory, and the kernel ended a process of it; it may use 100 MB$/;
/** 300 MB at once, and gone before anybody could look. */
const GREEDY = `python3 -c 'bytearray(300 << 20)'`;

/** The folder of the cgroup that a process reads in its `/proc/self/cgroup`, whose text is `seen`. */
function cgroupOf(seen: string): string {
  const [, point] = / (\S+) \S+ - cgroup \S+ \S*\bmemory\b/.exec(readFileSync('/proc/self/mountinfo', 'latin1')) ?? [];
  const [, path] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(seen) ?? /^0::(.*)$/m.exec(seen) ?? [];
  return join(point ?? '/sys/fs/cgroup', path ?? '');
}

for (const mode of ['off', 'auto'] as const) {
  for (const [how, command] of [
    ['the job fails with it', GREEDY],
    ['the job goes on without it', `${GREEDY}; sleep 30; echo late`],
    ['the job hides it', `${GREEDY}; exit 0`],
  ] as const) {
    test(
      `a process that takes too much at once is ended by the kernel, and ${how} (isolation ${mode})`,
      isThere,
      async (t) => {
        const { panda, run, log } = await pilotFor(t);
        panda.add({ command, minRamCount: 50 });
        await run({ mode, memoryCgroups: cgroups });
        const end = await panda.reported('failed');
        assert.equal(end['pilot_error_code'], 1235);
        assert.match(String(end['pilot_error_diag']), TOLD);
        assert.doesNotMatch(log(), /^late$/m);
      },
    );
  }
}

test('the whole job is in a cgroup of its own with its limit, which is gone after it', isThere, async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'cat /proc/self/cgroup > mine', outputs: { mine: 'u.mine' }, minRamCount: 50 });
  await run({ memoryCgroups: cgroups });
  await panda.reported('finished');
  const folder = cgroupOf(panda.uploads.get('output/u.mine')?.toString() ?? '');
  assert.match(folder, /\/panda-job-\d+-\d+$/);
  assert.ok(!existsSync(folder), folder);
});

test('a job without a limit, or that only ends by a signal, is told as ever', isThere, async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'cat /proc/self/cgroup > mine', outputs: { mine: 'u.mine' } });
  panda.add({ command: 'kill -9 $$', minRamCount: 50 });
  await run({ memoryCgroups: cgroups, jobs: 2 });
  assert.doesNotMatch(panda.uploads.get('output/u.mine')?.toString() ?? '', /panda-job/);
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1305);
});

test('what a killed pilot left is removed with the next job', isThere, async (t) => {
  const child = spawn('true');
  await once(child, 'exit');
  const left = join(cgroupOf(readFileSync('/proc/self/cgroup', 'latin1')), `panda-job-${child.pid}-0`);
  mkdirSync(left);
  t.after(() => existsSync(left) && rmdirSync(left));
  await cgroups?.forJob(100)?.remove();
  assert.ok(!existsSync(left));
});

/** A folder that plays the files of version 2, as a kernel with it would show this process. */
async function playVersion2(
  t: TestContext,
  { root = '/', controllers = 'cpu memory pids', counts = 'oom 0\noom_kill 0\n' } = {},
) {
  const folder = await temporaryFolder(t);
  const mount = join(folder, 'cg 2');
  const base = join(mount, root === '/' ? '/user.slice/a b' : 'a b');
  mkdirSync(base, { recursive: true });
  writeFileSync(join(folder, 'cgroup'), '1:name=systemd:/elsewhere\n0::/user.slice/a b\n');
  const mounted = `30 1 0:26 ${root} ${mount.replaceAll(' ', '\\040')} rw - cgroup2 none rw\n`;
  writeFileSync(join(folder, 'mountinfo'), `24 1 0:5 / /proc rw - proc proc rw\n${mounted}`);
  writeFileSync(join(base, 'cgroup.controllers'), `${controllers}\n`);
  writeFileSync(join(base, 'cgroup.procs'), `${process.pid}\n`);
  const told: string[] = [];
  const makeFolder = (path: string) => {
    mkdirSync(path);
    for (const name of ['memory.max', 'memory.swap.max', 'memory.oom.group']) writeFileSync(join(path, name), '');
    writeFileSync(join(path, 'memory.events'), counts);
  };
  const open = () => openMemoryCgroups({ proc: folder, makeFolder, say: (text) => told.push(text) });
  return { base, told, open };
}

for (const root of ['/', '/user.slice']) {
  test(`version 2: the pilot moves into a leaf and hands memory on, and a job has none beyond its limit (mount of ${root})`, async (t) => {
    const { base, open, told } = await playVersion2(t, { root });
    const job = open()?.forJob(100);
    assert.deepEqual(told, []);
    const content = (name: string) => readFileSync(join(base, name), 'latin1');
    assert.equal(content('panda-pilot/cgroup.procs'), String(process.pid));
    assert.equal(content('cgroup.subtree_control'), '+memory');
    const [, , , , procs = ''] = job?.launch(['true']) ?? [];
    assert.match(procs, /\/panda-job-\d+-\d+\/cgroup\.procs$/);
    const files = ['memory.max', 'memory.swap.max', 'memory.oom.group'].map((name) => join(dirname(procs), name));
    assert.deepEqual(
      files.map((path) => readFileSync(path, 'latin1')),
      [String(100 * 1024 * 1024), '0', '1'],
    );
    assert.equal(job?.hasKilled(), false);
    writeFileSync(join(dirname(procs), 'memory.events'), 'oom 1\noom_kill 1\noom_group_kill 1\n');
    assert.equal(job?.hasKilled(), true);
  });
}

test('a cgroup that the kernel holds for longer than its job is removed with a later job', async (t) => {
  const { base, open } = await playVersion2(t);
  const opened = open();
  const folders = () => readdirSync(base).filter((name) => name.startsWith('panda-job'));
  const before = folders();
  const job = opened?.forJob(100);
  const [left = ''] = folders().filter((name) => !before.includes(name));
  // With files in it it stays, as one does with processes.
  await job?.remove();
  assert.ok(folders().includes(left));
  for (const file of readdirSync(join(base, left))) rmSync(join(base, left, file));
  opened?.forJob(100);
  assert.ok(!folders().includes(left));
});

test('jobs have no cgroup where the kernel does not tell what it ended', async (t) => {
  const { open, told } = await playVersion2(t, { counts: 'oom 0\n' });
  assert.equal(open(), undefined);
  assert.match(told.join(), /does not count/);
});

test('a job whose process cannot be put into its cgroup runs all the same', async (t) => {
  const { base, open } = await playVersion2(t);
  const job = open()?.forJob(100);
  for (const name of readdirSync(base)) if (name.startsWith('panda-job')) rmSync(join(base, name), { recursive: true });
  const [program = '', ...words] = job?.launch(['/bin/sh', '-c', 'exit "$1"', 'sh', '7']) ?? [];
  assert.deepEqual(await once(spawn(program, words, { stdio: 'inherit' }), 'exit'), [7, null]);
});

for (const [why, wishes, processes, said] of [
  ['memory is not delegated', { controllers: 'cpu pids' }, [], /not delegated/],
  ['others are in the cgroup', {}, [1], /other processes/],
] as const) {
  test(`version 2: jobs have no cgroup, and nothing is moved, where ${why}`, async (t) => {
    const { base, open, told } = await playVersion2(t, wishes);
    writeFileSync(join(base, 'cgroup.procs'), [process.pid, ...processes].map((pid) => `${pid}\n`).join(''));
    assert.equal(open(), undefined);
    assert.match(told.join(), said);
    assert.deepEqual(readdirSync(base).sort(), ['cgroup.controllers', 'cgroup.procs']);
  });
}

test('a node without cgroups is told once', async (t) => {
  const folder = await temporaryFolder(t);
  const told: string[] = [];
  assert.equal(openMemoryCgroups({ proc: folder, say: (text) => told.push(text) }), undefined);
  assert.equal(told.length, 1);
});
