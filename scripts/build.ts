// `npm run build`: what is published, in dist/. Each program is a thin file that turns on Node's compile cache and loads its
// bundle.

import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { billOfMaterials } from './build/bill-of-materials.ts';
import { bundle } from './build/bundles.ts';
import { noticesOf } from './build/notices.ts';
import { PROGRAMS } from './build/programs.ts';
import { writeServerFiles } from './build/server-files.ts';
import { shippedPackages } from './build/shipped-packages.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const lib = join(dist, 'lib');

rmSync(dist, { recursive: true, force: true });
const packages = shippedPackages(await bundle(root, lib), root);
const starter = readFileSync(join(root, 'scripts/starter.js'), 'utf8');
for (const name of Object.keys(PROGRAMS)) {
  const program = join(dist, `${name}.js`);
  writeFileSync(program, starter.replaceAll('PROGRAM', name));
  chmodSync(program, 0o755);
}
writeServerFiles(root, lib);
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES'), noticesOf(packages, root));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
writeFileSync(join(dist, 'bom.cdx.json'), billOfMaterials(manifest, packages));
// pbook's Python module, without what Python makes of it when it runs.
cpSync(join(root, 'src/cli/pbook/shell/python'), join(lib, 'python'), {
  recursive: true,
  filter: (path) => basename(path) !== '__pycache__',
});
console.log(`built ${Object.keys(PROGRAMS).join(', ')} in dist/`);
