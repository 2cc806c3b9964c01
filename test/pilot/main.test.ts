import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { takeLock } from '../../src/payload/process-lock.ts';
import { startTimeOf } from '../../src/payload/processes.ts';
import { LOOPBACK } from '../client/certificates.ts';
import { no, startStub } from '../client/stub-server.ts';
import { programPath } from '../programs.ts';
import { seenTime } from '../took.ts';
import { temporaryFolder, until, whereIs } from './folders.ts';
import { type PandaServer, startPanda } from './panda.ts';
import { stubToken } from './stub-session.ts';

const MAIN = programPath('panda-pilot');
const VALUE = 'random-string-of-alice';

interface Started {
  child: ChildProcessWithoutNullStreams;
  /** Its exit status or signal, and what it said. */
  ended: Promise<{ status: number | NodeJS.Signals | null; said: string }>;
}

function pandaPilot(t: TestContext, args: string[], input = '', env: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: { PATH: process.env['PATH'], ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.end(input);
  child.stdout.resume();
  const said = text(child.stderr);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.on('close', (status, signal) => resolve(status ?? signal)),
  );
  return { child, ended: Promise.all([ended, said]).then(([status, said]) => ({ status, said })) };
}

async function node(t: TestContext) {
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  const secretsFolder = await temporaryFolder(t);
  const run = (...args: string[]) =>
    pandaPilot(
      t,
      [
        '--queue',
        'default',
        '--token-file',
        '-',
        '--server',
        panda.url,
        '--workdir',
        folder,
        '--secrets-dir',
        secretsFolder,
        '--heartbeat',
        '1',
        '--isolate',
        'off',
        '--allow-root',
        ...args,
      ],
      stubToken(),
    );
  return { panda, folder, secretsFolder, run };
}

/** Waits until a job that writes the pids of its processes into `pids` runs; they are returned. */
async function runningPids(panda: PandaServer, folder: string, count: number): Promise<number[]> {
  await panda.reported('running');
  const pids = () =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('/pids'))
      .flatMap((path) => readFileSync(join(folder, path), 'utf8').trim().split('\n'))
      .map(Number);
  return await until(pids, (found) => found.length === count);
}

/** Names of the files below a folder that somebody may be removing. */
function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  } catch {
    return ['not to be seen'];
  }
}

/** They ignore TERM, and end with the test's folder if nothing else ends them. */
const TWO_PROCESSES = {
  command:
    'trap "" TERM; echo $$ >> pids; setsid sh -c \'trap "" TERM; echo $$ >> pids; while [ -e pids ]; do sleep 0.1; done\' & while [ -e pids ]; do sleep 0.1; done',
  secrets: { MY_SECRET: VALUE },
};
const OBEDIENT = TWO_PROCESSES.command.replaceAll('trap "" TERM; ', '');

test('a pilot runs as many jobs as it is told to and ends with status 0', async (t) => {
  const { panda, folder, run } = await node(t);
  panda.add({ command: 'true' }, { command: 'exit 1' });
  const { status, said } = await run('--jobs', '2').ended;
  assert.equal(status, 0, said);
  assert.match(said, /ran 2 jobs/);
  assert.deepEqual(readdirSync(folder), []);
});

test('the token and the secrets are in no argument list, and not in the environment of pilot or payload', async (t) => {
  const { panda, folder, run } = await node(t);
  panda.add({ command: OBEDIENT, secrets: { 'no-variable': VALUE } });
  const { child, ended } = run('--jobs', '1');
  const pids = await runningPids(panda, folder, 2);
  for (const pid of [child.pid, ...pids]) {
    for (const file of ['cmdline', 'environ']) {
      const content = readFileSync(`/proc/${pid}/${file}`, 'latin1');
      assert.ok(!content.includes(stubToken()) && !content.includes(VALUE), `${file} of ${pid}`);
    }
  }
  panda.killing = true;
  await ended;
});

test('what a job is called forges no line of what the pilot says', async (t) => {
  const { panda, run } = await node(t);
  panda.add({ command: 'true', outputs: { 'out\\nFORGED\\x1b[2J': 'u.out' } });
  const { said } = await run('--jobs', '1').ended;
  assert.match(said, /was not made/);
  assert.ok(!said.includes('\x1b') && !said.split('\n').some((line) => line.startsWith('FORGED')), said);
});

for (const [signal, status, code] of [
  ['SIGTERM', 143, 1201],
  ['SIGINT', 130, 1208],
] as const) {
  test(`a pilot that gets ${signal} ends its job's whole process tree, reports and leaves nothing`, async (t) => {
    const { panda, folder, secretsFolder, run } = await node(t);
    panda.add({ command: OBEDIENT, secrets: { MY_SECRET: VALUE } });
    const pilot = run();
    const pids = await runningPids(panda, folder, 2);
    pilot.child.kill(signal);
    const ended = await pilot.ended;
    assert.equal(ended.status, status, ended.said);
    assert.equal((await panda.reported('failed'))['pilot_error_code'], code);
    assert.deepEqual(pids.map(startTimeOf), [undefined, undefined]);
    assert.deepEqual([readdirSync(folder), readdirSync(secretsFolder)], [[], []]);
  });
}

test('within a second of its kill nothing of a pilot has a secret, also where its job closed what it copied', async (t) => {
  const { panda, folder, secretsFolder, run } = await node(t);
  const copy =
    'cd $(dirname $PANDA_SECRETS_FILE) && mkdir -p a/b && cp panda_secrets.json a/b && chmod 500 a/b a; cd - > /dev/null';
  panda.add({ ...TWO_PROCESSES, command: `${copy}; ${TWO_PROCESSES.command}` });
  const killed = run();
  await runningPids(panda, folder, 2);
  assert.equal(whereIs(VALUE, secretsFolder).length, 2);
  killed.child.kill('SIGKILL');
  const killedAt = performance.now();
  const seen = seenTime();
  await until(
    () => filesBelow(secretsFolder),
    (found) => found.every((name) => name === 'pilot.json'),
  );
  t.diagnostic(`${Math.round(performance.now() - killedAt)} ms, of which ${seen.seconds()} s were seen`);
  assert.ok(seen.seconds() < 1);
});

test('a pilot finds in shared memory what another left that was killed with its guard, whatever their folders', async (t) => {
  const { run } = await node(t);
  // A directory as a pilot of this user makes it, of a process that has ended.
  const left = `/dev/shm/panda-pilot-${randomUUID()}`;
  mkdirSync(join(left, '1-1'), { recursive: true, mode: 0o700 });
  t.after(() => rmSync(left, { recursive: true, force: true }));
  writeFileSync(join(left, '1-1/panda_secrets.json'), VALUE);
  await takeLock(left);
  const lock = join(left, 'pilot.json');
  writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), pid: spawnSync('true').pid }));
  const { status, said } = await run('--idle-exit', '1').ended;
  assert.equal(status, 0, said);
  assert.equal(existsSync(left), false);
});

for (const cleaner of ['the next pilot', 'panda-pilot clean'] as const) {
  test(`what a killed pilot left is removed by ${cleaner}`, async (t) => {
    const { panda, folder, secretsFolder, run } = await node(t);
    panda.add(TWO_PROCESSES);
    const killed = run();
    const pids = await runningPids(panda, folder, 2);
    killed.child.kill('SIGKILL');
    await killed.ended;
    await until(
      () => filesBelow(secretsFolder),
      (found) => found.every((name) => name === 'pilot.json'),
    );
    assert.deepEqual(whereIs(VALUE, folder, secretsFolder), []);
    assert.ok(pids.every((pid) => startTimeOf(pid) !== undefined));

    const clean =
      cleaner === 'the next pilot' ? run('--idle-exit', '1') : pandaPilot(t, ['clean', '--workdir', folder]);
    const { status, said } = await clean.ended;
    assert.equal(status, 0, said);
    assert.deepEqual(pids.map(startTimeOf), [undefined, undefined]);
    assert.deepEqual([readdirSync(folder), readdirSync(secretsFolder)], [[], []]);
  });
}

for (const cleaner of ['the next pilot', 'panda-pilot clean'] as const) {
  test(`secrets of a killed pilot whose directories somebody else removed are removed by ${cleaner}`, async (t) => {
    const { panda, folder, secretsFolder, run } = await node(t);
    panda.add({ ...TWO_PROCESSES, command: TWO_PROCESSES.command.replaceAll('-e pids', '-d /') });
    const killed = run();
    const pids = await runningPids(panda, folder, 2);
    killed.child.kill('SIGKILL');
    await killed.ended;
    rmSync(folder, { recursive: true });
    const another = await temporaryFolder(t);
    const clean = ['clean', '--workdir', another, '--secrets-dir', secretsFolder];
    const { status, said } = await (cleaner === 'the next pilot'
      ? run('--idle-exit', '1', '--workdir', another)
      : pandaPilot(t, clean)
    ).ended;
    assert.equal(status, 0, said);
    assert.match(said, /cleaned up after 1 pilot/);
    assert.deepEqual(pids.map(startTimeOf), [undefined, undefined]);
    assert.deepEqual(readdirSync(secretsFolder), []);
  });
}

test('cleaning up leaves a pilot alone that is alive', async (t) => {
  const { panda, folder, secretsFolder, run } = await node(t);
  panda.add({
    command: 'echo $$ > pids; while [ ! -e go ]; do sleep 0.02; done; echo whole > out',
    outputs: { out: 'u.out' },
  });
  const alive = run('--jobs', '1');
  await runningPids(panda, folder, 1);
  await pandaPilot(t, ['clean', '--workdir', folder, '--secrets-dir', secretsFolder]).ended;
  assert.equal(readdirSync(secretsFolder).length, 1);
  const [work] = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('/work'));
  writeFileSync(join(folder, work ?? '', 'go'), '');
  const { status, said } = await alive.ended;
  assert.equal(status, 0, said);
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'whole\n');
});

test('a signal does not open a debugger into the pilot', async (t) => {
  const { panda, folder, run } = await node(t);
  panda.add({ command: OBEDIENT });
  const { child, ended } = run('--jobs', '1');
  await runningPids(panda, folder, 2);
  const started = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8').split('\0');
  assert.ok(started.includes('--disable-sigusr1'), 'one in its first moment would');
  child.kill('SIGUSR1');
  panda.killing = true;
  const { status, said } = await ended;
  assert.equal(status, 0);
  assert.ok(!/debugger/i.test(said), said);
});

test('a pilot whose server is away waits for it', async (t) => {
  const { panda, run } = await node(t);
  panda.broken = true;
  panda.add({ command: 'true' });
  const pilot = run('--jobs', '1');
  const { stderr } = pilot.child;
  await new Promise((resolve) => stderr.on('data', (line) => String(line).includes('trying on') && resolve(line)));
  panda.broken = false;
  const { status, said } = await pilot.ended;
  assert.equal(status, 0);
  assert.match(said, /joined http\S+ as \S+, queue \S+: waiting for jobs\n/);
  await panda.reported('finished');
});

test('a pilot says once that it lost the server, and that it found it again', async (t) => {
  const { panda, run } = await node(t);
  const pilot = run('--jobs', '1');
  const { stderr } = pilot.child;
  const heard = (what: string) =>
    new Promise<void>((resolve) => stderr.on('data', (line) => String(line).includes(what) && resolve()));
  await heard('joined');
  const lost = heard('lost the server');
  panda.broken = true;
  await lost;
  const found = heard('found the server again');
  panda.broken = false;
  panda.add({ command: 'true' });
  await found;
  const { status, said } = await pilot.ended;
  assert.equal(status, 0);
  assert.equal(said.match(/lost the server, trying on/g)?.length, 1);
});

test('a pilot that the server refuses ends with status 1 and says why', async (t) => {
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  const args = ['--queue', 'q', '--token-file', '-', '--server', panda.url, '--workdir', folder, '--allow-root'];
  const other = stubToken().replace(/\..*$/, `.${'A'.repeat(43)}`);
  const { status, said } = await pandaPilot(t, args, other).ended;
  assert.equal(status, 1);
  assert.match(said, /whose token is that\?/);
  assert.ok(!said.includes(other));
});

test("a pilot trusts its site's own certificates where they are named, as the other programs do", async (t) => {
  const folder = await temporaryFolder(t);
  await using site = await startStub({ 'pilot/join': () => no('whose token is that?') }, LOOPBACK);
  const certificate = join(folder, 'site.pem');
  writeFileSync(certificate, LOOPBACK.cert);
  const args = [
    '--queue',
    'q',
    '--token-file',
    '-',
    '--server',
    site.url,
    '--workdir',
    folder,
    '--idle-exit',
    '1',
    '--allow-root',
  ];
  const [trusting, other] = await Promise.all([
    pandaPilot(t, args, stubToken(), { SSL_CERT_FILE: certificate }).ended,
    pandaPilot(t, args, stubToken()).ended,
  ]);
  assert.match(trusting.said, /whose token is that\?/);
  assert.match(other.said, /not trusted here.*SSL_CERT_FILE/);
});

test('a token file that is missing, empty or no token is named and not quoted', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'token');
  const attempt = async () => await pandaPilot(t, ['--queue', 'q', '--token-file', file]).ended;
  assert.match((await attempt()).said, /cannot be read \(ENOENT\)/);
  writeFileSync(file, '\n');
  assert.match((await attempt()).said, /has no token/);
  writeFileSync(file, 'some-password');
  const { status, said } = await attempt();
  assert.equal(status, 1);
  assert.ok(said.includes(file) && !said.includes('some-password'), said);
});

test('a folder that others may look into is refused', async (t) => {
  const { folder, run } = await node(t);
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o755);
  const { status, said } = await run('--workdir', open).ended;
  assert.equal(status, 1);
  assert.match(said, /chmod 700/);
  assert.match((await run('--workdir', '/dev/null/pilots').ended).said, /pilots" cannot be made \(ENOTDIR\)\n$/);
});

test('a folder for secrets in which others may replace what is there is refused', async (t) => {
  const { folder, run } = await node(t);
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const { status, said } = await run('--secrets-dir', open).ended;
  assert.equal(status, 1);
  assert.match(said, /chmod \+t/);
});

test('wrong usage ends with status 2 and a line that says what is right, help with 0', async (t) => {
  const wrong: [args: string[], said: RegExp][] = [
    [[], /^panda-pilot: --queue NAME is required: the queue whose jobs it runs /],
    [['--queue', 'q'], /--token-file FILE is required.*"panda-secrets pilot-token --queue q" prints one/],
    [['--queue', 'q', '--token-file', '-', '--jobs', 'many'], /--jobs.*must be a whole number from 1 on/],
    [['--token-fil', 'x'], /^panda-pilot: unknown option '--token-fil' \(Did you mean --token-file\?\)/],
    [['clean', '--queue', 'q'], /unknown option '--queue'/],
    [['clen'], /too many arguments.*clen/],
  ];
  for (const [args, expected] of wrong) {
    const { status, said } = await pandaPilot(t, args).ended;
    assert.equal(status, 2, args.join(' '));
    assert.match(said, expected);
    assert.match(said, /^[^\n]+\("panda-pilot --help" tells more\)\n$/);
  }
  assert.equal((await pandaPilot(t, ['--help']).ended).status, 0);
});
