import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isHeld, takeLock } from '../../src/payload/process-lock.ts';
import { temporaryFolder } from '../pilot/folders.ts';

const DAY = 24 * 3600 * 1000;

/** Takes the lock and changes what it says. */
async function lockWith(home: string, change: object): Promise<void> {
  await takeLock(home);
  const lock = join(home, 'pilot.json');
  writeFileSync(lock, JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), ...change }));
}

test('a lock of this process is held, however old it is', async (t) => {
  const home = await temporaryFolder(t);
  await takeLock(home);
  utimesSync(join(home, 'pilot.json'), 0, 0);
  assert.equal(await isHeld(home), true);
});

test('a lock is not held when its process has ended, even if its pid is used again', async (t) => {
  const ended = await temporaryFolder(t);
  const { pid } = spawnSync('true');
  await lockWith(ended, { pid });
  assert.equal(await isHeld(ended), false);
  const reused = await temporaryFolder(t);
  await lockWith(reused, { startTime: '1' });
  assert.equal(await isHeld(reused), false);
});

test('a lock from before a restart of this machine is not held', async (t) => {
  const home = await temporaryFolder(t);
  await lockWith(home, { boot: 'another' });
  assert.equal(await isHeld(home), false);
});

for (const [where, change] of [
  ['on another machine', { host: 'other.example.org', boot: 'another' }],
  ['in another container', { namespace: 'pid:[1]', pid: 1 }],
] as const) {
  test(`a lock ${where} is held as long as it is renewed`, async (t) => {
    const home = await temporaryFolder(t);
    await lockWith(home, change);
    assert.equal(await isHeld(home), true);
    assert.equal(await isHeld(home, Date.now() + 2 * DAY), false);
    utimesSync(join(home, 'pilot.json'), new Date(), new Date(Date.now() + 2 * DAY));
    assert.equal(await isHeld(home, Date.now() + 2 * DAY), true);
  });
}

test('a home without a lock is left alone for a moment, as it may be just being made', async (t) => {
  const home = await temporaryFolder(t);
  assert.equal(await isHeld(home), true);
  assert.equal(await isHeld(home, Date.now() + 120_000), false);
  writeFileSync(join(home, 'pilot.json'), '{"pid":');
  assert.equal(await isHeld(home, Date.now() + 120_000), false);
});

test('a pipe in the place of a lock is none, and is not waited for', async (t) => {
  const home = await temporaryFolder(t);
  spawnSync('mkfifo', [join(home, 'pilot.json')]);
  assert.equal(await isHeld(home, Date.now() + 120_000), false);
});
