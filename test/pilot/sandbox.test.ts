import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { unpackSandbox } from '../../src/pilot/sandbox.ts';
import { InvalidArgument } from '../../src/protocol/errors.ts';
import { archive, type Entry } from './archives.ts';
import { temporaryFolder } from './folders.ts';
import { HOSTILE_ARCHIVES } from './hostile-archives.ts';

async function unpack(t: TestContext, entries: Entry[]) {
  const outside = await temporaryFolder(t);
  const inside = join(outside, 'work');
  mkdirSync(inside);
  const unpacked = unpackSandbox(Readable.from([archive(...entries)]), inside);
  return { outside, inside, unpacked };
}

test('a sandbox is unpacked with its directories, modes and inner links', async (t) => {
  const { inside, unpacked } = await unpack(t, [
    { path: './', type: 'Directory', mode: 0o755 },
    { path: './my_job.py', content: 'print(1)' },
    { path: 'bin/run.sh', content: '#!/bin/sh', mode: 0o755 },
    { path: 'bin/again', type: 'SymbolicLink', linkpath: '../my_job.py' },
    { path: 'bin/same', type: 'Link', linkpath: 'bin/run.sh' },
  ]);
  await unpacked;
  assert.equal(readFileSync(join(inside, 'my_job.py'), 'utf8'), 'print(1)');
  assert.equal(readFileSync(join(inside, 'bin/again'), 'utf8'), 'print(1)');
  assert.equal(readFileSync(join(inside, 'bin/same'), 'utf8'), '#!/bin/sh');
  assert.equal(lstatSync(join(inside, 'bin/run.sh')).mode & 0o700, 0o700);
});

for (const [attack, entries] of Object.entries(HOSTILE_ARCHIVES)) {
  test(`a sandbox with ${attack} is refused and writes nothing outside`, async (t) => {
    const { outside, unpacked } = await unpack(t, [{ path: 'good', content: 'x' }, ...entries]);
    await assert.rejects(unpacked, InvalidArgument);
    assert.deepEqual(readdirSync(outside), ['work']);
  });
}

test('a file that comes twice in a sandbox, once as a link, is not written through it', async (t) => {
  const { inside, unpacked } = await unpack(t, [
    { path: 'target', content: 'first' },
    { path: 'name', type: 'SymbolicLink', linkpath: 'target' },
    { path: 'name', content: 'second' },
  ]);
  await unpacked.catch(() => {});
  assert.equal(readFileSync(join(inside, 'target'), 'utf8'), 'first');
});

test('a set-user-id bit does not survive', async (t) => {
  const { inside, unpacked } = await unpack(t, [{ path: 'run', content: 'x', mode: 0o4755 }]);
  await unpacked;
  assert.equal(lstatSync(join(inside, 'run')).mode & 0o7000, 0);
});

test('a sandbox that says it is larger than allowed is refused', async (t) => {
  const { unpacked } = await unpack(t, [{ path: 'bomb', size: 9 * 1024 ** 3 }]);
  await assert.rejects(unpacked, /bytes unpacked/);
});

test('what is not an archive is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const html = Readable.from([Buffer.from('<html>'.repeat(500))]);
  await assert.rejects(unpackSandbox(html, folder), /the sandbox is damaged/);
});

test('an archive that ends early is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const whole = archive({ path: 'a', content: 'x'.repeat(100_000) });
  await assert.rejects(unpackSandbox(Readable.from([whole.subarray(0, whole.length - 30)]), folder), InvalidArgument);
});

test('a tar that is cut anywhere before its end is refused, without gzip too', async (t) => {
  const folder = await temporaryFolder(t);
  const whole = gunzipSync(archive({ path: 'a', content: 'x'.repeat(600) }, { path: 'b', content: 'y' }));
  for (const [n, length] of [100, 512, 600, 1024, 1536, 2000, 2048, 2560, 2600, 3072].entries()) {
    const inside = join(folder, `work${n}`);
    mkdirSync(inside);
    await assert.rejects(
      unpackSandbox(Readable.from([whole.subarray(0, length)]), inside),
      InvalidArgument,
      `${length}`,
    );
  }
  await unpackSandbox(Readable.from([whole]), folder);
});

const NESTED: Record<string, { entry: Entry; isTaken: boolean }> = {
  'a symbolic link with the name of its folder': {
    entry: { path: 'd/again', type: 'SymbolicLink', linkpath: 'd' },
    isTaken: true,
  },
  'a symbolic link to what would be in it': {
    entry: { path: 'again', type: 'SymbolicLink', linkpath: 'again/x' },
    isTaken: true,
  },
  'a hard link to its folder': { entry: { path: 'd/again', type: 'Link', linkpath: 'd' }, isTaken: false },
  'a hard link to its folder in other letters': {
    entry: { path: 'É/again', type: 'Link', linkpath: 'e\u0301/' },
    isTaken: false,
  },
  'a hard link to what would be in it': {
    entry: { path: 'again', type: 'Link', linkpath: 'again/x' },
    isTaken: false,
  },
};

for (const [what, { entry, isTaken }] of Object.entries(NESTED)) {
  test(`a sandbox with ${what} is ${isTaken ? 'unpacked' : 'refused'} and nobody waits for ever`, async (t) => {
    const { inside, unpacked } = await unpack(t, [entry, { path: 'last', content: 'x' }]);
    if (!isTaken) return assert.rejects(unpacked, InvalidArgument);
    await unpacked;
    assert.equal(readlinkSync(join(inside, entry.path)), entry.linkpath);
    assert.equal(readFileSync(join(inside, 'last'), 'utf8'), 'x');
  });
}

const MANY: Entry[] = Array.from({ length: 300 }, (_, n) => ({ path: `d${n % 7}/f${n}`, content: 'x'.repeat(5000) }));

const ENDS: Record<string, (signal: AbortController) => Iterable<Buffer> | AsyncIterable<Buffer>> = {
  'that is refused at its last entry': () => [archive(...MANY, { path: '../evil', content: 'x' })],
  'that is refused in gzip': () => [gzipSync(archive(...MANY, { path: '../evil', content: 'x' }))],
  'that is cut in gzip': () => [gzipSync(archive(...MANY), { level: 0 }).subarray(0, 5700 * 150)],
  'whose download fails': async function* () {
    yield gzipSync(archive(...MANY), { level: 0 }).subarray(0, 5700 * 150);
    throw new Error('connection lost');
  },
  'that is given up': async function* (controller) {
    yield archive(...MANY).subarray(0, 5700 * 150);
    controller.abort();
    await setImmediate();
    yield archive(...MANY).subarray(5700 * 150);
  },
};

for (const [what, pieces] of Object.entries(ENDS)) {
  test(`of a sandbox ${what} nothing is written any more afterwards`, async (t) => {
    const outside = await temporaryFolder(t);
    for (let n = 0; n < 5; n++) {
      const inside = join(outside, `work${n}`);
      mkdirSync(inside);
      const controller = new AbortController();
      const unpacked = unpackSandbox(Readable.from(pieces(controller)), inside, controller.signal);
      await assert.rejects(unpacked);
      rmSync(inside, { recursive: true });
      mkdirSync(inside);
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      assert.deepEqual(readdirSync(inside), []);
    }
  });
}
