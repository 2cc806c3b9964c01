import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { Unavailable } from '../../src/protocol/errors.ts';
import { importInstallationKey } from '../../src/sealing/installation-key.ts';
import { parseBlobPlace } from '../../src/store/blob-place.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { openBlobs } from '../../src/store/blobs.ts';
import { openBlobStore } from '../../src/store/open-blob-store.ts';
import { TEST_KEY } from '../stores.ts';
import { noS3, startStorage } from './s3.ts';

/** A place for files, and what its owner could do to it. */
interface Place {
  /** As another server would. */
  open(): Promise<BlobStore>;
  /** Every file of it, as it is kept, outside of the software's own folders for what arrives. */
  files(): string[];
  /** Those who read all blobs now. */
  marks(): string[];
  damaged: string[];
}

/** The promise of `Blobs`, once for each kind of place. */
function eachPlace(name: string, body: (t: TestContext, place: Place) => Promise<void>): void {
  const placeAt = (t: TestContext, uri: string, folder: string): Place => {
    const damaged: string[] = [];
    return {
      damaged,
      async open() {
        const onDamage = (sha256: string) => damaged.push(sha256);
        const store = await openBlobStore(parseBlobPlace(uri), { installation: TEST_KEY, onDamage });
        t.after(() => store.close());
        return store;
      },
      files: () => pathsBelow(folder).filter((path) => /\/[0-9a-f]{64,96}$/.test(path)),
      marks: () => pathsBelow(folder).filter((path) => /\/held[-/][0-9a-f-]{36}$/.test(path)),
    };
  };
  test(`${name} (folder)`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
    t.after(() => rm(folder, { recursive: true }));
    await body(t, placeAt(t, `file:${folder}`, folder));
  });
  test(`${name} (S3)`, { skip: noS3 }, async (t) => {
    const storage = await startStorage(t);
    await body(t, placeAt(t, storage.place(), storage.folder));
  });
}

function pathsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const HOUR = 3600_000;
const past = (path: string) => utimesSync(path, new Date(Date.now() - HOUR), new Date(Date.now() - HOUR));
const of = (bytes: Uint8Array) => Readable.from([bytes]);
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

eachPlace('a file of any size is kept, is read back whole, and once', async (_t, place) => {
  const { blobs } = await place.open();
  const MiB = 2 ** 20;
  // Around the sizes of a chunk and of a part.
  for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 5 * MiB - 1, 5 * MiB, 5 * MiB + 1, 12 * MiB]) {
    const bytes = randomBytes(size);
    const inspected: number[] = [];
    const kept = await blobs.put(of(bytes), { maxBytes: size, inspect: (chunk) => inspected.push(chunk.length) });
    assert.deepEqual(kept, { sha256: sha256Of(bytes), size });
    assert.equal(
      inspected.reduce((sum, length) => sum + length, 0),
      size,
    );
    await blobs.put(of(bytes), { maxBytes: size });
    const found = await blobs.get(kept.sha256);
    assert.equal(found.size, size);
    assert.ok((await read(found.stream)).equals(bytes), String(size));
  }
  const listed = await all(blobs.list());
  assert.equal(listed.length, 10);
  assert.equal(place.files().length, 10);
  assert.deepEqual(
    listed.map(({ size }) => size).sort((a, b) => a - b),
    [0, 1, 65_535, 65_536, 65_537, 131_072, 5 * MiB - 1, 5 * MiB, 5 * MiB + 1, 12 * MiB],
  );
});

eachPlace('a file that is too large, or whose sender breaks off, is not kept', async (_t, place) => {
  const { blobs } = await place.open();
  const large = randomBytes(7 * 2 ** 20);
  for (const bytes of [large, Buffer.from('small')])
    await assert.rejects(blobs.put(of(bytes), { maxBytes: bytes.length - 1 }), { code: 'ERR_INVALID_ARGUMENT' });
  async function* brokenOff() {
    yield large;
    throw new Error('the body broke off');
  }
  await assert.rejects(blobs.put(Readable.from(brokenOff()), { maxBytes: 2 ** 30 }), /the body broke off/);
  assert.deepEqual(await all(blobs.list()), []);
  assert.deepEqual(place.files(), []);
  for (const none of [sha256Of(large), '../../etc/passwd', ''])
    await assert.rejects(blobs.get(none), { code: 'ERR_NOT_FOUND' });
});

eachPlace('what is kept is listed, and what is old is deleted unless it was kept again', async (_t, place) => {
  const { blobs } = await place.open();
  const keep = (text: string) => blobs.put(of(Buffer.from(text)), { maxBytes: 100 });
  const [old, again] = [await keep('old'), await keep('kept again')];
  const listed = await all(blobs.list());
  assert.deepEqual(
    listed.map(({ sha256, size }) => ({ sha256, size })).sort((a, b) => a.size - b.size),
    [old, again],
  );
  for (const path of place.files()) past(path);
  await keep('kept again');
  const before = Date.now() - HOUR / 2;
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

eachPlace('a file that is kept again while another server deletes it is there when that is told', async (_t, place) => {
  const [{ blobs }, other] = [await place.open(), await place.open()];
  const keep = () => blobs.put(of(Buffer.from('wanted again')), { maxBytes: 100 });
  for (let times = 0; times < 40; times++) {
    const { sha256 } = await keep();
    for (const path of place.files()) past(path);
    const kept = new Promise((resolve) => setTimeout(resolve, times % 8)).then(keep).catch(async (error) => {
      // A storage may refuse one of two that meet; what counts is what it acknowledged.
      passUnavailable(error);
      await keep();
    });
    const deleted = other.blobs.delete(sha256, Date.now() - HOUR / 2);
    await Promise.all([kept, deleted.catch(passUnavailable)]);
    assert.equal((await all(blobs.list())).length, 1, `lost the ${times}th time`);
  }
});

eachPlace(
  'while somebody reads all files none is deleted, on any server, and a reader that was killed holds none for long',
  async (_t, place) => {
    const [{ blobs }, { blobs: other }] = [await place.open(), await place.open()];
    const { sha256 } = await blobs.put(of(Buffer.from('named by a backup')), { maxBytes: 100 });
    for (const path of place.files()) past(path);
    const before = Date.now() - HOUR / 2;
    const release = await blobs.hold();
    assert.equal(await other.delete(sha256, before), false);
    await release();
    const kept = await blobs.hold();
    for (const path of place.marks()) past(path);
    assert.equal(await other.delete(sha256, before), true);
    await kept();
    assert.deepEqual(place.marks(), []);
  },
);

eachPlace(
  'a file that was changed, cut, lengthened or swapped where it is kept is never read as whole',
  async (_t, place) => {
    const { blobs } = await place.open();
    const acts: ((path: string, other: string) => void)[] = [
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
      (path) => truncateSync(path, statSync(path).size - 1),
      (path) => truncateSync(path, statSync(path).size >> 1),
      (path) => truncateSync(path, 0),
      (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from('x')])),
      (path, other) => writeFileSync(path, readFileSync(other)),
    ];
    for (const [number, act] of acts.entries()) {
      const before = new Set(place.files());
      const kept = await blobs.put(of(randomBytes(300_000)), { maxBytes: 2 ** 20 });
      const [path = ''] = place.files().filter((one) => !before.has(one));
      await blobs.put(of(randomBytes(300_000)), { maxBytes: 2 ** 20 });
      const other = place.files().find((one) => one !== path && !before.has(one)) ?? '';
      act(path, other);
      await assert.rejects(
        blobs.get(kept.sha256).then(({ stream }) => read(stream)),
        { code: 'ERR_DAMAGED_FILE' },
        String(number),
      );
      assert.equal(place.damaged.at(-1), kept.sha256);
    }
  },
);

test('what a killed server left half is removed, and what arrives elsewhere is not', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const blobs = await openBlobs(folder);
  const incoming = join(folder, 'incoming');
  for (const name of ['abandoned', 'arriving']) await writeFile(join(incoming, name), 'half a sandbox');
  await utimes(join(incoming, 'abandoned'), new Date(), new Date(Date.now() - 2 * HOUR));
  await blobs.removeAbandoned();
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

test('a storage learns nothing of contents, their digests, or of what is in two places', { skip: noS3 }, async (t) => {
  const storage = await startStorage(t);
  const text = Buffer.from('a result that others could guess\n'.repeat(10_000));
  const open = async (prefix: string, key = TEST_KEY) => {
    const store = await openBlobStore(parseBlobPlace(storage.place(prefix)), { installation: key });
    t.after(() => store.close());
    return store;
  };
  const another = importInstallationKey({ id: 'another', bytes: Buffer.alloc(32, 8) });
  for (const store of [await open('one'), await open('two', another)]) {
    const { sha256 } = await store.blobs.put(of(text), { maxBytes: 2 ** 20 });
    await store.liveLogs.append({ jobId: 1, attempt: 1 }, { offset: 0, bytes: text, maxBytes: 2 ** 20 });
    for (const path of readdirSync(storage.folder, { recursive: true, encoding: 'utf8' }))
      assert.doesNotMatch(path, new RegExp(sha256.slice(0, 16)));
  }
  const files = readdirSync(storage.folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const bytes = files.map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  assert.ok(files.length >= 6);
  for (const one of bytes) assert.ok(!one.includes('that others could guess'));
  const names = files.map(({ name }) => name).filter((name) => name.length === 96);
  assert.equal(new Set(names).size, 2, 'one file at two installations has two names');
  await assert.rejects(
    (await open('one', another)).check(),
    /s3:..panda.one.*has the files of another installation \(test\)/,
  );
});

test("a deletion leaves another's mark, by which what is kept again is kept from it", { skip: noS3 }, async (t) => {
  const storage = await startStorage(t);
  const { blobs, close } = await openBlobStore(parseBlobPlace(storage.place()), { installation: TEST_KEY });
  t.after(close);
  const { sha256 } = await blobs.put(of(Buffer.from('kept twice')), { maxBytes: 100 });
  const [file = ''] = pathsBelow(storage.folder).filter((path) => path.includes('/files/'));
  const marks = join(file, '../../../deleting', basename(file));
  mkdirSync(marks, { recursive: true });
  writeFileSync(join(marks, 'another'), '');
  assert.equal(await blobs.delete(sha256, Date.now() + 60_000), true);
  assert.deepEqual(readdirSync(marks), ['another']);
});

test('the parts of an upload that was broken off are removed from the storage', { skip: noS3 }, async (t) => {
  const storage = await startStorage(t);
  const { blobs } = await openBlobStore(parseBlobPlace(storage.place()), { installation: TEST_KEY });
  async function* brokenOff() {
    yield randomBytes(11 * 2 ** 20);
    throw new Error('the body broke off');
  }
  const partsLeft = () =>
    readdirSync(storage.folder, { recursive: true, withFileTypes: true }).filter(
      (one) => one.isFile() && statSync(join(one.parentPath, one.name)).size > 2 ** 20,
    );
  await assert.rejects(blobs.put(Readable.from(brokenOff()), { maxBytes: 2 ** 30 }));
  assert.deepEqual(partsLeft(), []);
});

function passUnavailable(error: unknown): void {
  if (!(error instanceof Unavailable)) throw error;
}

async function read(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await all(stream as AsyncIterable<Buffer>));
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
