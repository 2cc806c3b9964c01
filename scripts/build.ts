// `npm run build`: what is published, in dist/. Each program is a thin file that turns on Node's compile cache and loads its
// bundle; the bundles are split, so that a command loads what it needs (docs/decisions/0006-programs-in-chunks.md).

import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { buildShell } from './build-shell.ts';
import { noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const lib = join(dist, 'lib');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const programs = {
  pbook: 'src/cli/pbook/main.ts',
  prun: 'src/cli/prun/main.ts',
  'panda-secrets': 'src/cli/panda-secrets/main.ts',
  'panda-pilot': 'src/pilot/main.ts',
};

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  legalComments: 'none', // They stand together in THIRD-PARTY-LICENSES.
  metafile: true,
  // `pg` asks for its native companion, and Pyodide for sockets, only when told to use it.
  external: ['pg-native', 'ws'],
  define: { 'process.env.PANDA_SECRETS_VERSION': JSON.stringify(version) },
};

/** Packages of the older kind call `require` for what Node has. `createRequire` would cost each chunk time at its start. */
const REQUIRE =
  'const require = (id) => { const found = process.getBuiltinModule(id); if (found) return found; ' +
  "throw Object.assign(new Error('no module ' + id), { code: 'MODULE_NOT_FOUND' }); };";

rmSync(dist, { recursive: true, force: true });
const inputs = new Set<string>();
const bundle = async (options: BuildOptions) => {
  const { metafile } = await build({ ...common, absWorkingDir: root, ...options });
  for (const input of Object.keys(metafile?.inputs ?? {})) inputs.add(input);
};
// Each by itself: what two programs share would otherwise be cut into many small files, each of which takes time to load.
for (const [out, entry] of Object.entries(programs)) {
  await bundle({
    entryPoints: [{ in: join(root, entry), out }],
    outdir: lib,
    splitting: true,
    chunkNames: '[name]-[hash]',
    // `oidc-provider` finds its records' lifetimes by the names of its classes.
    keepNames: out === 'panda-secrets',
    banner: { js: REQUIRE },
  });
}
// The thread in which pbook's prompt runs Python.
await bundle({
  entryPoints: [join(root, 'src/cli/pbook/shell/python-thread.ts')],
  outfile: join(lib, 'python/thread.js'),
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
const starter = readFileSync(join(root, 'scripts/starter.js'), 'utf8');
for (const name of Object.keys(programs)) {
  const program = join(dist, `${name}.js`);
  writeFileSync(program, starter.replaceAll('PROGRAM', name));
  chmodSync(program, 0o755);
}
// What `serve` reads at run time lies beside its bundle.
copyFileSync(join(root, 'src/server/routes/transformation.py'), join(lib, 'transformation.py'));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES'), noticesOf(inputs, root));
await buildShell(join(root, 'src/cli/pbook/shell/python'), join(lib, 'python'));
console.log(`built ${Object.keys(programs).join(', ')} in dist/`);
