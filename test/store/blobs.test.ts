import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBlobs } from '../../src/store/blobs.ts';

test('what a killed server left half is removed at the next start, and what arrives elsewhere is not', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  await openBlobs(folder);
  const incoming = join(folder, 'incoming');
  for (const name of ['abandoned', 'arriving']) await writeFile(join(incoming, name), 'half a sandbox');
  await utimes(join(incoming, 'abandoned'), new Date(), new Date(Date.now() - 2 * 3600_000));
  await openBlobs(folder);
  assert.deepEqual(await readdir(incoming), ['arriving']);
});
