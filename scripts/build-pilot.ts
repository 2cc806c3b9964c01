// `npm run build:pilot`: panda-pilot as one executable, for nodes that have neither Node nor this package, in build/; with
// `-- --node FILE` from the Node of another machine (the same version for Linux on arm64, say). Tells its size and its start.

import { spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { noticesOf } from './build/notices.ts';
import { shippedPackages } from './build/shipped-packages.ts';
import { buildSingleFile, licenceOfNode, machineOf, whyNoSingleFile } from './build/single-file.ts';

const STARTS = 11;

const obstacle = whyNoSingleFile();
if (obstacle !== undefined) throw new Error(obstacle);
const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { node: { type: 'string' } } });
const machine = machineOf(values.node ?? process.execPath);
const output = join(root, 'build', `panda-pilot-linux-${machine}`);
const inputs = await buildSingleFile({ root, output, executable: values.node });
const notices = [noticesOf(shippedPackages(new Set(inputs), root), root), licenceOfNode(root)];
writeFileSync(join(root, 'build', 'THIRD-PARTY-LICENSES'), notices.join(`\n${'='.repeat(80)}\n\n`));
const megabytes = Math.round(statSync(output).size / 1e6);
const start = values.node === undefined ? `, starts in ${Math.round(startMilliseconds())} ms (--version)` : '';
console.log(`built build/panda-pilot-linux-${machine}: ${megabytes} MB${start}`);

function startMilliseconds(): number {
  const took = Array.from({ length: STARTS }, () => {
    const began = performance.now();
    spawnSync(output, ['--version'], { stdio: 'ignore' });
    return performance.now() - began;
  });
  return took.sort((a, b) => a - b)[Math.floor(STARTS / 2)] ?? 0;
}
