// `npm run build:single`: pbook, prun and panda-pilot, each as one executable with Node inside, in build/; with `-- --node FILE` from
// the Node of another machine (the same version for Linux on arm64, say). Tells their sizes and starts.

import { spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { noticesOf } from './build/notices.ts';
import { shippedPackages } from './build/shipped-packages.ts';
import { buildSingleFiles, whyNoSingleFile, withLicenceOfNode } from './build/single-file.ts';

const STARTS = 11;

const obstacle = whyNoSingleFile();
if (obstacle !== undefined) throw new Error(obstacle);
const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { node: { type: 'string' } } });
const { files, inputs } = await buildSingleFiles({ root, folder: join(root, 'build'), executable: values.node });
const notices = withLicenceOfNode(noticesOf(shippedPackages(inputs, root), root), root);
writeFileSync(join(root, 'build', 'THIRD-PARTY-LICENSES'), notices);
for (const name of files) {
  const file = join(root, 'build', name);
  const megabytes = Math.round(statSync(file).size / 1e6);
  const start = values.node === undefined ? `, starts in ${Math.round(startMilliseconds(file))} ms (--version)` : '';
  console.log(`built build/${name}: ${megabytes} MB${start}`);
}

function startMilliseconds(file: string): number {
  const took = Array.from({ length: STARTS }, () => {
    const began = performance.now();
    spawnSync(file, ['--version'], { stdio: 'ignore' });
    return performance.now() - began;
  });
  return took.sort((a, b) => a - b)[Math.floor(STARTS / 2)] ?? 0;
}
