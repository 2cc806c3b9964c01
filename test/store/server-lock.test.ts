import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { takeServerLock } from '../../src/store/server-lock.ts';

const AT_ONCE = { seconds: 0, onWaiting: () => {} };
const MODULE = join(import.meta.dirname, '../../src/store/server-lock.ts');

function lockIn(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'panda-lock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'serving.lock');
}

/** A process that has the lock, until it is killed. */
async function holder(t: TestContext, path: string) {
  const program = `const { takeServerLock } = await import(${JSON.stringify(MODULE)});
    globalThis.kept = await takeServerLock(${JSON.stringify(path)}, { seconds: 0, onWaiting() {} });
    console.log(globalThis.kept ? 'held' : 'refused'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  assert.equal(String((await once(child.stdout, 'data'))[0]), 'held\n');
  return child;
}

test('one process alone has the lock, and a killed one has it no more', async (t) => {
  const path = lockIn(t);
  const child = await holder(t, path);
  assert.equal(await takeServerLock(path, AT_ONCE), undefined);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(path).size, 0);
  let told = 0;
  const waiting = takeServerLock(path, {
    seconds: 60,
    onWaiting() {
      told += 1;
      child.kill('SIGKILL');
    },
  });
  const release = await waiting;
  assert.ok(release, 'it came when the other process ended');
  assert.equal(told, 1);
  release();
});

test('a second try of the process that has it is refused, and gives nothing up', async (t) => {
  const path = lockIn(t);
  const release = await takeServerLock(path, AT_ONCE);
  assert.ok(release);
  assert.equal(await takeServerLock(path, AT_ONCE), undefined);
  await assert.rejects(holder(t, path), /refused/);
  release();
  await holder(t, path);
});

test('a file that cannot be made is said', async (t) => {
  await assert.rejects(takeServerLock(join(lockIn(t), 'below-nothing', 'lock'), AT_ONCE), {
    code: 'ERR_MISCONFIGURED',
    message: /the lock of the server .* cannot be used \(ENOENT\)/,
  });
});
