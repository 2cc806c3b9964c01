import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { addSources, bootPythonForSnapshot, pythonSources } from './python.ts';

/**
 * The memory of an interpreter that has this shell's modules, compressed (some 5 MB of 30): what the build ships.
 *
 * It must be loaded with the very same Pyodide. It holds nothing of the machine that made it.
 *
 * @param level of zstd: 3 takes a tenth of a second, 19 some seconds and gives a fifth less
 */
export async function makeSnapshot(pyodide: string, sources: string, level: number): Promise<Buffer> {
  const python = await bootPythonForSnapshot(pyodide);
  addSources(python, sources);
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = constants;
  return zstdCompressSync(python.makeMemorySnapshot(), {
    params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 },
  });
}

/** The memory that `makeSnapshot` compressed, in `file`. */
export async function readSnapshot(file: string): Promise<Uint8Array> {
  return await promisify(zstdDecompress)(await readFile(file));
}

/**
 * The snapshot of a source tree: made at the first use and after a change of the sources, into `folder`. Several processes
 * may do so at once: a file is whole or not there.
 *
 * @returns its path, or undefined where `folder` cannot be written
 */
export async function cachedSnapshot(pyodide: string, sources: string, folder: string): Promise<string | undefined> {
  const file = join(folder, `python-${fingerprint(pyodide, sources)}.zst`);
  if (existsSync(file)) return file;
  const part = `${file}.${process.pid}.part`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(part, ''); // whether it can be written, before the work
  } catch {
    return undefined;
  }
  try {
    writeFileSync(part, await makeSnapshot(pyodide, sources, FAST));
    renameSync(part, file);
  } finally {
    rmSync(part, { force: true });
  }
  return file;
}

/** A tenth of a second's work for zstd. */
const FAST = 3;

function fingerprint(pyodide: string, sources: string): string {
  const hash = createHash('sha256').update(readFileSync(join(pyodide, 'package.json')));
  for (const [name, source] of pythonSources(sources)) hash.update(`${name}\0${source}\0`);
  return hash.digest('hex').slice(0, 16);
}
