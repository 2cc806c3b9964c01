import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';

/** The programs of the package, with the file that each begins in. */
export const PROGRAMS = {
  pbook: 'src/cli/pbook/main.ts',
  prun: 'src/cli/prun/main.ts',
  'panda-secrets': 'src/cli/panda-secrets/main.ts',
  'panda-pilot': 'src/pilot/main.ts',
};

/** The thread in which pbook's prompt runs Python. */
const PYTHON_THREAD = 'src/cli/pbook/shell/python-thread.ts';

/** Packages of the older kind call `require` for what Node has. `createRequire` would cost each chunk time at its start. */
const REQUIRE =
  'const require = (id) => { const found = process.getBuiltinModule(id); if (found) return found; ' +
  "throw Object.assign(new Error('no module ' + id), { code: 'MODULE_NOT_FOUND' }); };";

/**
 * Bundles the programs, each into chunks of its own, so that a command loads what it needs
 * (docs/decisions/0006-programs-in-chunks.md).
 *
 * @param lib the folder to write to; without one nothing is written
 * @returns the files that the bundles are made of, relative to `root`
 */
export async function bundle(root: string, lib?: string): Promise<ReadonlySet<string>> {
  const common: BuildOptions = {
    absWorkingDir: root,
    bundle: true,
    write: lib !== undefined,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    legalComments: 'none', // They stand together in THIRD-PARTY-LICENSES.
    metafile: true,
    // `pg` asks for its native companion, and Pyodide for sockets, only when told to use it.
    external: ['pg-native', 'ws'],
  };
  const folder = lib ?? join(root, 'dist', 'lib');
  const inputs = new Set<string>();
  const add = async (options: BuildOptions) => {
    const { metafile } = await build({ ...common, ...options });
    for (const input of Object.keys(metafile?.inputs ?? {})) inputs.add(input);
  };
  // Each by itself: what two programs share would otherwise be cut into many small files, each of which takes time to load.
  for (const [out, entry] of Object.entries(PROGRAMS)) {
    await add({
      entryPoints: [{ in: join(root, entry), out }],
      outdir: folder,
      splitting: true,
      chunkNames: '[name]-[hash]',
      // `oidc-provider` finds its records' lifetimes by the names of its classes.
      keepNames: out === 'panda-secrets',
      banner: { js: REQUIRE },
    });
  }
  await add({
    entryPoints: [join(root, PYTHON_THREAD)],
    outfile: join(folder, 'python/thread.js'),
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return inputs;
}
