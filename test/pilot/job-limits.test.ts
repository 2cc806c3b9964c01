import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { link, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskUsage } from '../../src/pilot/disk-usage.ts';
import { limitsOf } from '../../src/pilot/job-limits.ts';
import { temporaryFolder } from './folders.ts';
import { pilotFor } from './pilots.ts';

const MEGABYTE = 1024 * 1024;
/** Two processes with 60 MB each, until they are ended. */
const GREEDY = `python3 -c 'import os, time; os.fork(); hog = bytearray(os.urandom(1)) * (60 << 20); time.sleep(60)'`;
const FILLING =
  'head -c 3000000 /dev/zero > "$TMPDIR/a"; mkdir -p deep/er; head -c 3000000 /dev/zero > deep/er/b; sleep 60';

test('a job may use what its owner asked for, as far as the operator allows', () => {
  const asked = { maxWalltime: 60, minRamCount: 1000, maxDiskCount: 500 };
  assert.deepEqual(limitsOf(asked, {}), { walltimeSeconds: 60, memoryMegabytes: 2000, diskMegabytes: 500 });
  const allowed = { walltimeSeconds: 100, memoryMegabytes: 1500, diskMegabytes: 100 };
  assert.deepEqual(limitsOf(asked, allowed), { walltimeSeconds: 60, memoryMegabytes: 1500, diskMegabytes: 100 });
  assert.deepEqual(limitsOf({ maxWalltime: 0 }, allowed), allowed);
  assert.deepEqual(limitsOf({ maxWalltime: 0 }, {}), { walltimeSeconds: 0, memoryMegabytes: 0, diskMegabytes: 0 });
});

for (const mode of ['off', 'auto'] as const) {
  test(`a job whose processes use more memory than it may is ended (isolation ${mode})`, async (t) => {
    const { panda, run } = await pilotFor(t);
    panda.add({ command: GREEDY, minRamCount: 40 });
    await run({ mode });
    const end = await panda.reported('failed');
    assert.equal(end['pilot_error_code'], 1235);
    // It may be seen while it grows.
    assert.match(String(end['pilot_error_diag']), /^the job used (8[1-9]|9\d|1\d\d) MB of memory; it may use 80 MB$/);
  });
}

test('a job that stays below its limits is left alone, and memory that processes share counts once', async (t) => {
  const { panda, run } = await pilotFor(t);
  const shared = `python3 -c 'import os, time; hog = bytearray(os.urandom(1)) * (60 << 20); os.fork(); os.fork(); time.sleep(3)'; echo done > out`;
  panda.add({ command: shared, outputs: { out: 'u.out' } });
  await run({ limits: { memoryMegabytes: 150, diskMegabytes: 100, walltimeSeconds: 60 } });
  await panda.reported('finished');
});

test('a job whose files take more of the disk than it may is ended', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: FILLING, maxDiskCount: 5 });
  await run();
  const end = await panda.reported('failed');
  assert.deepEqual(
    [end['pilot_error_code'], end['pilot_error_diag']],
    [1104, 'the job used 6 MB of disk; it may use 5 MB'],
  );
});

test('the operator limits the time of jobs that ask for no limit', async (t) => {
  const { panda, run } = await pilotFor(t);
  panda.add({ command: 'sleep 60' });
  await run({ limits: { walltimeSeconds: 1 } });
  assert.equal((await panda.reported('failed'))['pilot_error_code'], 1213);
});

test('disk usage counts blocks: holes are none, and a file with two names is one', async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'sub', 'file'), Buffer.alloc(MEGABYTE, 1));
  await link(join(folder, 'sub', 'file'), join(folder, 'same'));
  await symlink('/usr', join(folder, 'elsewhere'));
  writeFileSync(join(folder, 'hole'), '');
  await truncate(join(folder, 'hole'), 100 * MEGABYTE);
  const bytes = await diskUsage([folder, join(folder, 'not-there')]);
  assert.ok(bytes >= MEGABYTE && bytes < 1.1 * MEGABYTE, String(bytes));
});
