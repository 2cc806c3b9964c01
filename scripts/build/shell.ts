import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonFiles } from '../../src/cli/pbook/shell/python.ts';
import { SNAPSHOT_FILE } from '../../src/cli/pbook/shell/runtime-files.ts';
import { makeSnapshot } from '../../src/cli/pbook/shell/snapshot.ts';

const RUNTIME = ['pyodide.asm.mjs', 'pyodide.asm.wasm', 'python_stdlib.zip', 'pyodide-lock.json'];

/** The snapshot is made once and loaded often: half a minute's work for zstd would save no more than this. */
const LEVEL = 12;

/**
 * Fills the folder that pbook's prompt runs from: the Python runtime, the modules of the prompt, and a memory snapshot of the
 * two.
 *
 * @param sources the folder of the modules
 */
export async function buildShell(sources: string, folder: string): Promise<void> {
  const pyodide = dirname(fileURLToPath(import.meta.resolve('pyodide/package.json')));
  mkdirSync(folder, { recursive: true });
  for (const name of RUNTIME) copyFileSync(join(pyodide, name), join(folder, name));
  for (const name of pythonFiles()) copyFileSync(join(sources, name), join(folder, name));
  writeFileSync(join(folder, SNAPSHOT_FILE), await makeSnapshot(pyodide, sources, LEVEL));
  writeFileSync(join(folder, 'NOTICE'), notice(pyodide));
}

function notice(pyodide: string): string {
  const { version, license } = JSON.parse(readFileSync(join(pyodide, 'package.json'), 'utf8')) as Record<
    string,
    string
  >;
  return [
    `The pyodide.* files are Pyodide ${version}, unchanged (${license}; https://github.com/pyodide/pyodide).`,
    'They contain CPython and its standard library, as python_stdlib.zip does',
    '(PSF License Version 2; https://docs.python.org/3/license.html).',
    '',
  ].join('\n');
}
