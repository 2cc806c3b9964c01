import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { livingProcesses } from '../../src/payload/processes.ts';
import { programPath } from '../programs.ts';
import { temporaryFolder, until } from './folders.ts';
import { asNobody, bubblewrap, canBeNobody, isRoot } from './isolated.ts';
import { type PandaServer, startPanda } from './panda.ts';
import { pilotFor } from './pilots.ts';
import { stubToken } from './stub-session.ts';

const MAIN = programPath('panda-pilot');
const QUIET = ['--disable-warning=ExperimentalWarning'];
const NOBODY = 65534;

interface Found {
  files: string[];
  processes: string[];
  pids: number;
  own: boolean;
}

for (const who of ['root', 'an ordinary user'] as const) {
  const skip = bubblewrap.skip || (who === 'root' ? !isRoot : isRoot && !canBeNobody);
  const user = { nobody: who !== 'root' && isRoot };
  test(`two users' jobs on one node of a pilot that runs as ${who} read nothing of each other or of the pilot`, {
    skip,
  }, async (t) => {
    const [first, second] = await snoopAround(t, { ...user, isolate: 'on' });
    for (const found of [first, second]) {
      assert.deepEqual(found, { files: [], processes: [], pids: found.pids, own: true });
      assert.ok(found.pids > 0 && found.pids < 6, `${found.pids} processes are to be seen`);
    }
  });
}

test("without isolation the same looking finds the other job's secret, but not what the pilot has in its memory", {
  skip: !canBeNobody,
}, async (t) => {
  const [{ files, processes }, , pilot] = await snoopAround(t, { nobody: true, isolate: 'off' });
  assert.ok(files.length > 0 && processes.some((what) => what.startsWith('environ of')));
  assert.deepEqual(
    processes.filter((what) => what.includes(`of ${pilot}:`) || what.includes(`/proc/${pilot}/`)),
    [],
  );
});

test('an isolated payload sees the system read-only, and directories of its own', bubblewrap, async (t) => {
  const { panda, run, folder, secretsFolder } = await pilotFor(t);
  const look = [
    'touch /usr/x /etc/x /x /srv/x /tmp/y /var/tmp/z /dev/shm/w 2>/dev/null; ls -d /usr/x /etc/x /x /srv/x /tmp/y /var/tmp/z /dev/shm/w 2>/dev/null',
    'pwd; echo $HOME $TMPDIR; ls / | tr "\\n" " "; echo; ls /tmp; ls -A /root /home /mnt 2>/dev/null',
    `ls ${folder} ${secretsFolder} 2>&1 | grep -c "No such file"`,
    'readlink panda_secrets.json; grep -c random panda_secrets.json; stat -Lc %a panda_secrets.json',
    'grep CapEff /proc/self/status; [ -r /etc/shadow ] && wc -c < /etc/shadow; ulimit -c',
  ];
  panda.add({ command: `{ ${look.join('; ')}; } > out`, outputs: { out: 'u.out' }, secrets: { A: 'random-string' } });
  await run({ mode: 'on' });
  await panda.reported('finished');
  const lines = (panda.uploads.get('output/u.out')?.toString() ?? '').split('\n');
  assert.deepEqual(lines.splice(0, 6), ['/dev/shm/w', '/srv/x', '/tmp/y', '/var/tmp/z', '/srv', '/srv /tmp']);
  const top = (lines.shift() ?? '').trim().split(' ');
  assert.deepEqual(
    ['home', 'root', 'mnt', 'boot', 'media'].filter((name) => top.includes(name)),
    [],
  );
  assert.deepEqual(
    lines.filter((line) => line !== '' && line !== '0'),
    ['y', 'z', '2', '.panda_secrets/panda_secrets.json', '1', '600', 'CapEff:\t0000000000000000'],
  );
});

test(
  'an isolated job brings its outputs, also through a link that it made with the path that it saw',
  bubblewrap,
  async (t) => {
    const { panda, run } = await pilotFor(t);
    panda.add(
      { command: 'echo whole > real; ln -s $PWD/real out', outputs: { out: 'u.1' } },
      { command: 'ln -s /srv/../etc/hostname out', outputs: { out: 'u.2' } },
      { command: 'ls; pwd > out', runDirectory: 'sub', outputs: { out: 'u.3' } },
    );
    await run({ mode: 'on', jobs: 3 });
    assert.equal(panda.uploads.get('output/u.1')?.toString(), 'whole\n');
    assert.equal(panda.uploads.get('output/u.2'), undefined);
    assert.equal(panda.uploads.get('output/u.3')?.toString(), '/srv/sub\n');
  },
);

test(
  'a process that clears its environment, leaves the session and loses its parent ends with an isolated job',
  bubblewrap,
  async (t) => {
    const { panda, run, folder } = await pilotFor(t);
    panda.add({
      command: '(env -i setsid sh -c "exec sleep 4321.5" &) ; sleep 0.2; echo done > out',
      outputs: { out: 'u.out' },
    });
    await run({ mode: 'on' });
    await panda.reported('finished');
    assert.ok(!commandLines().some((line) => line.includes('4321.5')));
    assert.deepEqual(readdirSync(folder), []);
  },
);

test(
  'an isolated payload that is killed by its owner is asked first, and then ended with everything that it started',
  bubblewrap,
  async (t) => {
    const { panda, folder, run, log } = await pilotFor(t);
    panda.add({
      command:
        'trap "exit 0" TERM; sh -c \'trap "sleep 0.1; echo tidied up; exit 0" TERM; touch trapped; while :; do sleep 0.02; done\' & (env -i setsid sh -c \'trap "" TERM; sleep 4322.5\' &) ; while :; do sleep 0.05; done',
    });
    const running = run({ mode: 'on', killGraceSeconds: 5 });
    await until(
      () => readdirSync(folder, { recursive: true, encoding: 'utf8' }),
      (found) => found.some((path) => path.endsWith('/trapped')),
    );
    panda.killing = true;
    await running;
    assert.equal((await panda.reported('failed'))['pilot_error_code'], 1144);
    assert.match(log(), /tidied up/);
    assert.ok(!commandLines().some((line) => line.includes('4322.5')));
  },
);

test('an isolated payload ends with a pilot that is killed', bubblewrap, async (t) => {
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  const token = join(folder, 'token');
  writeFileSync(token, stubToken(), { mode: 0o600 });
  panda.add({ command: '(env -i setsid sleep 4323.5 &); sleep 4323.5' });
  const args = ['--token-file', token, '--workdir', folder, '--isolate', 'on'];
  const pilot = startPilot(panda, { nobody: false, args });
  t.after(() => pilot.kill('SIGKILL'));
  const sleepers = () => commandLines().filter((line) => line === 'sleep 4323.5 ').length;
  await until(sleepers, (count) => count === 2);
  pilot.kill('SIGKILL');
  await until(sleepers, (count) => count === 0);
  assert.equal(spawnSync(process.execPath, [...QUIET, MAIN, 'clean', '--workdir', folder]).status, 0);
  assert.deepEqual(readdirSync(folder), ['token']);
});

test('an isolated payload passes on its exit status', bubblewrap, async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'exit 42' });
  await run({ mode: 'on' });
  assert.equal((await panda.reported('failed'))['trans_exit_code'], 42);
});

test('what is shared is seen, and of it not what the pilot hides', bubblewrap, async (t) => {
  const { panda, run } = await pilotFor(t);
  const site = await temporaryFolder(t);
  chmodSync(site, 0o755);
  mkdirSync(join(site, 'keys'));
  for (const [name, content] of [
    ['data', 'site data\n'],
    ['token', 'the-token\n'],
    ['keys/key', 'the-key\n'],
  ] as const) {
    writeFileSync(join(site, name), content);
  }
  symlinkSync('token', join(site, 'link'));
  panda.add({
    command: `cd ${site}; cat data token link keys/key > /srv/out 2>/dev/null; touch data; true`,
    outputs: { out: 'u.out' },
  });
  await run({ mode: 'on', shared: [site, '/dev/null'], hidden: [join(site, 'link'), join(site, 'keys')] });
  assert.equal(panda.uploads.get('output/u.out')?.toString(), 'site data\n');
});

test('a pilot that must isolate and cannot says why and runs nothing; one that may goes on', async (t) => {
  const { panda, run, said } = await pilotFor(t);
  const bin = await temporaryFolder(t);
  writeFileSync(join(bin, 'bwrap'), '#!/bin/sh\necho "bwrap: no namespaces for you" >&2; exit 1\n');
  chmodSync(join(bin, 'bwrap'), 0o755);
  const own = { PATH: `${bin}:${process.env['PATH']}` };
  await assert.rejects(run({ mode: 'on', environment: own }), /no namespaces for you/);
  await assert.rejects(run({ mode: 'on', shared: ['relative'] }), /absolute path/);
  await assert.rejects(run({ mode: 'on', shared: ['/not/there'] }), /cannot be shown/);
  panda.add({ command: 'true' });
  await run({ mode: 'auto', environment: own });
  await panda.reported('finished');
  assert.ok(said.some((line) => line.includes('not isolated') && line.includes('no namespaces')));
});

/** Two jobs, of a user each, that look for the other's secret, the pilot's token and its memory at the same time. */
async function snoopAround(
  t: TestContext,
  { nobody, isolate }: { nobody: boolean; isolate: string },
): Promise<[Found, Found, number | undefined]> {
  const panda = await startPanda(t);
  const folder = await temporaryFolder(t);
  const secretsFolder = await temporaryFolder(t);
  const token = join(folder, 'token');
  writeFileSync(token, stubToken(), { mode: 0o600 });
  if (nobody) for (const path of [folder, secretsFolder, token]) chownSync(path, NOBODY, NOBODY);
  const meeting = await meetAll(t, 2);
  const values = ['first-users-secret-4711', 'second-users-secret-0815'];
  const roots = [folder, secretsFolder, token, '/tmp', '/var/tmp', '/dev/shm', '/run', '/srv', '/home', '/root'].join(
    ' ',
  );
  for (const [number, value] of values.entries()) {
    const wanted = [values[1 - number] ?? '', stubToken().split('.').at(-1) ?? ''].map((wish) =>
      Buffer.from(wish).reverse().toString('hex'),
    );
    panda.add({
      command: `printf '%s\\n' ${wanted.join(' ')} | python3 snoop.py 127.0.0.1 ${meeting} report ${roots}`,
      sandbox: [{ path: 'snoop.py', content: readFileSync(join(import.meta.dirname, 'snoop.py'), 'utf8') }],
      outputs: { report: `u.${number}` },
      secrets: { MINE: value, '___file___:key.pem': Buffer.from(value).toString('base64') },
    });
  }
  const pilot = startPilot(panda, {
    nobody,
    args: [
      '--token-file',
      token,
      '--workdir',
      folder,
      '--secrets-dir',
      secretsFolder,
      '--isolate',
      isolate,
      '--allow-root',
    ],
  });
  t.after(() => pilot.kill('SIGKILL'));
  const said = text(pilot.stderr);
  await once(pilot, 'close');
  const report = (number: number): Found => {
    const content = panda.uploads.get(`output/u.${number}`);
    return content ? JSON.parse(content.toString()) : assert.fail('no report came');
  };
  assert.equal(pilot.exitCode, 0, await said);
  return [report(0), report(1), pilot.pid];
}

function startPilot(panda: PandaServer, { nobody, args }: { nobody: boolean; args: string[] }) {
  const all = [
    process.execPath,
    ...QUIET,
    MAIN,
    '--queue',
    'default',
    '--server',
    panda.url,
    '--slots',
    '2',
    '--jobs',
    '2',
    ...args,
  ];
  const [program = '', ...words] = nobody ? [...asNobody(), ...all] : all;
  return spawn(program, words, { env: { PATH: process.env['PATH'] } });
}

/** A place where as many as `count` wait for each other, twice; its port. */
async function meetAll(t: TestContext, count: number): Promise<number> {
  const here: Socket[] = [];
  let ready = 0;
  const release = () => {
    for (const socket of here) socket.write('.');
  };
  const server = createServer((socket) => {
    here.push(socket);
    socket.on('error', () => {});
    socket.on('data', () => {
      ready += 1;
      if (ready === count) release();
    });
    if (here.length === count) release();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

function commandLines(): string[] {
  return livingProcesses().map(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  });
}
