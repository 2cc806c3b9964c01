import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, utimesSync } from 'node:fs';
import { mkdtemp, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseBlobPlace } from '../../src/store/blob-place.ts';
import { type LiveLogs, openLiveLogs } from '../../src/store/live-logs.ts';
import { openBlobStore } from '../../src/store/open-blob-store.ts';
import { NO_RESERVE } from '../../src/store/reserve.ts';
import { TEST_KEY } from '../stores.ts';
import { noS3, startStorage } from './s3.ts';

const LOG = { jobId: 1, attempt: 2 };

function using(logs: LiveLogs) {
  return {
    logs,
    append: async (offset: number, text: string, maxBytes = 1000) =>
      (await logs.append(LOG, { offset, bytes: Buffer.from(text), maxBytes })).size,
    read: async (offset = 0, most = 1000) => (await logs.read(LOG, offset, most)).bytes.toString(),
    sign: (offset: number, text: string, signature: string, maxBytes = 1000) =>
      logs.append(LOG, { offset, bytes: Buffer.from(text), signature, maxBytes }),
  };
}

async function setUp(t: TestContext, isLocal = true) {
  const folder = await mkdtemp(join(tmpdir(), 'live-logs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { folder: join(folder, 'live'), ...using(await openLiveLogs(join(folder, 'live'), NO_RESERVE, { isLocal })) };
}

interface Place extends ReturnType<typeof using> {
  /** The same place, as another server opens it. */
  other(): Promise<LiveLogs>;
  /** Makes all that is there as old as 1970. */
  age(): void;
}

/** The promise of `LiveLogs`, once for each kind of place. */
function eachPlace(name: string, body: (place: Place) => Promise<void>): void {
  for (const isLocal of [true, false]) {
    test(`${name} (${isLocal ? 'local folder' : 'folder'})`, async (t) => {
      const { folder, ...place } = await setUp(t, isLocal);
      await body({ ...place, other: () => openLiveLogs(folder), age: () => age(folder) });
    });
  }
  test(`${name} (S3)`, { skip: noS3 }, async (t) => {
    const storage = await startStorage(t);
    const other = async () => {
      const store = await openBlobStore(parseBlobPlace(storage.place()), { installation: TEST_KEY });
      t.after(() => store.close());
      return store.liveLogs;
    };
    await body({ ...using(await other()), other, age: () => age(join(storage.folder, 'site/live')) });
  });
}

function age(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), 1000, 1000);
}

eachPlace('parts are put together in order, and one that is sent again changes nothing', async ({ append, read }) => {
  assert.equal(await append(0, 'one\n'), 4);
  assert.equal(await append(0, 'one\n'), 4);
  assert.equal(await append(0, 'one\ntwo\n'), 8);
  assert.equal(await append(8, 'three\n'), 14);
  assert.equal(await read(), 'one\ntwo\nthree\n');
  assert.equal(await read(4, 4), 'two\n');
  assert.equal(await read(14), '');
  assert.equal(await read(99), '');
});

eachPlace('a part with a gap before it is not taken', async ({ append, read }) => {
  await append(0, 'one\n');
  assert.equal(await append(8, 'three\n'), 4);
  assert.equal(await read(), 'one\n');
});

eachPlace('a log grows to its limit and no further', async ({ append, read }) => {
  assert.equal(await append(0, 'x'.repeat(60), 100), 60);
  assert.equal(await append(60, 'y'.repeat(60), 100), 100);
  assert.equal(await append(100, 'z', 100), 100);
  assert.equal((await read()).length, 100);
});

eachPlace(
  'two servers that share the place see one log, and each may go on with it',
  async ({ other, append, read }) => {
    const another = await other();
    const add = (offset: number, text: string) =>
      another.append(LOG, { offset, bytes: Buffer.from(text), maxBytes: 1000 });
    await append(0, 'one\n');
    assert.deepEqual(await add(4, 'two\n'), { size: 8, full: false });
    assert.equal(await append(4, 'two\nthree\n'), 14);
    assert.deepEqual(await add(8, 'three\nfour\n'), { size: 19, full: false });
    for (const text of [await read(), (await another.read(LOG, 0, 1000)).bytes.toString()])
      assert.equal(text, 'one\ntwo\nthree\nfour\n');
  },
);

eachPlace('a long log is read from any byte, in pieces of any size', async ({ logs, other }) => {
  const whole = randomBytes(700_000);
  const second = await other();
  for (let at = 0, n = 0; at < whole.length; n++) {
    const bytes = whole.subarray(at, at + ([1000, 70_000, 30_000, 5, 200_000][n % 5] ?? 0));
    const { size } = await (n % 2 === 0 ? logs : second).append(LOG, { offset: at, bytes, maxBytes: 2 ** 24 });
    at += bytes.length;
    assert.equal(size, at);
  }
  for (const [from, most] of [
    [0, 700_000],
    [0, 10],
    [65_000, 2000],
    [699_999, 10],
    [123_456, 262_144],
  ] as const) {
    const { bytes, next, more } = await logs.read(LOG, from, most);
    assert.ok(bytes.equals(whole.subarray(from, from + most)), `${most} from ${from}`);
    assert.equal(next, Math.min(from + most, whole.length));
    assert.equal(more, bytes.length === most);
  }
});

eachPlace(
  'a log is gone when it is removed or was left long ago, others are not',
  async ({ logs, append, read, age }) => {
    const others = Array.from({ length: 30 }, (_, n) => ({ jobId: 100 + n, attempt: 1 }));
    for (const log of others) await logs.append(log, { offset: 0, bytes: Buffer.from('x'), maxBytes: 10 });
    await append(0, 'one\n');
    await logs.remove(others.slice(1));
    assert.equal((await logs.read({ jobId: 101, attempt: 1 }, 0, 9)).bytes.length, 0);
    assert.equal((await logs.read({ jobId: 100, attempt: 1 }, 0, 9)).bytes.toString(), 'x');
    assert.equal(await read(), 'one\n');
    await logs.remove([LOG]);
    await logs.remove([LOG]);
    assert.equal(await read(), '');
    age();
    await append(0, 'new');
    assert.equal(await logs.removeOlder(2_000_000), 1);
    assert.equal((await logs.read({ jobId: 100, attempt: 1 }, 0, 9)).bytes.length, 0);
    assert.equal(await read(), 'new');
  },
);

test('a log is read by nobody else on the machine', async (t) => {
  const { folder, append } = await setUp(t);
  await append(0, 'one\n');
  assert.equal((await stat(join(folder, '1.2.log'))).mode & 0o777, 0o600);
});

eachPlace(
  'parts that are signed are kept whole, each with its signature, and read as they came',
  async ({ logs, sign }) => {
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
    assert.deepEqual(await logs.read(LOG, all.next, 1000), {
      bytes: Buffer.alloc(0),
      parts: [],
      next: all.next,
      more: false,
    });
    assert.deepEqual((await logs.read(LOG, 1, 1000)).parts, [], 'from the middle of one there is none');
  },
);

eachPlace(
  'a signed part that is sent again changes nothing, one behind a gap is not taken, and none above the limit',
  async ({ logs, sign }) => {
    const { size } = await sign(0, 'one\n', 'a.b');
    assert.deepEqual(await sign(0, 'one\n', 'a.b'), { size, full: false });
    assert.deepEqual(await sign(size + 1, 'x', 'c.d'), { size, full: false });
    assert.deepEqual(await sign(size, 'x'.repeat(50), 'c.d', 40), { size, full: true });
    assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\n');
  },
);

test('a signed part that a crash cut off is written anew', async (t) => {
  const { folder, logs, sign } = await setUp(t);
  const { size } = await sign(0, 'one\n', 'a.b');
  await sign(size, 'two\n', 'c.d');
  await truncate(join(folder, '1.2.signed'), size + 6);
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\n');
  await sign(size, 'longer\n', 'e.f');
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.toString(), 'one\nlonger\n');
  await logs.remove([LOG]);
  assert.equal((await logs.read(LOG, 0, 1000)).bytes.length, 0);
});
