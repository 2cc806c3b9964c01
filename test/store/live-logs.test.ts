import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, truncate, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLiveLogs } from '../../src/store/live-logs.ts';

const LOG = { jobId: 1, attempt: 2 };

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'live-logs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const logs = await openLiveLogs(join(folder, 'live'));
  const append = async (offset: number, text: string, maxBytes = 1000) =>
    (await logs.append(LOG, { offset, bytes: Buffer.from(text), maxBytes })).size;
  const read = async (offset = 0, most = 1000) => (await logs.read(LOG, offset, most)).bytes.toString();
  const sign = (offset: number, text: string, signature: string, maxBytes = 1000) =>
    logs.append(LOG, { offset, bytes: Buffer.from(text), signature, maxBytes });
  return { folder: join(folder, 'live'), logs, append, read, sign };
}

test('parts are put together in order, and one that is sent again changes nothing', async (t) => {
  const { append, read } = await setUp(t);
  assert.equal(await append(0, 'one\n'), 4);
  assert.equal(await append(0, 'one\n'), 4);
  assert.equal(await append(0, 'one\ntwo\n'), 8);
  assert.equal(await append(8, 'three\n'), 14);
  assert.equal(await read(), 'one\ntwo\nthree\n');
  assert.equal(await read(4, 4), 'two\n');
  assert.equal(await read(14), '');
  assert.equal(await read(99), '');
});

test('a part with a gap before it is not taken', async (t) => {
  const { append, read } = await setUp(t);
  await append(0, 'one\n');
  assert.equal(await append(8, 'three\n'), 4);
  assert.equal(await read(), 'one\n');
});

test('a log grows to its limit and no further', async (t) => {
  const { append, read } = await setUp(t);
  assert.equal(await append(0, 'x'.repeat(60), 100), 60);
  assert.equal(await append(60, 'y'.repeat(60), 100), 100);
  assert.equal(await append(100, 'z', 100), 100);
  assert.equal((await read()).length, 100);
});

test('two servers that share the folder see one log', async (t) => {
  const { folder, append } = await setUp(t);
  const other = await openLiveLogs(folder);
  await append(0, 'one\n');
  const more = { offset: 4, bytes: Buffer.from('two\n'), maxBytes: 1000 };
  assert.deepEqual(await other.append(LOG, more), { size: 8, full: false });
  assert.equal((await other.read(LOG, 0, 1000)).bytes.toString(), 'one\ntwo\n');
});

test('a log is read by nobody else on the machine, and is gone when it is removed or was left long ago', async (t) => {
  const { folder, logs, append, read } = await setUp(t);
  await append(0, 'one\n');
  assert.equal((await stat(join(folder, '1.2.log'))).mode & 0o777, 0o600);
  await logs.remove(LOG);
  await logs.remove(LOG);
  assert.equal(await read(), '');
  await append(0, 'one\n');
  await logs.append({ jobId: 3, attempt: 1 }, { offset: 0, bytes: Buffer.from('new'), maxBytes: 1000 });
  await utimes(join(folder, '1.2.log'), 1000, 1000);
  assert.equal(await logs.removeOlder(2_000_000), 1);
  assert.equal(await read(), '');
  assert.equal((await logs.read({ jobId: 3, attempt: 1 }, 0, 9)).bytes.toString(), 'new');
});

test('parts that are signed are kept whole, each with its signature, and read as they came', async (t) => {
  const { logs, sign } = await setUp(t);
  const first = await sign(0, 'one\n', 'a.b');
  const second = await sign(first.size, 'two\nthree\n', 'c.d');
  await sign(second.size, '', 'e.f');
  const all = await logs.read(LOG, 0, 1000);
  assert.equal(all.bytes.toString(), 'one\ntwo\nthree\n');
  const parts = [
    { size: 4, signature: 'a.b' },
    { size: 10, signature: 'c.d' },
    { size: 0, signature: 'e.f' },
  ];
  assert.deepEqual(all.parts, parts);
  assert.deepEqual((await logs.read(LOG, first.size, 1000)).parts, parts.slice(1));
  assert.deepEqual(await logs.read(LOG, all.next, 1000), { bytes: Buffer.alloc(0), parts: [], next: all.next });
  assert.deepEqual((await logs.read(LOG, 1, 1000)).parts, [], 'from the middle of one there is none');
});

test('a signed part that is sent again changes nothing, one behind a gap is not taken, and none above the limit', async (t) => {
  const { logs, sign } = await setUp(t);
  const { size } = await sign(0, 'one\n', 'a.b');
  assert.deepEqual(await sign(0, 'one\n', 'a.b'), { size, full: false });
  assert.deepEqual(await sign(size + 1, 'x', 'c.d'), { size, full: false });
  assert.deepEqual(await sign(size, 'x'.repeat(50), 'c.d', 40), { size, full: true });
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\n');
});

test('a signed part that a crash cut off is written anew', async (t) => {
  const { folder, logs, sign } = await setUp(t);
  const { size } = await sign(0, 'one\n', 'a.b');
  await sign(size, 'two\n', 'c.d');
  await truncate(join(folder, '1.2.signed'), size + 6);
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\n');
  await sign(size, 'longer\n', 'e.f');
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\nlonger\n');
  await logs.remove(LOG);
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.length, 0);
});
