// `npm run release`: makes what is released of the present commit, in release/, and tries it: made again elsewhere it has the same
// bytes; the tarball is installed and runs the demo; the Debian package and the container are checked as far as this machine lets.
//
//   npm run release -- --install       also installs the Debian package on this machine and purges it (root; for a machine to throw away)
//   npm run release -- --key FILE      signs SHA256SUMS at the end, with a key of ssh-keygen's
//   npm run release -- --builder URI   names the one that builds in the provenance
//   npm run release -- --once          only makes it; --into FOLDER elsewhere

import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { tryTarball } from './package/trial.ts';
import { signSums } from './release/checksums.ts';
import { tryContainer } from './release/container-trial.ts';
import { inspectDebianPackage, tryDebianPackage } from './release/debian-trial.ts';
import { makeRelease } from './release/make.ts';
import { BY_HAND } from './release/provenance.ts';
import { makeAgain } from './release/same-bytes.ts';
import { refuseChangedTree } from './release/source.ts';

const { values } = parseArgs({
  options: {
    install: { type: 'boolean', default: false },
    key: { type: 'string' },
    builder: { type: 'string', default: BY_HAND },
    once: { type: 'boolean', default: false },
    into: { type: 'string' },
  },
});
const root = join(import.meta.dirname, '..');
const folder = resolve(values.into ?? join(root, 'release'));
const { builder } = values;
try {
  refuseChangedTree(root);
  const { tarball, debianPackage } = await timed('made', () => makeRelease(root, { folder, builder }));
  if (!values.once) {
    await timed('made again elsewhere: the same bytes', () => makeAgain(root, { folder, builder }));
    await timed('the tarball was tried', () => tryTarball(root, join(folder, tarball)));
    await timed('the Debian package was looked at', () => inspectDebianPackage(join(folder, debianPackage)));
    if (values.install) {
      await timed('the Debian package was tried', () => tryDebianPackage(join(folder, debianPackage)));
    }
    tryContainer(folder, debianPackage);
    if (values.key !== undefined) signSums(folder, values.key);
  }
  console.log(`\nrelease: ok: ${folder}`);
} catch (error) {
  console.error(`\nrelease: failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function timed<T>(done: string, work: () => T | Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  console.log(`release: ${done} (${Math.round((performance.now() - began) / 1000)} s)`);
  return result;
}
