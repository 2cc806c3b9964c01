// `npm run build`: each program bundled into one JavaScript file in dist/, which is all that is published.

import { chmodSync, copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { buildShell } from './build-shell.ts';

const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const programs = {
  pbook: 'src/cli/pbook/main.ts',
  prun: 'src/cli/prun/main.ts',
  'panda-secrets': 'src/cli/panda-secrets/main.ts',
  'panda-pilot': 'src/pilot/main.ts',
  // The thread in which pbook's prompt runs Python.
  'python/thread': 'src/cli/pbook/shell/python-thread.ts',
};

rmSync(join(root, 'dist'), { recursive: true, force: true });
for (const [name, entry] of Object.entries(programs)) {
  const outfile = join(root, 'dist', `${name}.js`);
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    legalComments: 'none',
    // `pg` asks for its native companion, and Pyodide for sockets, only when told to use it.
    external: ['pg-native', 'ws'],
    define: { 'process.env.PANDA_SECRETS_VERSION': JSON.stringify(version) },
    banner: {
      js: "#!/usr/bin/env -S node --disable-warning=ExperimentalWarning\nimport { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  chmodSync(outfile, 0o755);
}
// What `serve` reads at run time lies beside its bundle.
copyFileSync(join(root, 'src/server/routes/transformation.py'), join(root, 'dist', 'transformation.py'));
await buildShell(join(root, 'src/cli/pbook/shell/python'), join(root, 'dist', 'python'));
console.log(`built ${Object.keys(programs).join(', ')} in dist/`);
