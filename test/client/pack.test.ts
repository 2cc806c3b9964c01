import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempDisposableSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { crc32, gunzipSync } from 'node:zlib';
import { list, type ReadEntry } from 'tar';
import { packDirectory } from '../../src/client/pack.ts';

test('the same content packs to the same bytes, whenever and in whatever order it was written', async () => {
  using one = folder({ 'b.txt': 'b', 'a/a.txt': 'a' });
  using two = folder({ 'a/a.txt': 'a', 'b.txt': 'b' });
  utimesSync(join(two.path, 'b.txt'), 1, 1);
  const [first, second] = [await packed(one.path, []), await packed(two.path, [])];
  assert.deepEqual(first.archive, second.archive);
  assert.deepEqual(first.paths, ['a/a.txt', 'b.txt']);
});

test('the checksum is that of PanDA: the CRC-32 of the content before compression', async () => {
  using directory = folder({ 'a.txt': 'a' });
  const { archive, checksum } = await packed(directory.path, []);
  assert.equal(checksum, crc32(gunzipSync(archive)));
});

test('history, installed packages and what is named are left out', async () => {
  using directory = folder({
    '.git/config': '',
    'node_modules/x/index.js': '',
    'deep/node_modules/y.js': '',
    '.prunignore': '*.log\n/big/\n',
    'run.log': '',
    'big/data': '',
    'deep/big/data': '',
    'core.C': '',
    Makefile: '',
  });
  const { paths } = await packed(directory.path, ['*.c', 'Make*']);
  assert.deepEqual(paths, ['.prunignore', 'core.C', 'deep/big/data']);
});

test('an empty folder is packed, and so is an empty directory', async () => {
  using directory = folder({});
  assert.deepEqual(await names(directory.path), ['./']);
  mkdirSync(join(directory.path, 'out'));
  assert.deepEqual(await names(directory.path), ['./out/']);
});

test('nothing from outside gets in: links that lead out are left out and told', async () => {
  using outside = folder({ secret: 'outside' });
  using directory = folder({ 'in/file': 'inside' });
  symlinkSync(join(outside.path, 'secret'), join(directory.path, 'absolute'));
  symlinkSync('../../etc/passwd', join(directory.path, 'in/up'));
  symlinkSync('..', join(directory.path, 'parent'));
  symlinkSync('../in/file', join(directory.path, 'in/inner'));
  const {
    paths,
    leftOut: { linksOut },
  } = await packed(directory.path, []);
  assert.deepEqual(paths, ['in/file', 'in/inner']);
  assert.deepEqual([...linksOut].sort(), ['absolute', 'in/up', 'parent']);
  const inner = (await entries(directory.path)).find(({ path }) => path === './in/inner');
  assert.equal(inner?.type, 'SymbolicLink');
});

test('a file whose name begins with @ is packed as itself', async () => {
  using directory = folder({ '@archive': 'x' });
  assert.deepEqual(await names(directory.path), ['./@archive']);
});

test('programs stay executable, and who packed is not told', async () => {
  using directory = folder({ run: '#!/bin/sh' });
  chmodSync(join(directory.path, 'run'), 0o755);
  const [entry] = await entries(directory.path);
  assert.equal((entry?.mode ?? 0) & 0o111, 0o111);
  assert.equal(entry?.uid, undefined);
  assert.equal(entry?.uname || undefined, undefined);
});

test('a directory that is too large is refused with its largest files', async () => {
  using directory = folder({ small: '' });
  writeFileSync(join(directory.path, 'huge.bin'), randomBytes(10 * 1024 * 1024 + 1));
  await assert.rejects(
    packed(directory.path, []),
    /larger than the 10485760 bytes.*\.prunignore.*huge\.bin \(10485761/,
  );
  await packed(directory.path, ['huge.bin']);
});

const packed = (directory: string, exclude: string[]) => packDirectory(directory, { exclude, include: [], own: [] });

function folder(files: Record<string, string>) {
  const directory = mkdtempDisposableSync(join(tmpdir(), 'pack-test-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory.path, path)), { recursive: true });
    writeFileSync(join(directory.path, path), text);
  }
  return directory;
}

async function entries(directory: string): Promise<ReadEntry[]> {
  const found: ReadEntry[] = [];
  const { archive } = await packed(directory, []);
  await pipeline(Readable.from([archive]), list({ onReadEntry: (entry) => found.push(entry) }) as never);
  return found;
}

async function names(directory: string): Promise<string[]> {
  return (await entries(directory)).map(({ path }) => path);
}
