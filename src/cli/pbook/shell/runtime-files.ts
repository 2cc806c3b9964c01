import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The files that the Python thread needs. */
export interface RuntimeFiles {
  /** The thread's own program. */
  thread: string;
  /** The folder with Pyodide's files. */
  pyodide: string;
  /** The folder with the Python sources of the shell. */
  sources: string;
  /** The snapshot that the build made. */
  snapshot?: string;
  /** In a source tree: the folder for a snapshot that is made at the first use. */
  cache?: string;
}

/** Where they are: beside the bundle that `npm run build` made, or in the source tree. */
export function runtimeFiles(): RuntimeFiles {
  return import.meta.filename.endsWith('.ts') ? sourceFiles(import.meta.dirname) : builtFiles(import.meta.dirname);
}

function builtFiles(here: string): RuntimeFiles {
  const folder = join(here, 'python');
  const snapshot = join(folder, SNAPSHOT_FILE);
  return {
    thread: join(folder, 'thread.js'),
    pyodide: folder,
    sources: folder,
    ...(existsSync(snapshot) && { snapshot }),
  };
}

function sourceFiles(here: string): RuntimeFiles {
  const pyodide = dirname(fileURLToPath(import.meta.resolve('pyodide/package.json')));
  return {
    thread: join(here, 'python-thread.ts'),
    pyodide,
    sources: join(here, 'python'),
    cache: join(dirname(pyodide), '.cache', 'panda-secrets'),
  };
}

/** The snapshot's name in the folder that `scripts/build/shell.ts` fills. */
export const SNAPSHOT_FILE = 'snapshot.zst';
