import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin, transform } from 'esbuild';
import { PROGRAMS, type Program } from './programs.ts';

/** Packages of the older kind call `require` for what Node has. `createRequire` would cost each chunk time at its start. */
const REQUIRE =
  'const require = (id) => { const found = process.getBuiltinModule(id); if (found) return found; ' +
  "throw Object.assign(new Error('no module ' + id), { code: 'MODULE_NOT_FOUND' }); };";

const COMMON = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  legalComments: 'none', // They stand together in THIRD-PARTY-LICENSES.
  metafile: true,
  // `pg` asks for its native companion only when told to use it.
  external: ['pg-native'],
} satisfies BuildOptions;

/**
 * Bundles the programs, each into chunks of its own, so that a command loads what it needs
 * (docs/decisions/0006-programs-in-chunks.md).
 *
 * @param lib the folder to write to; without one nothing is written
 * @returns the files that the bundles are made of, relative to `root`
 */
export async function bundle(root: string, lib?: string): Promise<ReadonlySet<string>> {
  const inputs = new Set<string>();
  for (const program of Object.keys(PROGRAMS) as Program[]) {
    for (const file of await bundleProgram(program, root, lib)) inputs.add(file);
  }
  for (const file of await bundlePrompt(root, lib)) inputs.add(file);
  return inputs;
}

/**
 * Bundles one program into one file, which loads nothing but Node's own modules.
 *
 * @returns the files that it is made of
 */
export async function bundleInOneFile(name: Program, root: string, outfile: string): Promise<string[]> {
  const { metafile } = await build({
    ...COMMON,
    absWorkingDir: root,
    entryPoints: [join(root, PROGRAMS[name])],
    outfile,
    banner: { js: REQUIRE },
  });
  return Object.keys(metafile.inputs);
}

/** The beginning of `pbook` without a command, in one file: each further one would cost the prompt a millisecond. */
async function bundlePrompt(root: string, lib?: string): Promise<string[]> {
  const { metafile } = await build({
    ...COMMON,
    absWorkingDir: root,
    write: lib !== undefined,
    entryPoints: [{ in: join(root, PROMPT), out: 'pbook-python' }],
    outdir: lib ?? join(root, 'dist/lib'),
  });
  return Object.keys(metafile.inputs);
}

const PROMPT = 'src/cli/pbook/shell/start.ts';
const promptApart: Plugin = {
  name: 'prompt-apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/shell\/start\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './pbook-python.js', external: true } : undefined,
    );
  },
};

/**
 * Keeps the names of classes that are looked at: `oidc-provider` finds its records' lifetimes and the sort of an error by them, and a log line has an error's.
 * Kept in all files, they cost each request the naming of the functions that it makes.
 */
const namesKept: Plugin = {
  name: 'names-kept',
  setup({ onLoad }) {
    onLoad(
      {
        filter:
          /\/oidc-provider\/lib\/(models|helpers)\/.*\.js$|\/pg-protocol\/.*\/messages\.js$|\/src\/protocol\/errors\.ts$/,
      },
      async ({ path }) => {
        const source = await readFile(path, 'utf8');
        const loader = path.endsWith('.ts') ? 'ts' : 'js';
        const { code } = await transform(source, { loader, target: COMMON.target, keepNames: true });
        return { contents: code, loader: 'js' };
      },
    );
  },
};

/**
 * Bundles one program by itself: what two programs share would otherwise be cut into many small files, each of which takes time to load.
 *
 * @returns the files that it is made of
 */
export async function bundleProgram(name: Program, root: string, lib?: string): Promise<string[]> {
  const { metafile } = await build({
    ...COMMON,
    absWorkingDir: root,
    write: lib !== undefined,
    entryPoints: [{ in: join(root, PROGRAMS[name]), out: name }],
    outdir: lib ?? join(root, 'dist/lib'),
    splitting: true,
    chunkNames: '[name]-[hash]',
    banner: { js: REQUIRE },
    plugins: name === 'panda-secrets' ? [promptApart, namesKept] : [promptApart],
  });
  return Object.keys(metafile.inputs);
}
