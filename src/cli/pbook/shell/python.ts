import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadPyodide } from 'pyodide';

export type Python = Awaited<ReturnType<typeof loadPyodide>>;

/** The Python modules of this shell, in the order in which they need each other. */
const MODULES = ['pbook_text_bytes', 'pbook', 'pbook_console'];

/**
 * Starts the interpreter in this thread.
 *
 * @param folder Pyodide's files
 * @param snapshot memory of an interpreter that `snapshot.ts` saved: takes a tenth of the time
 */
export async function bootPython(folder: string, snapshot?: Uint8Array): Promise<Python> {
  return await loadPyodide({ ...options(folder), ...(snapshot && { _loadSnapshot: snapshot }) });
}

/** Starts an interpreter that can be saved with `makeMemorySnapshot()`. */
export async function bootPythonForSnapshot(folder: string): Promise<Python> {
  return await loadPyodide({ ...options(folder), _makeSnapshot: true });
}

/** Adds the modules of this shell, and builds the namespace that the user sees. */
export function addSources(python: Python, folder: string): void {
  for (const [name, source] of pythonSources(folder)) {
    python.globals.set('given', python.toPy([name, source]));
    python.runPython(`
import sys, types
name, source = given
module = sys.modules[name] = types.ModuleType(name)
exec(compile(source, "<pbook>", "exec", dont_inherit=True), module.__dict__)
`);
  }
  python.runPython('import pbook_console; pbook_console.prepare()');
}

/** Name -> text. */
export function pythonSources(folder: string): Map<string, string> {
  return new Map(MODULES.map((name) => [name, readFileSync(join(folder, `${name}.py`), 'utf8')]));
}

/** Their files. */
export function pythonFiles(): string[] {
  return MODULES.map((name) => `${name}.py`);
}

/** Nothing of this machine, since it ends up in a snapshot. */
function options(folder: string) {
  return { indexURL: folder, env: { HOME: '/' }, _sysExecutable: 'pbook' };
}
