import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { livingProcesses } from '../../src/payload/processes.ts';
import { programPath } from '../programs.ts';
import { temporaryFolder, until, whereIs } from './folders.ts';
import { asNobody, bubblewrap, canBeNobody, isRoot } from './isolated.ts';
import { startPanda } from './panda.ts';
import { pilotFor } from './pilots.ts';
import { stubToken } from './stub-session.ts';

const MAIN = programPath('panda-pilot');
const ATTACK = readFileSync(join(import.meta.dirname, 'kernel.py'), 'utf8');
const NOBODY = 65534;
/** Of this run alone: it is searched for where other tests have files too. */
const VALUE = `random-string-${randomUUID()}`;
/** Settings of an ordinary user's own namespaces; the last only tells how busy the node is. */
const OF_ITS_NAMESPACES =
  /^writable:\/proc\/(sys\/(fs\/mqueue\/.*|kernel\/(auto_msgmni|msgm\w+|ns_last_pid|pid_max|sem|shm\w+))|pressure\/\w+)$/;
/** The pilot's user, in a group that may read what others may not. */
const IN_SHADOW = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--groups=42'];

const IN_USER_NAMESPACE = [...(isRoot ? asNobody() : []), 'unshare', '--map-root-user'];
const canHaveUserNamespace =
  (canBeNobody || !isRoot) &&
  spawnSync(IN_USER_NAMESPACE[0] ?? '', [...IN_USER_NAMESPACE.slice(1), 'true']).status === 0;

const attackers: [who: string, as: string[], skip: string | boolean, found?: string[]][] = [
  ['root', [], !isRoot && 'this is not root'],
  ['an ordinary user', isRoot ? asNobody() : [], isRoot && !canBeNobody && 'root cannot be another user here'],
  // In a container it may be called root and have capabilities there, and is an ordinary user of the node.
  ['root of a user namespace', IN_USER_NAMESPACE, !canHaveUserNamespace && 'no user namespaces here', ['ran', 'root']],
  ['a user in the group shadow', IN_SHADOW, !canBeNobody && 'this is not root'],
];
for (const [who, as, skip, expected = ['ran']] of attackers) {
  test(`jobs of a pilot that runs as ${who} change nothing of the kernel's and leave nothing for the next`, {
    skip: bubblewrap.skip || skip,
  }, async (t) => {
    const panda = await startPanda(t);
    const folder = await ownFolder(t, as.length > 0);
    for (const number of [1, 2]) {
      panda.add({
        command: `python3 kernel.py ${number} > out; echo 4321 > /proc/sys/kernel/shmmni; true`,
        sandbox: [{ path: 'kernel.py', content: ATTACK }],
        outputs: { out: `u.${number}` },
      });
    }
    const before = readFileSync('/proc/sys/kernel/shmmni', 'utf8');
    const { status, said } = await pilot(t, panda.url, as, ['--workdir', folder, '--jobs', '2', '--isolate', 'on']);
    assert.equal(status, 0, said);
    for (const number of [1, 2]) {
      const found = panda.uploads.get(`output/u.${number}`)?.toString().trim().split('\n') ?? [];
      const foreign = found.filter((what) => as.length === 0 || !OF_ITS_NAMESPACES.test(what));
      assert.deepEqual(foreign, expected);
    }
    assert.equal(readFileSync('/proc/sys/kernel/shmmni', 'utf8'), before);
  });
}

test('the same attacks find something where jobs are not isolated', { skip: !isRoot || !canBeNobody }, async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({
    command: 'python3 kernel.py 1 > out',
    sandbox: [{ path: 'kernel.py', content: ATTACK }],
    outputs: { out: 'u.out' },
  });
  await run();
  const found = panda.uploads.get('output/u.out')?.toString() ?? '';
  for (const attack of [
    'root',
    'writable:/proc/sys/kernel/core_pattern',
    'readable:/etc/shadow',
    'may-call-keyctl',
    'capable',
  ]) {
    assert.ok(found.includes(attack), `${attack} is not among ${found.slice(0, 500)}`);
  }
});

test('a pilot that runs as root refuses to run jobs as root, unless it is told to', { skip: !isRoot }, async (t) => {
  const panda = await startPanda(t);
  panda.add({ command: 'id -u > out', outputs: { out: 'u.out' } });
  const options = ['--workdir', await temporaryFolder(t), '--jobs', '1', '--isolate', 'off'];
  const refused = await pilot(t, panda.url, [], options);
  assert.equal(refused.status, 1);
  assert.match(refused.said, /runs as root, and its jobs would: .* another user, or, .* --allow-root\n$/);
  assert.equal(panda.offers.length, 0, 'its token is good for another start');
  assert.equal((await pilot(t, panda.url, [], [...options, '--allow-root'])).status, 0);
  assert.equal(panda.uploads.get('output/u.out')?.toString(), '0\n');
});

test('isolated, values are never in the file system of the node and names in no argument list, and end with a pilot that is killed', {
  skip: bubblewrap.skip,
}, async (t) => {
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  panda.add({
    command: 'grep -q random panda_secrets.json key && echo; touch ready; while [ -e ready ]; do sleep 0.02; done',
    secrets: {
      'no-variable': VALUE,
      '___file___:key': Buffer.from(VALUE).toString('base64'),
      '___file___:name-of-alice': 'eA==',
    },
  });
  const running = start(t, panda.url, [], ['--workdir', folder, '--isolate', 'on']);
  await until(
    () => whereIs('ready', folder),
    (found) => found.length > 0,
  );
  assert.deepEqual(whereIs(VALUE, folder, '/dev/shm'), []);
  const shown = livingProcesses().map(({ pid }) => commandLine(pid));
  assert.ok(shown.some((line) => line.includes('bwrap')));
  assert.deepEqual(
    shown.filter((line) => line.includes('name-of-alice')),
    [],
  );
  running.child.kill('SIGKILL');
  await running.ended;
  assert.deepEqual(whereIs(VALUE, folder, '/dev/shm'), []);
});

test('what a job starts in a container of its own finds the secrets of the working directory that it is given', {
  skip: bubblewrap.skip,
}, async (t) => {
  const { panda, run, log } = await pilotFor(t);
  const container = 'bwrap --unshare-user --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib';
  const inside = `${container} --symlink usr/lib64 /lib64 --bind $PWD /w --chdir /w`;
  panda.add({
    command: `${inside} cat panda_secrets.json key > out; cd /; cat $PANDA_SECRETS_FILE >> /srv/sub/out`,
    runDirectory: 'sub',
    outputs: { out: 'u.out' },
    secrets: { A: 'x', '___file___:key': Buffer.from('y\n').toString('base64') },
  });
  await run({ mode: 'on' });
  const json = JSON.stringify({ A: 'x', '___file___:key': Buffer.from('y\n').toString('base64') });
  assert.equal(panda.uploads.get('output/u.out')?.toString(), `${json}y\n${json}`, log());
});

for (const mode of ['on', 'off'] as const) {
  test(`a file secret with a name of the pilot's takes nothing from the others, isolation ${mode}`, {
    skip: mode === 'on' && bubblewrap.skip,
  }, async (t) => {
    const { panda, run, log } = await pilotFor(t);
    const content = Buffer.from('y').toString('base64');
    const secrets = { '___file___:panda_secrets.json': content, '___file___:.panda_secrets': content, A: 'x' };
    panda.add({ command: 'cat panda_secrets.json > out', outputs: { out: 'u.out' }, secrets });
    await run({ mode });
    assert.equal(panda.uploads.get('output/u.out')?.toString(), JSON.stringify(secrets), log());
    assert.match(log(), /panda_secrets\.json, \.panda_secrets: not written as a file, .*: read panda_secrets\.json\n/);
  });
}

test('packing or copying the working directory of an isolated job takes no value along', {
  skip: bubblewrap.skip,
}, async (t) => {
  const { panda, run, log } = await pilotFor(t);
  panda.add({
    command: 'echo mine > mine; tar cf /tmp/all.tar . && cp /tmp/all.tar . && cp -a . /tmp/copy; ls -A /tmp/copy',
    outputs: { 'all.tar': 'u.tar' },
    secrets: { 'no-variable': VALUE, '___file___:key': Buffer.from(VALUE).toString('base64') },
  });
  await run({ mode: 'on' });
  const packed = panda.uploads.get('output/u.tar')?.toString('latin1') ?? assert.fail(log());
  assert.ok(packed.includes('mine') && !packed.includes(VALUE));
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

interface Running {
  child: ReturnType<typeof spawn>;
  ended: Promise<{ status: number | null; said: string }>;
}

function start(t: TestContext, url: string, as: string[], options: string[]): Running {
  const words = [...as, process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
  const [program = '', ...rest] = [...words, '--queue', 'q', '--server', url, '--token-file', '-', ...options];
  const child = spawn(program, rest, { env: { PATH: process.env['PATH'] } });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.end(stubToken());
  child.stdout.resume();
  const said = text(child.stderr);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, ended: Promise.all([ended, said]).then(([status, said]) => ({ status, said })) };
}

async function pilot(t: TestContext, url: string, as: string[], options: string[]) {
  return await start(t, url, as, options).ended;
}

/** A working directory that nobody can reach, and owns when the pilot runs as nobody. */
async function ownFolder(t: TestContext, isNobodys: boolean): Promise<string> {
  const parent = await temporaryFolder(t);
  chmodSync(parent, 0o711);
  const folder = join(parent, 'pilot');
  mkdirSync(folder, { mode: 0o700 });
  if (isNobodys && isRoot) chownSync(folder, NOBODY, NOBODY);
  return folder;
}
