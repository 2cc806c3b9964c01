// `npm run picture`: the pictures of the documents. It runs the demo and makes docs/images/demo.svg of what it printed, which plays it as
// a terminal would; with the pauses of somebody who reads, so that no program's speed is shown. Where a Chromium is, it takes pictures of
// two pages as well.

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { takePictures } from './picture/pages.ts';
import { playedSvg } from './picture/played-svg.ts';

const root = join(import.meta.dirname, '..');
const images = join(root, 'docs/images');
const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'demo/demo.ts')], { encoding: 'utf8' });
if (status !== 0) throw new Error(`the demo ended with status ${status}:\n${stdout}${stderr}`);
// The name of its temporary folder tells nothing.
const lines = stdout
  .trim()
  .replace(/\S*\/panda-secrets-demo-\w+/g, '/tmp/demo')
  .split('\n');
const title = 'A secret on its way: kept by its owner, sealed to a compute node, masked in the log of the job, deleted';
writeFileSync(join(images, 'demo.svg'), playedSvg(lines, title));

const chromium = [process.env['PANDA_TEST_CHROMIUM'], '/usr/bin/chromium'].find((path) => path && existsSync(path));
if (chromium) await takePictures(images, chromium);
else console.log('There is no Chromium here (PANDA_TEST_CHROMIUM names one): the pictures of pages stay as they are.');
