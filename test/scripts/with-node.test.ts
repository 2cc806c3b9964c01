import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const SCRIPT = join(import.meta.dirname, '../../scripts/with-node.mjs');

test('the arguments of a program do not stay in the process list of what starts it', {
  skip: process.platform === 'linux' ? false : 'reads /proc',
}, async (t) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'with-node-'));
  const program = join(folder.path, 'program.mjs');
  writeFileSync(program, "process.stdout.write(process.argv[2]); process.stdin.on('end', () => {}).resume();");
  const child = spawn(process.execPath, [SCRIPT, program, 'a-value-nobody-may-see'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [output] = await child.stdout.setEncoding('utf8').take(1).toArray();
  assert.equal(output, 'a-value-nobody-may-see', 'the program gets them');
  assert.doesNotMatch(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /nobody-may-see/);
  child.stdin.end();
});

test('scripts that start together in a fresh clone install once, and the next not again', async () => {
  using clone = freshClone('sleep 0.5');
  const together = await Promise.all([clone.run(), clone.run(), clone.run()]);
  for (const { status, stdout } of [...together, await clone.run()]) assert.deepEqual([status, stdout], [0, 'it runs']);
  assert.equal(clone.installations(), 1);
});

test('an installation that was killed does not keep the next one waiting', async () => {
  using clone = freshClone('true');
  writeFileSync(clone.lock, `${hostname()} ${spawnSync('true').pid}`);
  const done = await Promise.all([clone.run(), clone.run()]);
  for (const { status, stdout } of done) assert.deepEqual([status, stdout], [0, 'it runs']);
  assert.equal(clone.installations(), 1);
});

test('an installation that fails says so, and the next one is tried', async () => {
  using clone = freshClone('exit 1');
  for (const time of [1, 2]) {
    const { status, stdout, stderr } = await clone.run();
    assert.deepEqual([status, stdout, clone.installations()], [1, '', time]);
    assert.match(stderr, /setup: "npm ci" failed.*Is the npm registry reachable\?\n$/);
    assert.equal(existsSync(clone.lock), false);
  }
});

/** A clone with the script and a lockfile, where `npm` is noted and does what `installation` says. */
function freshClone(installation: string) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'with-node-'));
  const path = (name: string) => join(folder.path, name);
  for (const name of ['scripts', 'bin', 'node_modules']) mkdirSync(path(name));
  copyFileSync(SCRIPT, path('scripts/with-node.mjs'));
  writeFileSync(path('package-lock.json'), '{}');
  writeFileSync(path('program.mjs'), "process.stdout.write('it runs');");
  writeFileSync(path('bin/npm'), `#!/bin/sh\necho "$@" >> ${path('npm.log')}\n${installation}\n`, { mode: 0o755 });
  const search = [path('bin'), dirname(process.execPath), process.env['PATH']].join(delimiter);
  return {
    lock: path('.install-lock'),
    installations: () => readFileSync(path('npm.log'), 'utf8').split('\n').length - 1,
    async run() {
      const child = spawn(process.execPath, [path('scripts/with-node.mjs'), path('program.mjs')], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, PATH: search },
      });
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      return { stdout: await text(child.stdout), stderr: await text(child.stderr), status: await ended };
    },
    [Symbol.dispose]: () => folder.remove(),
  };
}
