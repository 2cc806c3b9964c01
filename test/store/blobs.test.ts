import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
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

test('what is refused at once is not kept, though its file is still being made', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const blobs = await openBlobs(folder);
  const broken = new Readable({ read() {} }).on('error', () => {});
  broken.destroy(new Error('changed on the way'));
  // One in some hundreds came after its removal.
  for (let tries = 0; tries < 1000; tries++) await assert.rejects(blobs.put(broken, { maxBytes: 1 }));
  assert.deepEqual(await readdir(join(folder, 'incoming')), []);
});

test('what is kept is listed, and what is old is deleted unless it was kept again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const blobs = await openBlobs(folder);
  const keep = (text: string) => blobs.put(Readable.from([Buffer.from(text)]), { maxBytes: 100 });
  const [old, again] = [await keep('old'), await keep('kept again')];
  const listed = await all(blobs.list());
  assert.deepEqual(
    listed.map(({ sha256, size }) => ({ sha256, size })).sort((a, b) => a.size - b.size),
    [old, again],
  );

  const past = new Date(Date.now() - 3600_000);
  for (const { sha256 } of [old, again]) await utimes(join(folder, sha256.slice(0, 2), sha256), past, past);
  await keep('kept again');
  const before = Date.now() - 60_000;
  assert.deepEqual(
    [
      await blobs.delete(old.sha256, before),
      await blobs.delete(again.sha256, before),
      await blobs.delete('../x', before),
    ],
    [true, false, true],
  );
  assert.deepEqual(
    (await all(blobs.list())).map(({ sha256 }) => sha256),
    [again.sha256],
  );
  await assert.rejects(blobs.get(old.sha256), { code: 'ERR_NOT_FOUND' });
});

test('while somebody reads all files none is deleted, on any server, and a reader that was killed holds none for long', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const [blobs, other] = [await openBlobs(folder), await openBlobs(folder)];
  const { sha256 } = await blobs.put(Readable.from([Buffer.from('named by a backup')]), { maxBytes: 100 });
  await utimes(join(folder, sha256.slice(0, 2), sha256), new Date(0), new Date(0));
  const before = Date.now() - 1000;
  const release = await blobs.hold();
  assert.equal(await other.delete(sha256, before), false);
  await release();
  const kept = await blobs.hold();
  for (const name of await readdir(join(folder, 'incoming'))) {
    const past = new Date(Date.now() - 3600_000);
    await utimes(join(folder, 'incoming', name), past, past);
  }
  assert.equal(await other.delete(sha256, before), true);
  await kept();
  assert.deepEqual(await readdir(join(folder, 'incoming')), []);
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
