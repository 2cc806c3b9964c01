import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, globSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildSingleFile, machineOf, whyNoSingleFile } from '../../scripts/build/single-file.ts';
import { filesBelow, startSite, tracesOf } from '../end-to-end/site.ts';
import { until } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import { secondsOfChildren } from '../took.ts';

const root = join(import.meta.dirname, '../..');
/** Its bit in a mask of signals: it opens Node's debugger. */
const SIGUSR1 = 1n << 9n;
const VALUE = 'random-string-of-adoe';
const skip = whyNoSingleFile() ?? false;

let folder = '';
let pilot = '';

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'panda-single-'));
  chmodSync(folder, 0o755);
  pilot = join(folder, 'panda-pilot');
  await buildSingleFile('panda-pilot', { root, output: pilot });
});
after(() => rmSync(folder || '/nonexistent', { recursive: true, force: true }));

test('one file runs a job with secrets on a node that has no Node, and protects its memory', { skip }, async (t) => {
  const site = await startSite(t);
  const user = await site.user('adoe');
  assert.equal((await user.pbook('set_secret', 'TOKEN', VALUE)).status, 0);
  writeFileSync(
    join(user.directory, 'job.sh'),
    'cat panda_secrets.json; echo "$TOKEN"; command -v node; echo done > out',
  );
  const submitted = await user.prun(
    ...['--exec', 'sh job.sh', '--outDS', 'user.adoe.one', '--outputs', 'out', '--useSecrets', '--noBuild'],
  );
  assert.equal(submitted.status, 0, submitted.stderr);
  // Nothing that the node's environment says changes the program.
  const env = { PATH: '/usr/bin:/bin', NODE_OPTIONS: '--require /no/such/file' };
  const ran = await site.pilot({ executable: pilot, env });
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stderr, /ran 1 job\n$/);
  assert.doesNotMatch(ran.stderr, /cannot keep its memory/);
  const log = (await user.pbook('logs', '10000000')).stdout;
  assert.match(log, /^\{"TOKEN": ?"\*\*\*"\}\*\*\*\n/m);
  for (const { path, bytes } of [...filesBelow(ran.folder), { path: 'log', bytes: Buffer.from(log + ran.stderr) }]) {
    for (const trace of tracesOf(VALUE)) assert.ok(!bytes.includes(trace), path);
  }
});

test('its process starts once, with no debugger, no core file and a closed memory', { skip }, async (t) => {
  const token = join(folder, 'token');
  spawnSync('mkfifo', ['-m', '666', token]);
  const args = ['--queue', 'q', '--token-file', token, '--workdir', join(folder, 'work'), '--allow-root'];
  // Of root nobody can close a memory.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  // It waits there for the token, when it has closed its memory.
  const child = spawn(pilot, args, { cwd: '/', ...user });
  t.after(() => child.kill('SIGKILL'));
  const proc = `/proc/${child.pid}`;
  // The kernel gives what is closed to root.
  await until(
    () => [/^Max core file size\s+0\s+0/m.test(readFileSync(`${proc}/limits`, 'utf8')), lstatSync(`${proc}/mem`).uid],
    ([noCore, owner]) => noCore === true && owner === 0,
  );
  assert.deepEqual(readFileSync(`${proc}/cmdline`, 'utf8').split('\0').slice(0, 3), [pilot, '--queue', 'q']);
  const blocked = /^SigBlk:\s+(\w+)$/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1] ?? '';
  assert.equal(BigInt(`0x${blocked}`) & SIGUSR1, SIGUSR1);
});

test('it starts in less than one and a half times the time of the bundled program', { skip }, () => {
  const bundled = [...programWords('panda-pilot'), '--version'];
  const times = { one: 0, bundled: 0 };
  for (let n = 0; n < 10; n++) {
    times.bundled += took(bundled);
    times.one += took([pilot, '--version']);
  }
  assert.ok(times.one < 1.5 * times.bundled, `${times.one} s, and ${times.bundled} s for the bundle`);
});

test('pbook and prun are one file each: commands, Python with its module, completions', { skip }, async (t) => {
  const site = await startSite(t);
  const user = await site.user('single');
  const [pbook, prun] = [join(folder, 'pbook'), join(folder, 'prun')];
  await buildSingleFile('pbook', { root, output: pbook });
  await buildSingleFile('prun', { root, output: prun });
  const address = { PANDA_URL: site.url, PANDA_URL_SSL: site.url, PANDA_AUTH_ID_TOKEN: user.token };
  const env = { PATH: '/usr/bin:/bin', HOME: join(folder, 'home'), ...address };
  mkdirSync(env.HOME);
  const run = (program: string, ...args: string[]) =>
    spawnSync(program, args, { cwd: user.directory, env, encoding: 'utf8' });

  const set = run(pbook, '-c', `set_secret('TOKEN', '${VALUE}')`);
  assert.equal(set.status, 0, set.stderr);
  assert.match(run(pbook, 'list_secrets').stdout, /^ *TOKEN /m);
  assert.match(run(pbook, 'completion', 'zsh').stdout, /^#compdef pbook/);
  const submitted = run(prun, ...['--exec', 'true', '--outDS', 'user.single.one', '--useSecrets', '--noBuild']);
  assert.equal(submitted.status, 0, submitted.stderr);

  // Any Python imports the module, and finds the executable when it has another place.
  const moved = `${pbook}-moved`;
  renameSync(pbook, moved);
  const modules = run(moved, 'python-path').stdout.trim();
  const python = ['-c', `import sys; sys.path.append(${JSON.stringify(modules)}); import pbook; pbook.list_secrets()`];
  assert.match(run('python3', ...python).stdout, /^ *TOKEN /m);
  // A module that is not as it was written is written again, and a folder that others can write to is not used.
  const written = join(modules, 'pbook', '_start.py');
  writeFileSync(written, 'raise SystemExit(9)');
  assert.equal(run(moved, '-c', 'pass').status, 0);
  assert.equal(
    globSync('pbook/*.py', { cwd: modules }).length,
    globSync('src/cli/pbook/shell/python/pbook/*.py', { cwd: root }).length,
  );
  chmodSync(modules, 0o777);
  const refused = run(moved, '-c', 'pass');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /cannot be kept in .*: XDG_CACHE_HOME names another folder/);
});

test('the same sources and tools give the same executable', { skip }, async () => {
  const again = join(folder, 'again');
  await buildSingleFile('panda-pilot', { root, output: again });
  assert.ok(readFileSync(again).equals(readFileSync(pilot)));
});

/** The processor time of a program: others use this machine as well. */
function took([file = '', ...args]: string[]): number {
  const before = secondsOfChildren();
  assert.equal(spawnSync(file, args).status, 0);
  return secondsOfChildren() - before;
}

test('the machine of an executable is in its header, and what is none is refused', { skip }, () => {
  assert.equal(machineOf(pilot), process.arch);
  const text = join(folder, 'text');
  writeFileSync(text, '#!/bin/sh\necho this is no executable\n');
  assert.throws(() => machineOf(text), /no Node for Linux/);
});
