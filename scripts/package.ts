// `npm run package`: builds, makes the tarball that is published, checks what is in it, installs it into an empty folder and
// runs the demo with the programs from there, on the pinned Node and on the oldest one that is supported.

import { basename, join } from 'node:path';
import { makeTarball } from './package/tarball.ts';
import { tryTarball } from './package/trial.ts';

const root = join(import.meta.dirname, '..');
try {
  const tarball = await makeTarball(root, root);
  tryTarball(root, tarball);
  console.log(`\npackage: ok: ${basename(tarball)}`);
} catch (error) {
  console.error(`\npackage: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
