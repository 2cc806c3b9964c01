import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootPython } from '../../src/cli/pbook/shell/python.ts';
import { cachedSnapshot, readSnapshot } from '../../src/cli/pbook/shell/snapshot.ts';

const pyodide = dirname(fileURLToPath(import.meta.resolve('pyodide/package.json')));
const sources = join(import.meta.dirname, '../../src/cli/pbook/shell/python');

test('a snapshot that two make at once is whole, holds the prompt, and nothing of this machine', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'snapshot-'));
  const cache = join(folder.path, 'cache');
  const make = () => cachedSnapshot(pyodide, sources, cache);
  const [one = '', two] = await Promise.all([make(), make()]);
  assert.equal(one, two);
  assert.deepEqual(
    readdirSync(cache).map((name) => join(cache, name)),
    [one],
  );

  const memory = Buffer.from(await readSnapshot(one));
  for (const place of [process.cwd(), pyodide, process.env['HOME'] ?? '', process.argv[1] ?? '']) {
    if (place.length > 5) assert.equal(memory.indexOf(place), -1, place);
  }
  const python = await bootPython(pyodide, memory);
  assert.equal(python.runPython('import pbook_console, __main__; __main__.set_secret.__name__'), 'set_secret');
});

test('a damaged snapshot is an error when it is read or loaded, never a wrong interpreter', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'snapshot-'));
  const file = (await cachedSnapshot(pyodide, sources, folder.path)) ?? '';
  truncateSync(file, 1_000_000);
  await assert.rejects(readSnapshot(file));
  await assert.rejects(bootPython(pyodide, new Uint8Array(1024)));
});

test('where no snapshot can be kept there is none', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'snapshot-'));
  const file = join(folder.path, 'a-file');
  writeFileSync(file, '');
  assert.equal(await cachedSnapshot(pyodide, sources, file), undefined);
});
