import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { whereIs } from './folders.ts';
import { pilotFor } from './pilots.ts';

const VALUE = 'random-string-of-alice';

/** A real file system that is soon full, or `undefined` (and the test is skipped) where none may be mounted. */
function smallDisk(t: TestContext): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'panda-pilot-test-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'none', path]).status === 0;
  t.after(() => {
    if (mounted) spawnSync('umount', ['-l', path]);
    rmdirSync(path);
  });
  if (!mounted) {
    t.skip('needs the right to mount a tmpfs');
    return undefined;
  }
  return path;
}

test('secrets that do not fit into their folder fail the job and leave nothing', async (t) => {
  const { panda, run, folder } = await pilotFor(t);
  const secretsFolder = smallDisk(t);
  if (!secretsFolder) return;
  panda.add({ command: 'touch out', outputs: { out: 'u.out' }, secrets: { A: VALUE, BIG: 'x'.repeat(500_000) } });
  await run({ secretsFolder });
  const end = await panda.reported('failed');
  assert.deepEqual(
    [end['pilot_error_code'], end['pilot_error_diag']],
    [1098, 'the secrets could not be written on the node (ENOSPC)'],
  );
  assert.deepEqual(whereIs(VALUE, folder, secretsFolder), []);
  assert.deepEqual(readdirSync(secretsFolder), []);
});

test('a job that fills its disk ends, is reported and leaves nothing secret', async (t) => {
  const { panda, run, secretsFolder } = await pilotFor(t);
  const folder = smallDisk(t);
  if (!folder) return;
  const left: string[] = [];
  panda.onResult = (what) => left.push(...whereIs(VALUE, folder, secretsFolder).map((path) => `${what}: ${path}`));
  panda.add({
    command: 'cp panda_secrets.json a; cat /dev/zero > filler; echo "$A"; yes $A | head -c 500000',
    secrets: { A: VALUE },
  });
  await run({ folder });
  assert.ok(panda.reports.some((report) => report['job_status'] === 'finished' || report['job_status'] === 'failed'));
  assert.deepEqual(left, []);
  assert.deepEqual(readdirSync(folder), []);
});
