import assert from 'node:assert/strict';
import { existsSync, mkdtempDisposableSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLockFile } from '../../src/client/login/lock-file.ts';
import { RENEWAL_LOCK_SECONDS } from '../../src/protocol/limits.ts';

test('one at a time does what the lock guards', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'lock-test-'));
  let inside = 0;
  let most = 0;
  const all = Array.from({ length: 5 }, () =>
    withLockFile(join(folder.path, 'lock'), async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
    }),
  );
  await Promise.all(all);
  assert.equal(most, 1);
  assert.deepEqual(readdirSync(folder.path), []);
});

test('a lock is given back when what it guards fails', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'lock-test-'));
  const lock = join(folder.path, 'lock');
  await assert.rejects(
    withLockFile(lock, async () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.ok(!existsSync(lock));
});

test('a lock that a dead process left is taken, by one of those who wait', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'lock-test-'));
  const lock = join(folder.path, 'lock');
  writeFileSync(lock, 'of a process that was killed');
  const old = Date.now() / 1000 - RENEWAL_LOCK_SECONDS - 1;
  utimesSync(lock, old, old);
  let inside = 0;
  let most = 0;
  const all = Array.from({ length: 4 }, () =>
    withLockFile(lock, async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
    }),
  );
  await Promise.all(all);
  assert.equal(most, 1);
  assert.deepEqual(readdirSync(folder.path), []);
});
