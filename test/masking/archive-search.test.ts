import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { create } from 'tar';
import { type SearchBudget, type SearchedFile, searchFile } from '../../src/masking/archive-search.ts';
import { createFinder } from '../../src/masking/finder.ts';
import { MAX_ARCHIVES_DEPTH } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { Plaintext } from '../../src/protocol/plaintext.ts';

const VALUE = 'hunter2-correct-horse';
const NAME = wireName('T', 'string');
const finder = createFinder([{ name: NAME, value: new Plaintext(VALUE) }]);
const FILLER = Buffer.alloc(300_000, 'nothing to see here\n');
const LEAK = Buffer.concat([FILLER, Buffer.from(`x = ${VALUE}\n`), FILLER]);

async function search(content: Uint8Array, budget: Partial<SearchBudget> = {}): Promise<SearchedFile> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'search-test-'));
  const path = join(folder.path, 'output');
  writeFileSync(path, content);
  return await searchFile(path, finder, { bytes: 2 ** 30, signal: AbortSignal.timeout(60_000), ...budget });
}

async function tarOf(content: Uint8Array): Promise<Buffer> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'search-test-'));
  mkdirSync(join(folder.path, 'd'));
  writeFileSync(join(folder.path, 'd', 'a.txt'), 'first');
  writeFileSync(join(folder.path, 'd', 'b'), content);
  writeFileSync(join(folder.path, 'd', 'c.txt'), 'last');
  await create({ cwd: folder.path, file: join(folder.path, 't.tar') }, ['d']);
  return readFileSync(join(folder.path, 't.tar'));
}

const zipOf = (content: Uint8Array, level: 0 | 6 = 6) =>
  Buffer.from(zipSync({ 'd/a.txt': Buffer.from('first'), 'd/b': [content, { level }], 'c.txt': Buffer.from('last') }));

const PACKERS: Record<string, (content: Uint8Array) => Uint8Array | Promise<Uint8Array>> = {
  'as it is': (content) => content,
  gzip: (content) => gzipSync(content),
  zstd: (content) => zstdCompressSync(content),
  tar: tarOf,
  zip: (content) => zipOf(content),
  'zip, stored': (content) => zipOf(content, 0),
  'two members of gzip': (content) => Buffer.concat([gzipSync('first'), gzipSync(content)]),
};

test('a secret is named that stands with escapes in the dump of a document of JSON', async () => {
  const value = 'pa"ss\\wörd-of-some-length';
  const document = `{"T": ${JSON.stringify(value)}}`;
  const dumped = (program: string, args: string[] = []) => spawnSync(program, args, { input: document }).stdout;
  const finders = createFinder([{ name: NAME, value: new Plaintext(value) }]);
  const dumps = {
    'od -c': dumped('od', ['-c']),
    'od -t x1': dumped('od', ['-t', 'x1']),
    hex: Buffer.from(Buffer.from(document).toString('hex')),
  };
  for (const [what, dump] of Object.entries(dumps)) {
    const stream = finders.stream();
    const names = [...stream.write(dump), ...stream.end()].flatMap((find) => find.names);
    assert.ok(names.includes(NAME), what);
  }
});

test('a secret is found in each archive, also in one inside another, and a clean one has none', async () => {
  for (const [outer, packOuter] of Object.entries(PACKERS)) {
    if (outer.startsWith('two')) continue; // Its content begins with text.
    for (const [inner, packInner] of Object.entries(PACKERS)) {
      const what = `${inner} in ${outer}`;
      const leaking = await search(await packOuter(await packInner(LEAK)));
      assert.deepEqual([[...leaking.names], leaking.isCut, leaking.isClosed], [[NAME], false, false], what);
      const clean = await search(await packOuter(await packInner(FILLER)));
      assert.deepEqual([[...clean.names], clean.isCut, clean.isClosed], [[], false, false], what);
    }
  }
});

test('a packed file behind other bytes is found, wherever its beginning falls', async () => {
  const text = Buffer.from('#!/bin/sh\ntail -n +3 "$0" | tar xz\nexit\n');
  const before = {
    text,
    'many bytes': Buffer.concat([FILLER, text]),
    'the end of a piece': Buffer.alloc(256 * 1024 - 1, 'x'),
    'another gzip': Buffer.concat([gzipSync(FILLER), text]),
    tar: await tarOf(FILLER),
    zip: zipOf(FILLER),
    'bytes that look like a beginning': Buffer.from('1f8b0800000000000003ffff28b52ffdffff', 'hex'),
  };
  for (const [what, bytes] of Object.entries(before)) {
    for (const packed of [gzipSync(LEAK), zstdCompressSync(LEAK), zipOf(LEAK), gzipSync(await tarOf(gzipSync(LEAK)))]) {
      const { names } = await search(Buffer.concat([bytes, packed, FILLER]));
      assert.deepEqual([...names], [NAME], `${what}: ${packed.toString('hex', 0, 4)}`);
    }
    const { names, isCut } = await search(Buffer.concat([bytes, gzipSync(FILLER)]));
    assert.deepEqual([[...names], isCut], [[], false], what);
  }
});

test('bytes that look like beginnings of packed files, one after another, end the search there and say so', async () => {
  const beginning = gzipSync('x'.repeat(50)).subarray(0, 20);
  const repeated = (times: number) =>
    Buffer.concat([Buffer.from('text'), ...Array.from({ length: times }, () => beginning)]);
  assert.equal((await search(repeated(900))).isCut, false);
  assert.equal((await search(repeated(1100))).isCut, true);
});

test('zip writes a secret that is found, also where it does not know sizes before', { skip: noZip() }, async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'search-test-'));
  writeFileSync(join(folder.path, 'a'), LEAK);
  const { stdout } = spawnSync('sh', ['-c', 'cat a | zip - - | cat'], { cwd: folder.path });
  assert.deepEqual([...(await search(stdout)).names], [NAME]);
});

test('a bomb ends the search at its budget, and what is before it is found', async () => {
  const zeros = Buffer.alloc(64 * 2 ** 20);
  const once = gzipSync(Buffer.concat([Buffer.from(VALUE), zeros]));
  const bombs = {
    once,
    twice: gzipSync(once),
    zip: zipOf(zeros),
    tar: await tarOf(once),
    'zip in zip': zipOf(zipOf(zeros)),
  };
  for (const [what, bomb] of Object.entries(bombs)) {
    assert.equal((await search(bomb, { bytes: 8 * 2 ** 20 })).isCut, true, what);
  }
  assert.deepEqual([...(await search(once, { bytes: 8 * 2 ** 20 })).names], [NAME]);
});

test('the time ends a search', async () => {
  const searched = await search(gzipSync(Buffer.alloc(2 ** 20)), { signal: AbortSignal.abort() });
  assert.equal(searched.isCut, true);
});

test('the time ends a search in a zip that unpacks to nothing', async () => {
  const names = Array.from({ length: 1000 }, (_, at) => [`${at}`, new Uint8Array(0)] as const);
  let looks = 0;
  // Over after it was asked for the first bytes of the file.
  const signal = {
    get aborted() {
      return looks++ > 0;
    },
  } as AbortSignal;
  assert.equal((await search(zipSync(Object.fromEntries(names)), { signal })).isCut, true);
});

test('a secret that is known only at the end of a file is found there', async () => {
  const octal = [...Buffer.from(VALUE)].map((byte) => `\\${byte.toString(8)}`).join('');
  for (const [name, pack] of Object.entries(PACKERS))
    assert.deepEqual([...(await search(await pack(Buffer.from(octal)))).names], [NAME], name);
});

test('archives inside archives are followed to a bound, and it says so', async () => {
  const nested = (content: Uint8Array, depth: number): Uint8Array =>
    depth === 0 ? content : gzipSync(nested(content, depth - 1));
  assert.deepEqual(await search(nested(LEAK, MAX_ARCHIVES_DEPTH)), {
    names: new Set([NAME]),
    isCut: false,
    isClosed: false,
  });
  const clean = { names: new Set(), isClosed: false };
  assert.deepEqual(await search(nested(FILLER, MAX_ARCHIVES_DEPTH)), { ...clean, isCut: false });
  assert.deepEqual(await search(nested(FILLER, MAX_ARCHIVES_DEPTH + 1)), { ...clean, isCut: true });
});

test('what is cut off, broken or of another format is searched as far as it goes', async () => {
  const packed = [gzipSync(LEAK), zstdCompressSync(LEAK), zipOf(LEAK), await tarOf(gzipSync(LEAK))];
  for (const bytes of packed) {
    for (const share of [0.05, 0.5, 0.9]) await search(bytes.subarray(0, Math.floor(bytes.length * share)));
    const broken = Buffer.from(bytes);
    broken.fill(0xff, Math.floor(bytes.length / 3), Math.floor(bytes.length / 3) + 40);
    await search(broken);
    await search(Buffer.concat([bytes, Buffer.from(` trailing ${VALUE}`)])).then(({ names }) =>
      assert.deepEqual([...names], [NAME]),
    );
  }
  assert.equal((await search(Buffer.from('BZh91AY&SY rest'))).isClosed, true);
  assert.deepEqual(await search(Buffer.alloc(0)), { names: new Set(), isCut: false, isClosed: false });
});

function noZip(): string | false {
  return spawnSync('zip', ['-v']).error ? 'zip is not installed' : false;
}
